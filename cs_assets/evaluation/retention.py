"""Retention: what the tuned model can still do of what the base could, on questions far from its task.

Here belong asking a model the probe, and what base and tuned model's answers say when they are compared question by
question. The questions and their checks stand in `probe.py`, tasks of lm-eval in `general_tasks.py`. Asked is in plain
chat, without the scenario's words.

    items = load_probe(20)
    table = pl.concat([ask("base", folder, None, items, settings), ask("tuned", folder, adapter, items, settings)])
    summarise(table).difference      # tuned minus base: -5.0 % [-15.0, 0.0]
"""

import itertools
from collections.abc import Sequence
from functools import partial
from typing import Any, Final, Literal

import polars as pl
from pydantic import BaseModel, Field

from cs_assets.evaluation.chunks import Keep, generated, keep_nothing
from cs_assets.evaluation.general_tasks import Part, ask_tasks
from cs_assets.evaluation.probe import ProbeItem
from cs_assets.learning.inference import ReportBatch, nobody
from cs_assets.learning.models import load_causal_lm, load_tokenizer
from cs_assets.profiles import by_profile
from cs_assets.statistics import Interval, bootstrap

RetentionModel = Literal["base", "tuned"]
MODELS: Final[tuple[RetentionModel, ...]] = ("base", "tuned")
SCHEMA: Final[dict[str, Any]] = {
    "model": pl.String,
    "item": pl.String,
    "kind": pl.String,
    "question": pl.String,
    "answer": pl.String,
    "right": pl.Float64,
}


class RetentionSettings(BaseModel):
    """How much of the probe is asked, which general tasks besides, and how."""

    questions: int | None = by_profile(
        demo=20, full=None, description="Questions of the probe, taken at even distances; empty: all.", ge=1
    )
    max_new_tokens: int = Field(
        default=128, description="An answer is cut there; a base that works a sum out needs room for it.", ge=1
    )
    again: str = Field(
        default="", description="Another word than before asks all models anew; weekly_evaluation writes the week."
    )
    generation_batch_size: int = by_profile(demo=20, full=64, description="Questions at a time.", ge=1)
    tasks: list[str] = Field(
        default=[],
        description="Tasks of lm-eval that are asked besides, such as ceval-valid, cmmlu, arc_easy; they need the "
        "extra lm-eval, and for their data a hub. Empty: the probe alone.",
    )
    task_limit: int | None = Field(
        default=100, description="Questions of each of `tasks`, taken at even distances; empty: all.", ge=1
    )
    task_folder: str = Field(
        default="", description="Folder with the YAML of `tasks` of your own; empty: the tasks that come with lm-eval."
    )


class Retention(BaseModel):
    """The share of questions answered rightly.

    difference: tuned minus base, the bootstrap going over pairs of answers to the same question. kinds: kind of
    question -> model -> its share.
    """

    base: Interval
    tuned: Interval
    difference: Interval
    kinds: dict[str, dict[RetentionModel, Interval]]

    @property
    def dropped(self) -> bool:
        """Whether the tuned model knows less, and the interval of the difference says that it is no chance."""
        return self.difference.high < 0

    def __str__(self) -> str:
        return f"base {self.base}, tuned {self.tuned}, difference {self.difference} ({self.base.n} questions)"


def ask(
    model: RetentionModel,
    base: str,
    adapter: str | None,
    items: Sequence[ProbeItem],
    settings: RetentionSettings,
    tasks: Sequence[Part] = (),
    report: ReportBatch = nobody,
    keep: Keep = keep_nothing,
) -> pl.DataFrame:
    """Return what a model answers to the items and the questions of the tasks, and whether it is right.

    Args:
        model: the name that its rows bear.
        base, adapter: folders of the weights; no adapter for the base.
        items: the questions of the probe.
        settings: how they are asked.
        tasks: what `load_tasks` returned.
        report: as of `generate`; told of the probe.
        keep: keeps the answers chunk by chunk, those to the tasks of a name as one.
    """
    lm, tokenizer = load_causal_lm(base, adapter), load_tokenizer(base)
    said = generated(
        lm,
        tokenizer,
        [[{"role": "user", "content": item.question}] for item in items],
        max_new_tokens=settings.max_new_tokens,
        batch_size=settings.generation_batch_size,
        keep=keep,
        report=report,
    )
    rows = [
        (model, item.id, item.kind, item.question, answer, float(item.is_right(answer)))
        for item, answer in zip(items, said, strict=True)
    ]

    def make(parts: list[Part]) -> pl.DataFrame:
        answers = [(model, *answer) for answer in ask_tasks(lm, tokenizer, parts)]
        return pl.DataFrame(answers, schema=SCHEMA, orient="row")

    of_tasks = [
        keep(name, partial(make, list(parts))) for name, parts in itertools.groupby(tasks, key=lambda part: part.kind)
    ]
    return pl.concat([pl.DataFrame(rows, schema=SCHEMA, orient="row"), *of_tasks])


def summarise(answers: pl.DataFrame) -> Retention:
    """Return what the answers of base and tuned model to the same questions say.

    Raises:
        ValueError: a question was answered by one of the two only, or there is none.
    """
    by_model = {name: answers.filter(pl.col("model") == name).sort("item") for name in MODELS}
    base, tuned = by_model["base"], by_model["tuned"]
    if not base["item"].equals(tuned["item"]):
        raise ValueError("base and tuned model were asked different questions; materialize `retention` again.")
    return Retention(
        base=bootstrap(base["right"].to_list()),
        tuned=bootstrap(tuned["right"].to_list()),
        difference=bootstrap((tuned["right"] - base["right"]).to_list()),
        kinds={
            kind: {name: bootstrap(by_model[name].filter(kind=kind)["right"].to_list()) for name in MODELS}
            for kind in sorted(set(base["kind"]))
        },
    )


def forgotten(answers: pl.DataFrame) -> pl.DataFrame:
    """Return the questions that the base answers rightly and the tuned model does not, with what it says."""
    known = answers.filter((pl.col("model") == "base") & (pl.col("right") == 1)).select("item")
    lost = answers.filter((pl.col("model") == "tuned") & (pl.col("right") == 0))
    return lost.join(known, on="item", how="semi").sort("item").select("kind", "question", "answer")
