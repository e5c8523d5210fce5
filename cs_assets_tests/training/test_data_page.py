"""The page about a data set: figures and samples, safe to open, nothing loaded."""

import polars as pl

from cs_assets.quality.filtering import filter_samples
from cs_assets.scenario import Scenario
from cs_assets.training.data_page import data_page
from cs_assets.training.measures import measure, nearest_sentences
from cs_assets.training.splits import leakage_proof, make_splits


def test_the_page_shows_figures_and_samples(
    scenario: Scenario, labelled: pl.DataFrame, variants: pl.DataFrame, atoms: pl.DataFrame
) -> None:
    filtered = filter_samples(labelled, {"train-00000": 0.1}, 0.5)
    splits = make_splits(filtered)
    sentences = nearest_sentences(variants, splits)
    page = data_page("收货 <b>", measure(filtered, variants, atoms), splits, leakage_proof(splits), sentences, 1)
    assert "收货 &lt;b&gt;" in page
    assert "sample: judge" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    shown = [row for row in splits.filter(pl.col("split") == "train").to_dicts() if row["template_id"] in page]
    assert len(shown) >= 12
