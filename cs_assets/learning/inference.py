"""Using models: greedy generation, verdicts, likelihoods and rewards, in batches of similar length."""

import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ParamSpec, TypeVar

from cs_assets.learning.answer_head import changes_logits
from cs_assets.learning.conversations import Message

ReportBatch = Callable[[int, int], None]
Given = ParamSpec("Given")
Found = TypeVar("Found")
_SECONDS_BETWEEN_REPORTS = 4.0


def nobody(done: int, total: int) -> None:
    """Report to nobody."""


def _within_memory(use: Callable[Given, Found]) -> Callable[Given, Found]:
    """Say what to lower where the memory of the GPU does not suffice.

    Raises:
        MemoryError: it does not.
    """

    @functools.wraps(use)
    def used(*arguments: Given.args, **options: Given.kwargs) -> Found:
        import torch

        try:
            return use(*arguments, **options)
        except torch.OutOfMemoryError as error:
            raise MemoryError(
                f"the memory of the GPU is full with {options['batch_size']} cases at a time: lower score_batch_size "
                "or generation_batch_size of this stage, and run it again."
            ) from error

    return used


def _by_length(texts: Sequence[str], batch_size: int) -> Iterator[list[int]]:
    """Yield batches of indices, longest texts first: little padding, and memory trouble shows at once."""
    order = sorted(range(len(texts)), key=lambda i: (-len(texts[i]), i))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def _chat_texts(tokenizer: Any, prompts: Sequence[list[Message]], *, reply_follows: bool) -> list[str]:
    return [tokenizer.apply_chat_template(p, tokenize=False, add_generation_prompt=reply_follows) for p in prompts]


def _encode(tokenizer: Any, texts: list[str], device: Any) -> Any:
    return tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False).to(device)


@_within_memory
def generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[list[Message]],
    *,
    max_new_tokens: int,
    batch_size: int,
    processor: Callable[[list[int]], Any] | None = None,
    report: ReportBatch = nobody,
) -> list[str]:
    """Answer each prompt greedily: the likeliest token each time, whatever the base's generation config says.

    Many bases ship a repetition penalty, which counts the prompt's tokens too and spoils what is to be copied from it.

    Args:
        model, tokenizer: as `learning.models` loads them.
        prompts: chat messages, one list per case.
        max_new_tokens: an answer is cut there.
        batch_size: cases at a time.
        processor: is given the places of a batch's prompts, and returns what changes their logits (a LogitsProcessor).
        report: is told (done, total) after each batch, and every few seconds as answers within it end.

    Returns:
        One text per prompt, special tokens removed, in the order of the prompts.
    """
    import torch

    texts = _chat_texts(tokenizer, prompts, reply_follows=True)
    answers = [""] * len(texts)
    done = 0
    model.eval()
    for batch in _by_length(texts, batch_size):
        inputs = _encode(tokenizer, [texts[i] for i in batch], model.device)
        with torch.inference_mode():
            output = model.generate(
                **inputs,
                max_new_tokens=max_new_tokens,
                do_sample=False,
                repetition_penalty=1.0,
                pad_token_id=tokenizer.pad_token_id,
                temperature=None,
                top_p=None,
                top_k=None,
                logits_processor=[processor(batch)] if processor else [],
                stopping_criteria=[_watch(tokenizer.pad_token_id, done, len(texts), report)],
            )
        for i, tokens in zip(batch, output[:, inputs["input_ids"].shape[1] :], strict=True):
            answers[i] = tokenizer.decode(tokens, skip_special_tokens=True)
        done += len(batch)
        report(done, len(texts))
    return answers


def _watch(padding: int, done: int, total: int, report: ReportBatch) -> Any:
    """Return a stopping criterion that stops nothing and reports the answers that end before their batch does."""
    import torch
    from transformers import StoppingCriteria

    class Watch(StoppingCriteria):
        told_at = time.monotonic()
        told = 0

        def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
            now = time.monotonic()
            if now - self.told_at >= _SECONDS_BETWEEN_REPORTS:
                ended = int((input_ids[:, -1] == padding).sum())  # an answer that has ended is padded
                self.told_at = now
                if ended > self.told:
                    self.told = ended
                    report(done + ended, total)
            return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)

    return Watch()


@_within_memory
def verdict_log_odds(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[list[Message]],
    words: tuple[str, str],
    *,
    batch_size: int,
    report: ReportBatch = nobody,
) -> list[float]:
    """Return the logarithm of how much likelier the first of two words is as the reply; one forward pass each.

    The two are compared at the first token in which they differ in kind: their first token. Where probabilities round
    to 0 and 1, log-odds still rank. They are computed in float32 from what the head is given, for in bfloat16 logits of
    about 15 lie 0.06 apart, so that different answers tie.

    Raises:
        ValueError: both words begin with the same token.
    """
    import torch

    good, bad = (tokenizer.encode(word, add_special_tokens=False)[0] for word in words)
    if good == bad:
        raise ValueError(f"{words[0]} and {words[1]} begin with the same token; choose other words for the judge.")
    texts = _chat_texts(tokenizer, prompts, reply_follows=True)
    found = [0.0] * len(texts)
    done = 0
    model.eval()
    head = model.get_output_embeddings()
    direction = head.weight[good].float() - head.weight[bad].float()
    for batch in _by_length(texts, batch_size):
        with torch.inference_mode():
            states = _before_head(model, _encode(tokenizer, [texts[i] for i in batch], model.device))
            log_odds = (states[:, -1].float() @ direction).tolist()
        for i, value in zip(batch, log_odds, strict=True):
            found[i] = value
        done += len(batch)
        report(done, len(texts))
    return found


