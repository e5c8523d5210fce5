"""The domain: what a kind of scenario renders, verifies, corrupts and scores. No Dagster, no torch, no stage.

The families, each a module, or a package whose `family.py` holds it; `family:` in `scenario.yaml` names one:

    extraction    a message in, its values out as JSON
    dialogue      a session in, what the customer wants at its end out
    tool_call     a message and functions in, calls out
    workflow      an opening in, a whole trajectory out
    reply         a complaint in, a warm and concrete reply out
    intent        a message in, its class out
    identity      a question to the assistant about itself in, fixed facts out
    knowledge     a record in one form in, the same record in another form out

What they share stands beside them: the verbs (`base.py`), a scenario's folder (`definition.py`, `yaml_files.py`), the
language of templates (`syntax.py`, `columns.py`), answers in JSON (`json_answers.py`, `json_corruptions.py`) and in
plain words (`plain_text.py`), functions and calls (`tools.py`, `native_calls.py`). A shared module imports no family.
"""
