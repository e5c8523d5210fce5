"""Splits, and the proof that they do not leak.

The fold of a sample was fixed by template family and entity block before it was rendered. Here the kept samples become
splits, and what stands in train is compared with every other split.
"""

from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from cs_assets.samples.folds import FOLDS, TEST_FOLDS, spaced_evenly
from cs_assets.scenario import RealStyleSample, Scenario

REAL_STYLE: Final = "real_style"
SPLITS: Final = (*(fold for fold in FOLDS if fold != "judge"), REAL_STYLE)
TEST_SPLITS: Final = (*TEST_FOLDS, REAL_STYLE)
LEARNED: Final = ("train", "validation")
SCHEMA: Final[dict[str, Any]] = {
    "sample_id": pl.String,
    "split": pl.String,
    "message": pl.String,
    "answer": pl.String,
    "tools": pl.String,
    "messages": pl.List(pl.Struct({"role": pl.String, "content": pl.String})),
    "tags": pl.List(pl.String),
    "template_id": pl.String,
    "template_family": pl.String,
    "unit_families": pl.List(pl.String),
    "template_origin": pl.String,
    "entity_block": pl.UInt8,
}


def make_splits(filtered: pl.DataFrame) -> pl.DataFrame:
    """Return the kept samples with their split."""
    return filtered.filter("kept").rename({"fold": "split"}).select(list(SCHEMA))


def without_tested(splits: pl.DataFrame, samples: Sequence[RealStyleSample]) -> pl.DataFrame:
    """Return the splits without training and validation samples that repeat a hand-labelled message.

    The test is frozen, so the training gives way: people and templates alike write short messages such as 转人工.
    """
    tested = pl.Series([sample.message for sample in samples], dtype=pl.String)
    learned = pl.col("split").is_in(LEARNED)
    return splits.filter(~(learned & pl.col("message").is_in(tested.implode())))


def real_style_split(scenario: Scenario, samples: Sequence[RealStyleSample], count: int | None) -> pl.DataFrame:
    """Return the hand-labelled messages as a split: of neither template nor atoms, with their format as tag.

    Args:
        scenario: says what the model is told about a message.
        samples: those of `Scenario.real_style`.
        count: how many, taken at even distances; None: all.
    """
    numbers = spaced_evenly(len(samples), count)
    rows = [
        {
            "sample_id": f"{REAL_STYLE}-{number:05d}",
            "split": REAL_STYLE,
            "message": sample.message,
            "answer": sample.answer,
            "tools": sample.tools,
            "messages": scenario.conversation(sample),
            "tags": [sample.format] if sample.format else [],
            "template_id": "",
            "template_family": "",
            "unit_families": [],
            "template_origin": REAL_STYLE,
            "entity_block": None,
        }
        for number, sample in zip(numbers, map(samples.__getitem__, numbers), strict=True)
    ]
    return pl.DataFrame(rows, schema=SCHEMA)


def leakage_proof(splits: pl.DataFrame) -> pl.DataFrame:
    """Compare train with every other split.

    Returns:
        One row a split: n, shared_families, shared_blocks (how many template families and entity blocks occur in train
        too), identical (messages that stand in train word for word), max_similarity and mean_similarity (of each
        message, the highest Jaccard similarity of character 3-grams to any training message).
    """
    train = splits.filter(pl.col("split") == "train")
    rows = [_compare(train, splits.filter(pl.col("split") == name), name) for name in SPLITS if name != "train"]
    return pl.DataFrame([row for row in rows if row["n"]], schema=_PROOF)


_PROOF: Final = {
    "split": pl.String,
    "n": pl.Int64,
    "shared_families": pl.Int64,
    "shared_blocks": pl.Int64,
    "identical": pl.Int64,
    "max_similarity": pl.Float64,
    "mean_similarity": pl.Float64,
}


def _compare(train: pl.DataFrame, other: pl.DataFrame, name: str) -> dict[str, Any]:
    _, similarity = nearest(other["message"].to_list(), train["message"].to_list())
    return {
        "split": name,
        "n": other.height,
        "shared_families": len(families_in(other) & families_in(train)),
        "shared_blocks": len(set(other["entity_block"]) & set(train["entity_block"])),
        "identical": other.join(train, on="message", how="semi").height,
        "max_similarity": max(similarity, default=0.0),
        "mean_similarity": sum(similarity) / max(len(similarity), 1),
    }


def families_in(samples: pl.DataFrame) -> set[str]:
    """Return every template family that a sample was made of, the first and those of later turns."""
    return set(samples["unit_families"].explode())


def nearest(messages: list[str], others: list[str]) -> tuple[list[int], list[float]]:
    """Return, for each message, which of `others` is most similar, and how much: Jaccard of character 3-grams."""
    import numpy as np
    from sklearn.feature_extraction.text import CountVectorizer

    if not messages or not others:
        return [], []
    vectorizer = CountVectorizer(analyzer="char", ngram_range=(3, 3), binary=True, lowercase=False)
    vectorizer.fit([*messages, *others, "□□□"])  # so that texts of one or two characters have a vocabulary
    left, right = vectorizer.transform(messages).astype(np.float32), vectorizer.transform(others).astype(np.float32)
    right_sizes = np.asarray(right.sum(axis=1)).ravel()
    places: list[int] = []
    similarity: list[float] = []
    for start in range(0, left.shape[0], 512):  # in slices, so that 5,000 x 5,000 samples do not fill the memory
        chunk = left[start : start + 512]
        shared = (chunk @ right.T).toarray()
        union = np.asarray(chunk.sum(axis=1)) + right_sizes - shared
        jaccard = shared / np.maximum(union, 1)
        places += jaccard.argmax(axis=1).tolist()
        similarity += jaccard.max(axis=1).tolist()
    return places, similarity


def leaks(proof: pl.DataFrame) -> list[str]:
    """Return what the proof forbids, in words; empty when the splits are clean."""
    found = []
    for row in proof.iter_rows(named=True):
        if row["identical"]:
            found.append(f"{row['split']}: {row['identical']} messages stand in train word for word")
        if row["split"] == "test_template_ood" and row["shared_families"]:
            found.append(f"{row['split']}: {row['shared_families']} template families are trained on")
        if row["split"] == "test_entity_ood" and row["shared_blocks"]:
            found.append(f"{row['split']}: {row['shared_blocks']} entity blocks are trained on")
    return found
