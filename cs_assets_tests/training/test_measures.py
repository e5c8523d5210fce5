"""The figures of a data set, against data whose figures are known by hand."""

import polars as pl
import pytest

from cs_assets.quality.filtering import filter_samples
from cs_assets.training.measures import coverage, distinct_n, measure, nearest_sentences, plain_figures


@pytest.mark.parametrize(
    ("texts", "n", "wanted"),
    [(["abab"], 1, 0.5), (["abab"], 2, 2 / 3), (["ab", "ab"], 2, 0.5), ([], 2, 0), (["a"], 2, 0)],
)
def test_distinct_n_is_the_share_of_different_ngrams(texts: list[str], n: int, wanted: float) -> None:
    assert distinct_n(texts, n) == pytest.approx(wanted)


def test_coverage_counts_values_that_a_sample_shows() -> None:
    atoms = pl.DataFrame(
        {
            "atom_id": [0, 1, 2, 3],
            "entity_block": [0, 0, 0, 9],
            "电话": ["1", "2", "2", "7"],
            "名字": [{"param": {"输出": name}} for name in "张李王赵"],
        }
    )
    variants = pl.DataFrame({"template_id": ["t", "u"], "slots": [["电话"], ["名字.param.输出", "电话"]]})
    samples = pl.DataFrame({"atom_id": [0, 1], "entity_block": [0, 0], "template_ids": [["t"], ["t", "u"]]})
    assert coverage(samples, variants, atoms) == {"名字.param.输出": pytest.approx(1 / 3), "电话": 1.0}


@pytest.fixture(scope="module")
def filtered(labelled: pl.DataFrame) -> pl.DataFrame:
    first = pl.col("sample_id") == "train-00002"
    marked = labelled.with_columns(duplicate_of=pl.when(first).then(pl.lit("train-00001")).otherwise("duplicate_of"))
    return filter_samples(marked, {"train-00000": 0.1}, 0.5)


def test_a_data_set_is_measured_by_what_was_kept_of_train(
    filtered: pl.DataFrame, variants: pl.DataFrame, atoms: pl.DataFrame
) -> None:
    found = measure(filtered, variants, atoms)
    kept = filtered.filter("kept", pl.col("fold") == "train")
    assert found.samples == kept.height == 14
    assert found.distinct_messages == 1.0
    assert sum(found.tags.values()) == sum(found.units.values()) == 14
    assert found.characters[5] <= found.characters[50] <= found.characters[95]
    assert found.gates["sample: judge"] == found.gates["sample: near-duplicate"] == 1 / filtered.height
    assert 0 < plain_figures(found)["least_covered_slot"] < 1


def test_the_nearest_sentence_disregards_what_stands_in_the_slots() -> None:
    texts = ["寄到{{地址.param.省}}，电话{{电话}}", "寄到{{旧地址}}，电话{{旧电话}}", "在吗亲"]
    variants = pl.DataFrame({"family": ["a", "b", "c"], "text": texts, "accepted": [True] * 3})
    splits = pl.DataFrame({"split": ["train", "test_template_ood"], "unit_families": [["a", "c"], ["b"]]})
    found = nearest_sentences(variants, splits).row(0, named=True)
    assert (found["family"], found["nearest"], found["similarity"]) == ("b", texts[0], 1.0)
    assert nearest_sentences(variants, splits.head(1)).is_empty()
