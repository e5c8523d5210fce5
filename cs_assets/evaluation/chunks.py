"""Answers in chunks, each kept as soon as it is there, so that a run that was killed goes on behind the last of them.

Here belongs how prompts are cut into chunks. Where these are kept is the business of `Keep`, which an asset makes of
its store.

    generated(model, tokenizer, prompts, max_new_tokens=64, batch_size=8, keep=keep)    # one text a prompt
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import polars as pl

from cs_assets.learning.conversations import Message
from cs_assets.learning.inference import ReportBatch, generate, nobody

# Given what names a chunk, as JSON has it, and what makes its table: returns the table, kept or made now.
Keep = Callable[[Any, Callable[[], pl.DataFrame]], pl.DataFrame]
# Answers prompts, and tells how many are done.
Answer = Callable[[list[list[Message]], ReportBatch], list[str]]
# Prompts of a chunk: on two CPU cores about two minutes and a half of a model of 0.5B.
SIZE: Final = 128


def keep_nothing(chunk: Any, make: Callable[[], pl.DataFrame]) -> pl.DataFrame:
    """Make a table that is not kept."""
    return make()


def answered(
    prompts: Sequence[list[Message]],
    answer: Answer,
    keep: Keep,
    *,
    order: Sequence[int] | None = None,
    size: int = SIZE,
    report: ReportBatch = nobody,
) -> list[str]:
    """Return what `answer` says to each prompt, asked chunk by chunk.

    Args:
        prompts: chat messages, one list per case.
        answer: is asked the prompts of the chunks that are not kept.
        keep: keeps the chunks.
        order: the places of the prompts, as they are asked; None: as they stand.
        size: prompts of a chunk.
        report: is told (done, total) of all prompts.
    """
    places = list(range(len(prompts)) if order is None else order)
    said = [""] * len(prompts)

    def make(start: int, chunk: list[int]) -> pl.DataFrame:
        asked = [prompts[place] for place in chunk]
        return pl.DataFrame({"said": answer(asked, lambda done, _: report(start + done, len(prompts)))})

    for start in range(0, len(places), size):
        chunk = places[start : start + size]
        for place, text in zip(chunk, keep(chunk, partial(make, start, chunk))["said"], strict=True):
            said[place] = text
    return said


def generated(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[list[Message]],
    *,
    max_new_tokens: int,
    batch_size: int,
    keep: Keep = keep_nothing,
    report: ReportBatch = nobody,
) -> list[str]:
    """Answer as `generate` does, chunk by chunk.

    A batch is padded to its longest prompt, which rounds otherwise than alone. So chunks are whole batches, the longest
    prompts first, as `generate` takes them: each answer is the one that it has where all are asked in one go.
    """
    texts = [tokenizer.apply_chat_template(p, tokenize=False, add_generation_prompt=True) for p in prompts]

    def answer(asked: list[list[Message]], report: ReportBatch) -> list[str]:
        return generate(model, tokenizer, asked, max_new_tokens=max_new_tokens, batch_size=batch_size, report=report)

    order = sorted(range(len(prompts)), key=lambda place: (-len(texts[place]), place))
    size = max(1, SIZE // batch_size) * batch_size
    return answered(prompts, answer, keep, order=order, size=size, report=report)
