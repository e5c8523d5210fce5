"""Reply: what a customer writes in, a warm and concrete reply out that promises nothing but what the policy carries.

    family.py         the pairs, the rules that a reply can be checked by, its score, new pairs by an LLM
    corruptions.py    how a reply goes wrong

There is no truth: of many good replies the answer is one. The topics are not named here; they stand in the scenario's
`policy.yaml`, and a pair is two templates of one name:

    templates/human/size/01_exchange.j2    {{尺码.商品}}买的{{尺码.买的}}码，{{尺码.不合身}}，想换{{尺码.换成}}码
    templates/bot/size/01_exchange.j2      {{尺码.商品}}支持7天无理由换码：您在订单页申请换货 ...
    templates/bot/size/01_exchange.2.j2    another reply to the same query
"""
