"""The page about a data set: figures and samples, safe to open, nothing loaded."""

import polars as pl

from cs_assets.quality.filtering import filter_samples
from cs_assets.scenario import RealStyleSample, Scenario
from cs_assets.training.data_page import are_of, data_card, data_page
from cs_assets.training.measures import measure, nearest_sentences
from cs_assets.training.splits import leakage_proof, make_splits, without_tested


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


def test_the_splits_stand_with_what_is_held_out_of_training(splits: pl.DataFrame) -> None:
    card = "".join(data_card(splits, leakage_proof(splits), 1))
    for name, samples in splits.group_by("split").len().iter_rows():
        assert f'<tr><td>{name}</td><td class="figure">{samples}</td>' in card
    unseen = splits.filter(split="test_template_ood")
    families = unseen["template_family"].n_unique()
    blocks = unseen["entity_block"].n_unique()
    row = "".join(f'<td class="figure">{n}</td>' for n in (unseen.height, families, families, blocks, 0))
    assert f"<td>test_template_ood</td>{row}" in card
    noises = {tag for tags in splits.filter(split="test_noise")["tags"].to_list() for tag in tags}
    assert noises
    assert all(noise in card for noise in noises)


def test_what_is_not_known_of_the_samples_is_left_out(splits: pl.DataFrame) -> None:
    card = "".join(data_card(splits, leakage_proof(splits), 1))
    assert "Train against the other splits" in card
    assert "What each gate rejected" not in card
    assert "Held-out sentences" not in card


def test_samples_that_were_made_again_are_not_those_of_the_splits(labelled: pl.DataFrame) -> None:
    filtered = filter_samples(labelled, {}, 0.0)
    splits = make_splits(filtered)
    assert are_of(filtered, splits, [])
    again = pl.when(split="train").then(pl.lit("另一条")).otherwise("message")
    assert not are_of(filtered, splits.with_columns(message=again), [])
    assert not are_of(filtered, splits.filter(pl.col("sample_id") != splits.filter(split="train")["sample_id"][0]), [])
    given_way = splits.filter(split="train")["message"][0]
    real = [RealStyleSample(message=given_way, answer="{}")]
    assert are_of(filtered, without_tested(splits, real), real)
