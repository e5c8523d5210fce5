"""Workflow: a customer's opening in, the assistant's whole trajectory out, along a path of the scenario's graph.

    family.py         how a path becomes a sample, what a trajectory must keep to, its score
    flow.py           the graph of `workflow.yaml`, and every path through it
    session.py        a case as it goes along the graph
    trajectory.py     the text: what was thought, done and observed
    corruptions.py    how a trajectory goes wrong

What a function is, and running one, is in `tools.py` of the families.

Example (`repair_workflow`), the path repair>advice>solved>goodbye:

    充电器插上不充电，怎么办
    Thought: 先看看知识库里有没有现成的办法。
    Action: SearchSolution
    Action Input: {"problem": "插上不充电", "product": "充电器"}
    Observation: {"solution_id": "CH-01", "problem": "不充电", "steps": "换插座，...", "needs_technician": false}
    Thought: 知识库有办法，先让客户自己试。
    Action: Reply
    Action Input: 您先这样试一下：换插座，...。弄完告诉我好了没有。
    Observation: 好了好了，可以用了，谢谢
    Thought: 客户说好了，不用派师傅。
    Final: 好的，能用就好，有问题再找我。

Observations are never invented: a call is run on the twin's tables, and a customer's reply is a template of the unit
that is named like the outcome. `templates/bot/NODE/*.j2` hold the assistant's words, a thought and, below it, what the
customer reads; those for a node that is reached by a certain outcome may stand in `NODE/OUTCOME/`. They may name what
is known by then: what the customer said, and what follows from results (`session.DERIVED`).
"""
