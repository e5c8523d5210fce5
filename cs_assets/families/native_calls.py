"""A call as OpenAI's API has it, for exports and for chat templates that write calls in a way of their own.

Here belongs that form alone. Which messages an answer is, each family says that calls functions; what our models are
trained to write is a text of the family's own.

    native_call(1, "TicketQuery", {"number": "WX20310417"})
    # {"id": "call_1", "type": "function",
    #  "function": {"name": "TicketQuery", "arguments": "{\\"number\\": \\"WX20310417\\"}"}}
"""

import json
from collections.abc import Mapping
from typing import Any

# A chat message, with calls in `tool_calls` if the assistant makes some, or with a result if the role is `tool`.
NativeMessage = dict[str, Any]


def native_call(number: int, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return one of a message's `tool_calls`; `number` tells it from the conversation's other calls."""
    function = {"name": name, "arguments": json.dumps(dict(arguments), ensure_ascii=False)}
    return {"id": f"call_{number}", "type": "function", "function": function}
