"""Tool calls: a customer's message and some functions in, the calls that do what is asked for out, as one JSON object.

    family.py         which calls are true, what breaks a rule, how an answer is scored
    answer.py         the form of the answer, read strictly and leniently, and two answers compared
    parameters.py     how words become arguments
    corruptions.py    how an answer goes wrong

What a function is, and running one, is in `tools.py` of the families. The functions stand in the scenario's
`tools.json`; how words become arguments, in its `parameters.yaml`; a template stands in the folder of the functions
that it asks for (`TicketQuery`, `TicketCancel+TicketCreate` in that order, `none`).

    工单WX20310417不用来了，自己弄好了
    {"calls": [{"name": "TicketCancel", "arguments": {"ticket_id": "WX20310417", "reason": "自己弄好了"}}], "ask": []}

    取消我的维修单
    {"calls": [], "ask": [{"name": "TicketCancel", "missing": ["ticket_id"]}]}

    你们几点下班
    {"calls": [], "ask": []}
"""
