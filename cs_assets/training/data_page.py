"""The page about a data set: its figures, its plots, and samples to read.

One self-contained HTML file; it loads nothing from a network.
"""

import html
import random
from collections.abc import Mapping
from typing import Final

import polars as pl

from cs_assets import plots
from cs_assets.training.measures import DISTINCT_SAMPLE, Measures

_SHOWN: Final = 12


def data_page(
    title: str, measures: Measures, splits: pl.DataFrame, proof: pl.DataFrame, sentences: pl.DataFrame, seed: int
) -> str:
    """Return the page.

    Args:
        title: of the scenario.
        measures: its figures.
        splits: the table of `training_splits`; some of its training samples are shown.
        proof: of no leakage.
        sentences: what `nearest_sentences` found.
        seed: chooses the samples that are shown.
    """
    train = splits.filter(pl.col("split") == "train").to_dicts()
    shown = random.Random(seed).sample(train, min(_SHOWN, len(train)))
    lengths = splits.filter(pl.col("split") == "train")["message"].str.len_chars().to_list()
    spread = " / ".join(f"{measures.characters[percentile]:.0f}" for percentile in (5, 50, 95))
    figures: list[tuple[str, ...]] = [
        ("samples to train on", f"{measures.samples:,}"),
        ("different messages", f"{measures.distinct_messages:.1%}"),
        *((f"distinct-{n} of {DISTINCT_SAMPLE:,} messages", f"{share:.1%}") for n, share in measures.distinct.items()),
        ("characters of a message, 5 % / median / 95 %", spread),
    ]
    parts = [
        _table("Figures", ("figure", "value"), figures),
        plots.html_image(plots.length_histogram(lengths), "length of the messages"),
        plots.html_image(plots.share_bars("samples by variation tag", measures.tags), "variation tags"),
        plots.html_image(plots.share_bars("samples by unit", measures.units), "units")
        if len(measures.units) > 1
        else "",
        _shares("What each gate rejected", "gate", measures.gates),
        _shares("Values of each slot that occur in a sample", "slot", measures.coverage),
        _frame("Train against the other splits", proof),
        _frame("Held-out sentences and the most similar trained ones (slots as one mark)", sentences.head(_SHOWN)),
        "<h2>Samples</h2>",
        *(_sample(row) for row in shown),
    ]
    return _PAGE.format(title=html.escape(title), body="\n".join(parts))


def _table(title: str, head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    cells = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    names = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    return f"<h2>{html.escape(title)}</h2><table><tr>{names}</tr>{cells}</table>"


def _shares(title: str, name: str, shares: Mapping[str, float]) -> str:
    return _table(title, (name, "share"), [(key, f"{share:.1%}") for key, share in shares.items()] or [("none", "")])


def _frame(title: str, frame: pl.DataFrame) -> str:
    rows = [tuple(f"{v:.3f}" if isinstance(v, float) else str(v) for v in row) for row in frame.iter_rows()]
    return _table(title, tuple(frame.columns), rows)


def _sample(row: dict) -> str:
    tags = ", ".join(row["tags"]) or "plain"
    cells = (("message", row["message"]), ("answer", row["answer"]), ("template", f"{row['template_id']} · {tags}"))
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{html.escape(text)}</dd>" for name, text in cells) + "</dl>"


_PAGE: Final = """<!doctype html>
<html lang="zh"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1d2433; }}
h1 {{ font-size: 1.6rem; }} h2 {{ font-size: 1.15rem; margin-top: 2rem; }}
table {{ border-collapse: collapse; width: 100%; }} td, th {{ padding: .35rem .6rem; border-bottom: 1px solid #dde; }}
th {{ text-align: left; }} td {{ overflow-wrap: anywhere; vertical-align: top; }}
dl {{ border-left: 3px solid #ccd; padding-left: 1rem; margin: 1.2rem 0; }} dt {{ color: #678; font-size: .85rem; }}
dd {{ margin: 0 0 .3rem; white-space: pre-wrap; overflow-wrap: anywhere; }} img {{ max-width: 100%; }}
</style></head><body><h1>{title}</h1>
{body}
</body></html>
"""
