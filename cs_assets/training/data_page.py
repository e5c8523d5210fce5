"""The data card: the figures of a data set, its plots, and samples to read; and the page that is made of it.

The page stands alone; the card is a part of another page.

    data_page("收货信息: the data", measures, splits, proof, sentences, 7)    # "<!doctype html>..."
    pages.folded("Data card", data_card(splits, proof, 7, measures, sentences))    # "<details>..."
"""

import html
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import polars as pl

from cs_assets import pages, plots
from cs_assets.scenario import RealStyleSample
from cs_assets.training.measures import DISTINCT_SAMPLE, Measures
from cs_assets.training.splits import SPLITS, families_in, without_tested

_SHOWN: Final = 12
_OF_THE_SPLITS: Final = (
    "A template family: sentences that differ in label words, greetings, politeness or punctuation alone. An entity "
    "block: a fixed part of all names, addresses and other values. The messages of real_style have neither."
)
_OF_THE_PROOF: Final = (
    "shared: how many of its families or blocks occur in train too. identical: messages that stand in train word for "
    "word. similarity: of each message to the training message most like it, from 0 to 1 (Jaccard, three characters at "
    "a time). Required are: no identical message, no shared family in test_template_ood, no shared block in "
    "test_entity_ood."
)
_OF_THE_SENTENCES: Final = (
    "Of each held-out family the sentence most like a trained one, the most similar first. Each slot counts as the "
    "same mark, whatever stands in it, so that sentences of slots alone are all alike."
)


def data_page(
    title: str, measures: Measures, splits: pl.DataFrame, proof: pl.DataFrame, sentences: pl.DataFrame, seed: int
) -> str:
    """Return the data card as a page of its own, under this title; see `data_card`."""
    return pages.page(title, data_card(splits, proof, seed, measures, sentences))


def data_card(
    splits: pl.DataFrame,
    proof: pl.DataFrame,
    seed: int,
    measures: Measures | None = None,
    sentences: pl.DataFrame | None = None,
) -> list[str]:
    """Return the data card as parts of a page; what is not known is left out.

    Args:
        splits: the table of `training_splits`; some of its training samples are shown.
        proof: of no leakage.
        seed: chooses the samples that are shown.
        measures: figures of the samples that the splits were made of.
        sentences: what `nearest_sentences` found.
    """
    train = splits.filter(pl.col("split") == "train")
    shown = random.Random(seed).sample(train.to_dicts(), min(_SHOWN, train.height))
    return [
        *_splits(splits),
        *(_measured(measures, train["message"]) if measures else []),
        *_frame("Train against the other splits", proof),
        _note(_OF_THE_PROOF),
        *(_nearest(sentences) if sentences is not None and sentences.height else []),
        pages.heading("Samples to train on"),
        *(_sample(row) for row in shown),
    ]


def are_of(filtered: pl.DataFrame, splits: pl.DataFrame, real: Sequence[RealStyleSample]) -> bool:
    """Tell whether the splits' training samples are those that the filter keeps now.

    Args:
        filtered: the table of `filtered_samples`, which may have been made again since.
        splits: the table of `training_splits`.
        real: the hand-labelled messages, which training gives way to.
    """
    kept = filtered.filter(pl.col("kept")).rename({"fold": "split"})
    now, then = (
        table.filter(split="train").select("sample_id", "message", "answer").sort("sample_id")
        for table in (without_tested(kept, real), splits)
    )
    return now.equals(then)


def _splits(splits: pl.DataFrame) -> list[str]:
    """Return how large each split is, and what of it is held out of training."""
    head = ("split", "samples", "template families", "not in train", "entity blocks", "not in train")
    by_name = {str(name): table for (name,), table in splits.group_by("split")}
    known = _origins(by_name.get("train", splits.clear()))
    rows = []
    for name in (name for name in SPLITS if name in by_name):
        counts: list[str] = []
        for found, trained in zip(_origins(by_name[name]), known, strict=True):
            held_out = "" if name == "train" else f"{len(found - trained):,}"
            counts += [f"{len(found):,}", held_out] if found else ["", ""]
        rows.append((name, f"{by_name[name].height:,}", *counts))
    return [*_section("Splits", head, rows), _note(_OF_THE_SPLITS), *_unseen_noise(by_name)]