def _before_head(model: Any, inputs: Any) -> Any:
    """Return what the head is given, (rows, positions, width); the head itself computes one position of one."""
    states: list[Any] = []

    def watch(head: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
        states.append(given[0])
        return (given[0][:1, -1:],)

    watched = model.get_output_embeddings().register_forward_pre_hook(watch)
    try:
        model(**inputs)
    finally:
        watched.remove()
    return states.pop()


def verdict_probability(log_odds: float) -> float:
    """Return the logistic function, in the form that overflows nowhere."""
    return 0.5 * (1 + math.tanh(log_odds / 2))


@_within_memory
def answer_surprises(
    model: Any,
    tokenizer: Any,
    conversations: Sequence[list[Message]],
    *,
    batch_size: int,
    report: ReportBatch = nobody,
) -> list[float]:
    """Return how surprising the last message of each conversation is: nats a token, the mean over its tokens.

    That is the negative log-likelihood of the answer, with what the chat template puts behind it, given all before it.

    Raises:
        ValueError: see `answer_tokens`.
    """
    import torch

    texts = _chat_texts(tokenizer, conversations, reply_follows=False)
    own = [answer_tokens(tokenizer, messages) for messages in conversations]
    found = [0.0] * len(texts)
    done = 0
    model.eval()
    head = None if changes_logits(model) else _exact_head(model)
    for batch in _by_length(texts, batch_size):
        inputs = _encode(tokenizer, [texts[i] for i in batch], model.device)
        with torch.inference_mode():
            logits_of_rows = _answer_logits(model, head, inputs, [own[i] for i in batch])
            for i, ids, logits in zip(batch, inputs["input_ids"], logits_of_rows, strict=True):
                told = torch.log_softmax(logits, dim=-1)
                found[i] = -float(told.gather(-1, ids[-len(told) :, None]).mean())
        done += len(batch)
        report(done, len(texts))
    return found


def _exact_head(model: Any) -> Callable[[Any], Any]:
    """Return the head as it would be in float32: in bfloat16 it would round a surprise."""
    from torch.nn.functional import linear

    head = model.get_output_embeddings()
    weight, bias = head.weight.float(), None if head.bias is None else head.bias.float()
    return lambda states: linear(states.float(), weight, bias)


def _answer_logits(model: Any, head: Callable[[Any], Any] | None, inputs: Any, own: list[int]) -> Iterator[Any]:
    """Yield for each row the logits that foretell as many of its last tokens as are its own, of float32.

    The head on all positions would take longer than the model, and gigabytes. Where there is none, because the model
    makes something else of what its head says, the logits are the model's, and as exact as these.
    """
    if head is None:
        for row, count in zip(model(**inputs, logits_to_keep=max(own) + 1).logits, own, strict=True):
            yield row[-count - 1 : -1].float()
        return
    for row, count in zip(_before_head(model, inputs), own, strict=True):
        yield head(row[-count - 1 : -1])


def answer_tokens(tokenizer: Any, conversation: list[Message]) -> int:
    """Return the tokens of the last message, with what the chat template puts behind it.

    Raises:
        ValueError: the chat template does not put the answer behind what it asks with: its tokens are not known.
    """
    [prompt] = _chat_texts(tokenizer, [conversation[:-1]], reply_follows=True)
    [text] = _chat_texts(tokenizer, [conversation], reply_follows=False)
    asked, whole = (len(tokenizer(said, add_special_tokens=False)["input_ids"]) for said in (prompt, text))
    if not text.startswith(prompt) or asked >= whole:
        raise ValueError(
            f"the chat template asks with {prompt[-40:]!r} and does not repeat it before the answer: {text[-80:]!r}. "
            "How surprising the answer is cannot be told; take a base with another template, or set task_epochs: 0."
        )
    return whole - asked


@_within_memory
def rewards(
    model: Any,
    tokenizer: Any,
    conversations: Sequence[list[Message]],
    *,
    batch_size: int,
    report: ReportBatch = nobody,
) -> list[float]:
    """Return the reward model's number for each conversation, its last message being the answer."""
    import torch

    texts = _chat_texts(tokenizer, conversations, reply_follows=False)
    values = [0.0] * len(texts)
    done = 0
    model.eval()
    for batch in _by_length(texts, batch_size):
        inputs = _encode(tokenizer, [texts[i] for i in batch], model.device)
        with torch.inference_mode():
            output = model(**inputs).logits[:, 0].float()
        for i, value in zip(batch, output.tolist(), strict=True):
            values[i] = value
        done += len(batch)
        report(done, len(texts))
    return values
