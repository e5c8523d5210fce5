"""The card is one that the hub reads, and says what was measured, trained on and left out."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from huggingface_hub import ModelCard

from cs_assets.evaluation.reporting import Cell, EvaluationReport, markdown
from cs_assets.evaluation.retention import Retention
from cs_assets.learning.models import Form
from cs_assets.release.model_card import Origin, model_card
from cs_assets.scenario import Scenario
from cs_assets.statistics import Interval

BASE = "Qwen/Qwen2.5-Coder-0.5B-Instruct"
SHARE = Interval(mean=0.9, low=0.8, high=1.0, n=20)
KEPT = Retention(base=SHARE, tuned=SHARE, difference=Interval(mean=0, low=0, high=0, n=20), kinds={})
TRAINING = {"method": "lora", "rank": "16", "prefix_tokens": "32", "learning_rate": "0.0002", "seed": "17"}


def origin(form: Form = "lora", **changed: Any) -> Origin:
    told: dict[str, Any] = {"base": BASE, "on_hub": True, "quantised": False, "licence": "Apache-2.0", "merged": True}
    return Origin(form=form, training=TRAINING, **told | changed)


def report(*splits: str) -> EvaluationReport:
    exact, others = Interval(mean=0.8, low=0.7, high=0.9, n=40), Interval(mean=0.95, low=0.9, high=1.0, n=40)
    cells = [
        Cell(split=split, model=model, exact=exact, repaired=exact, strict_json=others, field_accuracy=others)
        for split in splits
        for model in ("base", "tuned")
    ]
    return EvaluationReport(scenario="address_extraction", cells=cells, p_values={}, fit="fits", judge={}, reward={})


@pytest.fixture
def card(scenario: Scenario, splits: pl.DataFrame, atoms: pl.DataFrame) -> str:
    return model_card(scenario, report("test_template_ood", "real_style"), origin(), splits, atoms)


def test_the_head_is_what_the_hub_reads(card: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(card, encoding="utf-8")
    data = ModelCard.load(tmp_path / "README.md").data
    assert (data.license, data.language, data.pipeline_tag) == ("apache-2.0", "zh", "text-generation")
    assert (data.base_model, data.library_name) == ("Qwen/Qwen2.5-Coder-0.5B-Instruct", "transformers")
    assert data.to_dict()["base_model_relation"] == "finetune"
    results = {(r.dataset_split, r.metric_type): r.metric_value for r in data.eval_results or []}
    assert results == {
        (split, metric): value
        for split in ("test_template_ood", "real_style")
        for metric, value in (
            *(("exact_match", 0.8), ("repaired_exact_match", 0.8)),
            *(("strict_json", 0.95), ("accuracy", 0.95)),
        )
    }


@pytest.mark.parametrize("licence", ["see the hub page", "local folder"])
def test_a_licence_that_is_not_known_is_said_to_be_the_base_s(
    scenario: Scenario, splits: pl.DataFrame, atoms: pl.DataFrame, licence: str
) -> None:
    text = model_card(scenario, report("test_iid"), origin(base="mine", licence=licence, on_hub=False), splits, atoms)
    data = ModelCard(text).data.to_dict()
    assert (data["license"], data["license_name"]) == ("other", "that-of-the-base-model")
    assert not {"base_model", "base_model_relation"} & set(data)
    assert f"`mine` ({licence})" in text


def test_the_data_are_counted(card: str, scenario: Scenario, splits: pl.DataFrame, atoms: pl.DataFrame) -> None:
    train = splits.filter(split="train")
    row = (train.height, train["template_family"].n_unique(), train["template_id"].n_unique())
    assert f"| train | {row[0]} | {row[1]} | {row[2]} | {train['entity_block'].n_unique()} |" in card
    assert "| real_style | 3 | 0 | 0 | 0 |" in card
    assert f"Atoms: {atoms.height} rows of the bundle `shipping`" in card
    rendered = splits.filter(pl.col("split") != "real_style")
    assert f"Templates: {rendered['template_id'].n_unique()} sentences in " in card
    assert f"rewrite {rendered.filter(template_origin='rewrite').height}" in card
    assert f"Seed of the data: {scenario.spec.seed}." in card


def test_it_says_how_to_ask_and_what_was_measured(card: str, scenario: Scenario) -> None:
    assert f"System message: `{scenario.spec.system}`" in card
    assert f"```\n{scenario.spec.instruction}\n```" in card
    assert markdown(report("test_template_ood", "real_style")) in card
    assert "It is judged by its exact match." in card
    assert "| rank | 16 |" in card
    assert "prefix_tokens" not in card
    assert "| seed | 17 |" in card
    assert "The loss curve: fits" in card


def test_where_functions_are_on_offer_the_system_message_is_shown_with_those_of_one_training_case(
    scenario: Scenario, splits: pl.DataFrame, atoms: pl.DataFrame
) -> None:
    tools = pl.col("split").replace_strict({"train": '[{"name": "查询订单"}]'}, default='[{"name": "只在测试里"}]')
    text = model_card(scenario, report("test_iid"), origin(), splits.with_columns(tools=tools), atoms)
    told = scenario.prompt("", '[{"name": "查询订单"}]')[0]["content"]
    assert told.endswith('\n可用的函数：[{"name": "查询订单"}]')
    assert f"```\n{told}\n```" in text
    assert "只在测试里" not in text


@pytest.mark.parametrize(("merged", "told"), [(True, "of that copy, which `merged/` holds."), (False, "of that copy.")])
def test_a_quantised_copy_of_the_base_is_named(
    scenario: Scenario, splits: pl.DataFrame, atoms: pl.DataFrame, merged: bool, told: str
) -> None:
    text = model_card(scenario, report("test_iid"), origin(quantised=True, merged=merged), splits, atoms)
    assert told in text
    assert "8 bits" not in model_card(scenario, report("test_iid"), origin(merged=merged), splits, atoms)


def test_the_limits_tell_of_messages_as_people_write_them_or_that_none_was_asked(
    card: str, scenario: Scenario, splits: pl.DataFrame, atoms: pl.DataFrame
) -> None:
    assert "`real_style` is the exception: exact match 80.0 % [70.0, 90.0] of 40 messages." in card
    without = model_card(scenario, report("test_iid"), origin(), splits, atoms)
    assert "No message as people write them was asked." in without
    assert "What it forgot of the base's general knowledge was not measured." in without
    asked = report("test_iid").model_copy(update={"retention": KEPT})
    measured = model_card(scenario, asked, origin(), splits, atoms)
    assert "What it forgot of the base's general knowledge is measured above, by general questions." in measured
    assert "General questions: base 90.0 % [80.0, 100.0]" in measured


@pytest.mark.parametrize(
    ("form", "merged", "told"),
    [
        ("lora", True, "ollama create address_extraction -f Modelfile"),
        ("lora", False, "`merge: true` in the run config of `release` merges it"),
        ("prefix", False, "A prefix cannot be merged"),
        ("full", True, "every weight was trained"),
    ],
)
def test_each_form_is_used_in_its_own_way(
    scenario: Scenario, splits: pl.DataFrame, atoms: pl.DataFrame, form: Form, merged: bool, told: str
) -> None:
    text = model_card(scenario, report("test_iid"), origin(form, merged=merged), splits, atoms)
    assert told in text
    assert ("| prefix_tokens | 32 |" in text) == (form == "prefix")
    assert ("| rank | 16 |" in text) == (form == "lora")