def _origins(samples: pl.DataFrame) -> tuple[set[Any], set[Any]]:
    """Return the template families and the entity blocks that samples are made of."""
    return families_in(samples) - {None}, set(samples["entity_block"].drop_nulls())


def _unseen_noise(by_name: Mapping[str, pl.DataFrame]) -> list[str]:
    """Return which noise `test_noise` alone has."""
    trained, tested = (
        set(by_name[name]["tags"].explode().drop_nulls()) if name in by_name else set()
        for name in ("train", "test_noise")
    )
    unseen = sorted(tested - trained)
    return [_note(f"Noise that is in test_noise and not in train: {', '.join(unseen)}.")] if unseen else []


def _measured(measures: Measures, messages: pl.Series) -> list[str]:
    """Return the figures of the samples to train on, and of what was thrown away before."""
    compared = min(DISTINCT_SAMPLE, measures.samples)
    spread = " / ".join(f"{measures.characters[percentile]:.0f}" for percentile in (5, 50, 95))
    figures = [
        ("samples to train on", f"{measures.samples:,}"),
        ("different messages", _share(measures.distinct_messages)),
        *((f"distinct-{n} of {compared:,} messages", _share(share)) for n, share in measures.distinct.items()),
        ("characters of a message, 5 % / median / 95 %", spread),
    ]
    lengths = messages.str.len_chars().to_list()
    return [
        *_section("Figures", ("figure", "value"), figures),
        _note("distinct-n: how many of all runs of n characters are different ones."),
        plots.html_image(plots.length_histogram(lengths), "length of the messages"),
        plots.html_image(plots.share_bars("samples by variation tag", measures.tags), "variation tags"),
        *_units(measures.units),
        *_shares("What each gate rejected", "gate", measures.gates),
        *_shares("Values of each slot that occur in a sample", "slot", measures.coverage),
    ]


def _nearest(sentences: pl.DataFrame) -> list[str]:
    shown = sentences.head(_SHOWN)
    texts = (
        {
            "held-out": row["sentence"],
            "trained": row["nearest"] or "(none)",
            "similarity": f"{row['similarity'] or 0:.3f}",
            "family": row["family"],
        }
        for row in shown.iter_rows(named=True)
    )
    return [
        pages.heading("Held-out sentences and the trained ones most like them"),
        _note(_OF_THE_SENTENCES),
        *map(pages.entry, texts),
    ]


def _note(text: str) -> str:
    return f'<p class="note">{html.escape(text)}</p>'


def _share(share: float) -> str:
    return f"{100 * share:.1f} %"


def _section(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> tuple[str, str]:
    return pages.heading(title), pages.table(head, list(rows))


def _units(units: Mapping[str, int]) -> list[str]:
    return [plots.html_image(plots.share_bars("samples by unit", units), "units")] if len(units) > 1 else []


def _shares(title: str, name: str, shares: Mapping[str, float]) -> tuple[str, str]:
    rows = [(key, _share(share)) for key, share in shares.items()] or [("none", "")]
    return _section(title, (name, "share"), rows)


def _frame(title: str, frame: pl.DataFrame) -> tuple[str, str]:
    rows = [[f"{value:.3f}" if isinstance(value, float) else str(value) for value in row] for row in frame.iter_rows()]
    return _section(title, [name.replace("_", " ") for name in frame.columns], rows)


def _sample(row: Mapping[str, Any]) -> str:
    template = f"{row['template_id']} · {', '.join(row['tags']) or 'plain'}"
    return pages.entry({"message": row["message"], "answer": row["answer"], "template": template})
