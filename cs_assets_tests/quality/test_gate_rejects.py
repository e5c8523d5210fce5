"""What the templates' gates rejected, as wrong samples for the judge."""

import re

import polars as pl
import pytest

from cs_assets.quality.checks import labels_are_balanced
from cs_assets.quality.gate_rejects import MAX_SHARE, gate_rejects
from cs_assets.quality.judging import verdicts_to_learn
from cs_assets.quality.labelling import GATE, SCHEMA, label_samples
from cs_assets.samples.twin import make_twin
from cs_assets.scenario import Scenario, load_scenario
from cs_assets.templates.variants import template_variants
from cs_assets_tests.conftest import evaluated, rendered_alone

LOST = "收件人{{名字.param.输出 | trim}}，帮我改一下"
CHATTY = "以下是改写后的句子：{{名字.param.输出 | trim}}"


def rejecting(scenario: Scenario, atoms: pl.DataFrame, *texts: str) -> pl.DataFrame:
    """The variants of a scenario for which an LLM wrote the same texts beside every seed."""
    written = {name: [(text, 0.1) for text in texts] for name in scenario.seeds()}
    return template_variants(scenario, atoms.head(3).to_dicts(), llm_texts=written)


def test_a_variant_that_lost_a_slot_is_wrong_with_the_answer_of_its_seed(
    scenario: Scenario, labelled: pl.DataFrame, atoms: pl.DataFrame
) -> None:
    variants = rejecting(scenario, atoms, LOST)
    rejects = gate_rejects(scenario, labelled, variants, atoms)
    good = labelled.filter(pl.col("label"), part="train")
    rejected = variants.filter(~pl.col("accepted"), pl.col("reason").str.starts_with("slots: "))
    assert rejects.height == int(MAX_SHARE * good.height) < rejected.height
    assert dict(rejects.schema) == SCHEMA
    assert set(rejects["atom_id"]) <= set(good["atom_id"])
    rows = {row["atom_id"]: row for row in atoms.to_dicts()}
    seeds = scenario.seeds()
    for row in rejects.to_dicts():
        seed = seeds[row["template_id"].rpartition("-")[0]]
        assert row["answer"] == rendered_alone(scenario, seed, rows[row["atom_id"]]).answer
        assert row["message"].startswith("收件人")
        assert row["message"].endswith("，帮我改一下")
        assert row["messages"] == [
            *scenario.prompt(row["message"]),
            {"role": "assistant", "content": row["answer"]},
        ]
        assert (row["label"], row["part"], row["corruption_family"]) == (False, "train", GATE)
    assert gate_rejects(scenario, labelled, variants.reverse(), atoms.reverse()).equals(rejects)


def test_the_judge_learns_them_beside_the_twins(
    scenario: Scenario, labelled: pl.DataFrame, atoms: pl.DataFrame
) -> None:
    rejects = gate_rejects(scenario, labelled, rejecting(scenario, atoms, LOST), atoms)
    both = pl.concat([labelled, rejects])
    assert evaluated(labels_are_balanced, both).passed
    learnt = verdicts_to_learn(scenario, both)[-rejects.height :]
    assert [(verdict.correct, verdict.twins) for verdict in learnt] == [(False, "")] * rejects.height


def test_sentences_held_out_for_the_test_are_not_shown_to_the_judge(
    scenario: Scenario, labelled: pl.DataFrame, atoms: pl.DataFrame
) -> None:
    variants = rejecting(scenario, atoms, LOST)
    known = labelled.filter(pl.col("part") != "")["template_family"].unique().implode()
    held_out = variants.filter(~pl.col("family").is_in(known))
    assert not held_out.filter(~pl.col("accepted")).is_empty()
    assert gate_rejects(scenario, labelled, held_out, atoms).is_empty()


def test_a_message_that_the_judge_is_tested_on_is_not_learnt(
    scenario: Scenario, labelled: pl.DataFrame, atoms: pl.DataFrame
) -> None:
    variants = rejecting(scenario, atoms, "麻烦帮我寄一下")  # without a slot, the same message whatever the atoms
    assert not gate_rejects(scenario, labelled, variants, atoms).is_empty()
    tested = pl.when(part="test").then(pl.lit("麻烦帮我寄一下")).otherwise("message")
    assert gate_rejects(scenario, labelled.with_columns(message=tested), variants, atoms).is_empty()


@pytest.mark.parametrize("texts", [(), (CHATTY,)])
def test_other_gates_give_no_negatives(
    scenario: Scenario, labelled: pl.DataFrame, atoms: pl.DataFrame, texts: tuple[str, ...]
) -> None:
    variants = rejecting(scenario, atoms, *texts)
    assert bool(texts) == ("prose" in set(variants["reason"].str.split(":").list.first()))
    assert gate_rejects(scenario, labelled, variants, atoms).is_empty()


def test_a_lost_slot_that_the_answer_does_not_need_makes_nothing_wrong() -> None:
    scenario = load_scenario("intent_routing").with_counts(judge=16)
    twin = make_twin(scenario)
    seeds = {name: seed for name, seed in scenario.seeds().items() if seed.slots}
    written = {name: [(f"{name}，您好，帮我看一下", 0.1)] for name in seeds}
    variants = template_variants(scenario, twin.atoms.head(3).to_dicts(), llm_texts=written)
    assert variants["reason"].str.starts_with("slots: lost").any()
    assert gate_rejects(scenario, label_samples(scenario, twin.samples), variants, twin.atoms).is_empty()


# Of each kind one: samples of several templates, functions that two slots may fill, an answer without slots.
@pytest.mark.parametrize("name", ["delivery_time_product_query", "ticket_tools", "empathetic_reply"])
def test_whatever_an_llm_lost_or_added_stops_no_scenario(name: str) -> None:
    few = {"judge": 32, "train": 4, "validation": 0, "test_iid": 0, "test_template_ood": 4, "test_entity_ood": 0}
    scenario = load_scenario(name).with_counts(**few, test_noise=0)
    twin = make_twin(scenario)
    written = {}
    for seed_name, seed in scenario.seeds().items():
        if slots := list(re.finditer(r"\{\{.*?\}\}", seed.text)):
            lost = seed.text[: slots[-1].start()] + seed.text[slots[-1].end() :]
            written[seed_name] = [(lost, 0.1), (f"{seed.text}，{slots[0][0]}", 0.1)]
    variants = template_variants(scenario, twin.atoms.head(3).to_dicts(), llm_texts=written)
    for mistake in ("slots: lost", "slots: added"):
        assert variants["reason"].str.starts_with(mistake).any()
    rejects = gate_rejects(scenario, label_samples(scenario, twin.samples), variants, twin.atoms)
    assert dict(rejects.schema) == SCHEMA
    assert not rejects["label"].any()
