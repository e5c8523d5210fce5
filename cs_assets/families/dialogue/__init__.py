"""Dialogue: a session with the shop in, one JSON object out: what the customer wants as it ends.

    family.py         the scenario's options, the rules of a right answer, its score
    session.py        how a session is composed, turn by turn
    state.py          how a turn changes what is wanted
    transcript.py     a session read again: whose turn each line is, which values it names
    corruptions.py    how an answer goes wrong

What fits, is in stock and arrives when is looked up in `cs_assets/catalogue.py`.

Example (`delivery_time_product_query`):

    客户：拯救者Y7000P用的内存条有吗
    客服：有的，拯救者Y7000P能用的有：英睿达 DDR5 5600 16GB 449元；威刚 DDR5 5600 16GB 439元
    客户：今晚能送到武汉吗
    客服：发武汉的话，英睿达 DDR5 5600 16GB 今晚9点前能到，来得及；威刚 DDR5 5600 16GB 最快明天下午6点，赶不上
    客户：行，那就这个
    {"设备": "拯救者Y7000P", "配件": "内存条", "规格": "", "数量": "", "时间": "今晚", "地点": "武汉",
     "商品": "英睿达 DDR5 5600 16GB"}

Units are the folders of `templates/human`. Which may follow which is said in the scenario's options, whether one can at
all by `session.UNITS`: nothing is corrected that was not said, and nothing pointed at that was not offered.
"""
