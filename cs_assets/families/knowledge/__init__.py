"""Knowledge: a record of the trade in one form in, the same record in another form out, every value copied.

    family.py     what is true, what breaks a rule, how a conversion goes wrong, how one is scored
    records.py    kinds of record and the forms in which they are written

Kinds of record and their fields stand in the scenario's `schema.yaml`. A unit is a direction, such as
`order_markdown_to_json`; the request line of the message names the target form.

Example (`shop_knowledge`, unit `product_text_to_json`):

    帮我整理成json：金士顿的内存条，16GB的，339元，还剩62件
    {"品牌": "金士顿", "品类": "内存条", "型号": "", "规格": "16GB", "价格": "339元", "库存": "62件"}
"""
