"""Chat conversations, and the pairs of prompt and answer in them.

Here belongs what every reader of a conversation needs: training, evaluation, alignment, export. How a conversation
becomes tokens stands in the chat template of the model.

    prompt_completion_pairs([{"role": "user", "content": "在吗"}, {"role": "assistant", "content": "在的"}])
    # [{"prompt": [{"role": "user", "content": "在吗"}], "completion": [{"role": "assistant", "content": "在的"}]}]
"""

from typing import Any

# One turn of a chat, as chat templates take it: `role` and `content`.
Message = dict[str, str]


def prompt_completion_pairs(messages: list[Message]) -> list[dict[str, list[Message]]]:
    """Return prompt and completion for each of the assistant's messages.

    A trajectory becomes a pair a step: what was observed stands in the prompt, where no token has a loss.
    """
    return [
        {"prompt": messages[:number], "completion": [message]}
        for number, message in enumerate(messages)
        if message["role"] == "assistant"
    ]


def prompt_tokens(tokenizer: Any, prompt: list[Message]) -> int:
    """Return the length of a prompt in tokens, with what the chat template puts before the answer."""
    return len(tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=False))


def conversation_tokens(tokenizer: Any, messages: list[Message]) -> int:
    """Return the length of a conversation in tokens, to the end of its last message."""
    return len(tokenizer.apply_chat_template(messages, return_dict=False))
