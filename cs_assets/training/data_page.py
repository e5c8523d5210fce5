"""The page about a data set: its figures, its plots, and samples to read."""

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import polars as pl

from cs_assets import pages, plots
from cs_assets.training.measures import DISTINCT_SAMPLE, Measures

_SHOWN: Final = 12


def data_page(
    title: str, measures: Measures, splits: pl.DataFrame, proof: pl.DataFrame, sentences: pl.DataFrame, seed: int
) -> str:
    """Return the page as HTML.

    Args:
        title: of the scenario.
        measures: its figures.
        splits: the table of `training_splits`; some of its training samples are shown.
        proof: of no leakage.
        sentences: what `nearest_sentences` found.
        seed: chooses the samples that are shown.
    """
    train = splits.filter(pl.col("split") == "train")
    shown = random.Random(seed).sample(train.to_dicts(), min(_SHOWN, train.height))
    lengths = train["message"].str.len_chars().to_list()
    compared = min(DISTINCT_SAMPLE, measures.samples)
    spread = " / ".join(f"{measures.characters[percentile]:.0f}" for percentile in (5, 50, 95))
    figures = [
        ("samples to train on", f"{measures.samples:,}"),
        ("different messages", f"{measures.distinct_messages:.1%}"),
        *((f"distinct-{n} of {compared:,} messages", f"{share:.1%}") for n, share in measures.distinct.items()),
        ("characters of a message, 5 % / median / 95 %", spread),
    ]
    return pages.page(
        title,
        [
            *_section("Figures", ("figure", "value"), figures),
            plots.html_image(plots.length_histogram(lengths), "length of the messages"),
            plots.html_image(plots.share_bars("samples by variation tag", measures.tags), "variation tags"),
            *_units(measures.units),
            *_shares("What each gate rejected", "gate", measures.gates),
            *_shares("Values of each slot that occur in a sample", "slot", measures.coverage),
            *_frame("Train against the other splits", proof),
            *_frame("Held-out sentences and the most similar trained ones (slots as one mark)", sentences.head(_SHOWN)),
            pages.heading("Samples"),
            *(_sample(row) for row in shown),
        ],
    )


def _section(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> tuple[str, str]:
    return pages.heading(title), pages.table(head, list(rows))


def _units(units: Mapping[str, int]) -> list[str]:
    return [plots.html_image(plots.share_bars("samples by unit", units), "units")] if len(units) > 1 else []


def _shares(title: str, name: str, shares: Mapping[str, float]) -> tuple[str, str]:
    rows = [(key, f"{share:.1%}") for key, share in shares.items()] or [("none", "")]
    return _section(title, (name, "share"), rows)


def _frame(title: str, frame: pl.DataFrame) -> tuple[str, str]:
    rows = [[f"{value:.3f}" if isinstance(value, float) else str(value) for value in row] for row in frame.iter_rows()]
    return _section(title, frame.columns, rows)


def _sample(row: Mapping[str, Any]) -> str:
    template = f"{row['template_id']} · {', '.join(row['tags']) or 'plain'}"
    return pages.entry({"message": row["message"], "answer": row["answer"], "template": template})
