"""How good a data set is, in figures: how varied, how long, what it covers, and what each gate threw away.

Here belongs the measuring. The page that shows the figures is in `data_page.py`.

distinct-n is the share of different character n-grams among all of them (Li et al. 2016, arXiv 1510.03055, who count
words; Chinese is not written in words). It falls as a data set grows, so compare sets of one size only: it is therefore
measured on the first `DISTINCT_SAMPLE` messages.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl
from pydantic import BaseModel

from cs_assets.families.columns import slot_expression
from cs_assets.templates.gates import rejected_by_gate
from cs_assets.training.splits import families_in, nearest

DISTINCT_SAMPLE: Final = 1_000
# What a sentence has in place of a value, when sentences are compared.
_SLOT: Final = r"\{\{.*?\}\}"


class Measures(BaseModel):
    """The figures of one data set.

    distinct: n -> distinct-n of the messages. characters: the 5th, 25th, 50th, 75th and 95th percentile of a message's
    length. tags, units: how many samples carry each ("plain": no noise; "": no units). coverage: slot -> share of the
    different values in the atoms that could be drawn which occur in a sample. gates: "stage: gate" -> share rejected.
    """

    samples: int
    distinct_messages: float
    distinct: dict[int, float]
    characters: dict[int, float]
    tags: dict[str, int]
    units: dict[str, int]
    coverage: dict[str, float]
    gates: dict[str, float]


def measure(filtered: pl.DataFrame, variants: pl.DataFrame, atoms: pl.DataFrame) -> Measures:
    """Measure what was kept for training.

    Args:
        filtered: the table of `filtered_samples`; the kept samples of the fold `train` are measured.
        variants: the table of `template_variants`.
        atoms: the table of `atomic_table`.
    """
    train = filtered.filter((pl.col("fold") == "train") & pl.col("kept"))
    messages = train["message"]
    lengths = messages.str.len_chars()
    tags = Counter(tag for tags in train["tags"].to_list() for tag in tags or ["plain"])
    return Measures(
        samples=train.height,
        distinct_messages=messages.n_unique() / max(train.height, 1),
        distinct={n: distinct_n(messages.head(DISTINCT_SAMPLE).to_list(), n) for n in (1, 2, 3)},
        characters={p: float(lengths.quantile(p / 100, "nearest") or 0) for p in (5, 25, 50, 75, 95)},
        tags=dict(sorted(tags.items())),
        units=dict(train.group_by("unit").len().sort("unit").iter_rows()),
        coverage=coverage(train, variants, atoms),
        gates=_gate_shares("template", variants, "accepted") | _gate_shares("sample", filtered, "kept"),
    )


def distinct_n(texts: Sequence[str], n: int) -> float:
    """Return the share of different character n-grams among all of them; 0 where there are none."""
    grams = [text[i : i + n] for text in texts for i in range(len(text) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 0.0


def coverage(samples: pl.DataFrame, variants: pl.DataFrame, atoms: pl.DataFrame) -> dict[str, float]:
    """Return, for each slot of the templates used, the share of the atoms' different values that a sample shows."""
    slots = dict(variants.select("template_id", "slots").iter_rows())
    used = (
        samples.select("atom_id", template_id="template_ids")
        .explode("template_id")
        .select("atom_id", slot=pl.col("template_id").replace_strict(slots, default=None))
        .explode("slot")
    )
    rows = atoms.filter(pl.col("entity_block").is_in(samples["entity_block"].unique().implode()))
    found = {}
    for (slot,), group in sorted(used.drop_nulls().group_by("slot"), key=lambda item: str(item[0])):
        values = rows.select("atom_id", value=slot_expression(str(slot)))
        shown = values.filter(pl.col("atom_id").is_in(group["atom_id"].implode()))["value"].n_unique()
        found[str(slot)] = shown / max(values["value"].n_unique(), 1)
    return found


def _gate_shares(what: str, table: pl.DataFrame, passed: str) -> dict[str, float]:
    """Return the share that each gate rejected."""
    return {f"{what}: {gate}": count / table.height for gate, count in rejected_by_gate(table, passed).items()}


def nearest_sentences(variants: pl.DataFrame, splits: pl.DataFrame) -> pl.DataFrame:
    """Return, for each held-out template family, the trained sentence that is most like one of its own.

    Sentences are compared as character 3-grams with every slot as one mark, so that neither names nor addresses count.

    Args:
        variants: the table of `template_variants`.
        splits: the table of `training_splits`; train and test_template_ood are compared.

    Returns:
        family, sentence, nearest (the trained sentence), similarity (Jaccard), the most similar first.
    """
    accepted = variants.filter("accepted").with_columns(bare=pl.col("text").str.replace_all(_SLOT, "□"))
    known, new = (
        accepted.filter(pl.col("family").is_in(list(families_in(splits.filter(pl.col("split") == name)))))
        for name in ("train", "test_template_ood")
    )
    places, similarity = nearest(new["bare"].to_list(), known["bare"].to_list())
    return (
        new.select("family", sentence="text")
        .with_columns(
            nearest=known["text"].gather(places) if places else pl.lit(None, pl.String),
            similarity=pl.Series(similarity, dtype=pl.Float64),
        )
        .sort("similarity", "sentence", descending=[True, False])
        .group_by("family", maintain_order=True)
        .first()
    )


def plain_figures(measures: Measures) -> Mapping[str, Any]:
    """Return the figures that stand in an asset's metadata, one number each."""
    return {
        "distinct_messages": round(measures.distinct_messages, 4),
        **{f"distinct_{n}": round(share, 4) for n, share in measures.distinct.items()},
        "median_characters": measures.characters[50],
        "least_covered_slot": min(measures.coverage.values(), default=0.0),
    }
