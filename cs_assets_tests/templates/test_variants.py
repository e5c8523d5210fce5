"""The table of variants: what is kept, what is marked and why."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cs_assets.families.syntax import TemplateError, parse_template
from cs_assets.scenario import Scenario, load_scenario
from cs_assets.templates.checks import complaints
from cs_assets.templates.gates import signature
from cs_assets.templates.rewrite import is_record
from cs_assets.templates.variants import SCHEMA, courtesies, template_variants, variant_figures
from cs_assets_tests.templates.conftest import CHAT, COMMA, with_counts, write


def test_every_seed_stands_in_the_table_and_is_accepted(scenario: Scenario, variants: pl.DataFrame) -> None:
    assert dict(variants.schema) == SCHEMA
    found = variants.filter(pl.col("origin") == "seed")
    assert found["seed_file"].to_list() == [path.name for path in scenario.seed_paths()]
    assert found["accepted"].all()


def test_ids_are_unique_and_tell_the_seed(variants: pl.DataFrame) -> None:
    assert variants["template_id"].is_unique().all()
    assert variants.select(pl.col("seed_file").str.starts_with(pl.col("template_id").str.head(-3))).to_series().all()


def test_a_row_is_accepted_or_has_a_reason(variants: pl.DataFrame) -> None:
    assert (variants["accepted"] == (variants["reason"] == "")).all()


def test_no_text_is_accepted_twice(variants: pl.DataFrame) -> None:
    assert variants.filter("accepted")["text"].is_unique().all()


def test_rewrites_are_as_many_as_the_counts_say_and_pass_the_gates(
    scenario: Scenario, probes: list[dict[str, Any]]
) -> None:
    table = template_variants(with_counts(scenario, variants_per_seed=3), probes)
    rewrites = table.filter(pl.col("origin") == "rewrite")
    accepted = rewrites.filter("accepted").group_by("seed_file").len()
    assert accepted["len"].to_list() == [3] * sum(not is_record(seed.text) for seed in scenario.seeds().values())
    assert set(rewrites.filter(~pl.col("accepted"))["reason"].str.split(":").list.first()) <= {"family", "duplicate"}


def test_what_clashes_with_another_family_is_made_up_for(scenario: Scenario, probes: list[dict[str, Any]]) -> None:
    """The orders of a bare listing are mostly other seeds' sentences; the rewriter is asked until it has enough."""
    table = template_variants(with_counts(scenario, variants_per_seed=8), probes)
    listing = table.filter(pl.col("seed_file") == "09_slashes.j2", pl.col("origin") == "rewrite")
    assert listing["accepted"].sum() == 8 < listing.height


def test_a_rewrite_never_takes_the_place_of_a_seed(two_seeds: Scenario, probes: list[dict[str, Any]]) -> None:
    write(two_seeds.folder, "03_thanks.j2", "{{名字.param.输出}}，{{电话}}，谢谢")
    table = template_variants(with_counts(two_seeds, variants_per_seed=30), probes)
    assert table.filter(pl.col("origin") == "seed")["accepted"].all()


@pytest.mark.parametrize(
    ("name", "unit", "allowed"),
    [
        ("address_extraction", "", {"greeting", "thanks"}),
        ("repair_workflow", "problem", {"greeting", "thanks"}),
        ("repair_workflow", "agreed", {"thanks"}),
        ("empathetic_reply", "late", set()),
        ("shop_knowledge", "order_text_to_json", set()),
    ],
)
def test_courtesies_are_for_those_who_open_a_talk_and_ask(name: str, unit: str, allowed: set[str]) -> None:
    assert courtesies(load_scenario(name), unit) == allowed


def test_the_same_seed_gives_identical_frames_and_another_does_not(
    scenario: Scenario, atoms: pl.DataFrame, variants: pl.DataFrame
) -> None:
    other = Scenario(scenario.folder, scenario.spec.model_copy(update={"seed": 5}))
    assert template_variants(scenario, atoms.head(3).to_dicts()).equals(variants)
    assert not template_variants(other, atoms.head(3).to_dicts()).equals(variants)


def test_what_an_llm_wrote_passes_the_same_gates(two_seeds: Scenario, probes: list[dict[str, Any]]) -> None:
    texts = [
        ("叫我{{名字.param.输出}}，号码{{电话}}", 0.25),
        ("打{{电话}}", 0.25),
        ("{{名字.param.输出}}，{{电话}}", 0.5),
    ]
    table = template_variants(two_seeds, probes, {COMMA: texts}).filter(pl.col("origin") == "llm")
    assert table["accepted"].to_list() == [True, False, False]
    assert table["reason"].to_list()[1:] == [
        "slots: lost 名字.param.输出",
        "duplicate: the same sentence exists already",
    ]
    assert table["cost"].to_list() == [0.25, 0.25, 0.5]


def test_a_variant_that_is_a_sentence_of_another_family_is_rejected(
    two_seeds: Scenario, probes: list[dict[str, Any]]
) -> None:
    table = template_variants(two_seeds, probes, {COMMA: [("亲 我叫{{名字.param.输出}} 打{{电话}} 找我", 0.0)]})
    [row] = table.filter(pl.col("origin") == "llm").to_dicts()
    [owner] = table.filter((pl.col("origin") == "seed") & (pl.col("seed_file") == f"{CHAT}.j2"))["family"]
    assert row["reason"] == f"family: it is a sentence of the family {owner}"


def test_variants_of_two_families_never_differ_in_punctuation_only(
    two_seeds: Scenario, probes: list[dict[str, Any]]
) -> None:
    texts = {
        COMMA: [("在吗，{{名字.param.输出}} {{电话}}", 0.0)],
        CHAT: [("在吗 {{名字.param.输出}}，{{电话}}", 0.0)],
    }
    accepted = template_variants(two_seeds, probes, texts).filter("accepted")
    owners = {(signature(parse_template(row["text"], "t")), row["family"]) for row in accepted.to_dicts()}
    assert len({text for text, _ in owners}) == len(owners)


def test_a_variant_that_differs_in_marks_only_is_a_copy(two_seeds: Scenario, probes: list[dict[str, Any]]) -> None:
    texts = [("打{{电话}}找我，我叫{{名字.param.输出}}", 0.0), ("打{{电话}}找我哈 我叫{{名字.param.输出}}！", 0.0)]
    table = template_variants(two_seeds, probes, {CHAT: texts}).filter(pl.col("origin") == "llm")
    assert table["reason"].to_list() == ["", "duplicate: it differs from another in marks, spaces or particles only"]


def test_each_gate_is_told_with_its_share(two_seeds: Scenario, probes: list[dict[str, Any]]) -> None:
    texts = [("打{{电话}}", 0.0), ("叫{{名字.param.输出}}", 0.0), ("我叫{{名字.param.输出}}，不要打{{电话}}", 0.0)]
    table = template_variants(two_seeds, probes, {CHAT: texts})
    assert variant_figures(table) == {
        "accepted": 2,
        "families": 2,
        "by_origin": {"llm, rejected": 3, "seed, accepted": 2},
        "rejected_for": {"meaning": 1, "slots": 2},
        "rejected_share": {"meaning": 1 / 5, "slots": 2 / 5},
    }


def test_templates_from_history_are_seeds_of_their_own(two_seeds: Scenario, probes: list[dict[str, Any]]) -> None:
    found = {
        "history/001": "到了打{{电话}}，找{{名字.param.输出}}拿",
        "history/002": "{{名字.param.输出}} {{电话}}",
        "history/003": "{{名字.param.输出}}，{{电话}}，放阳光花园门口",
    }
    history = {name: parse_template(text, name, seed=name) for name, text in found.items()}
    table = template_variants(with_counts(two_seeds, variants_per_seed=2), probes, None, history)
    itself = table.filter(pl.col("origin") == "history")
    assert itself["family"].to_list() == ["history/001", COMMA, "history/003"]
    assert itself["accepted"].to_list() == [True, True, False]
    assert itself["reason"][2] == "literal entity: '阳光花园' stands where a slot should"
    assert table.filter(pl.col("origin") == "rewrite", pl.col("accepted"))["family"].n_unique() >= 2


def test_a_rejected_variant_tells_its_own_slots(two_seeds: Scenario, probes: list[dict[str, Any]]) -> None:
    table = template_variants(two_seeds, probes, {COMMA: [("打{{电话}}", 0.0)]})
    assert table.filter(pl.col("origin") == "llm")["slots"].to_list() == [["电话"]]


def test_near_copies_among_the_seeds_share_a_family(two_seeds: Scenario, probes: list[dict[str, Any]]) -> None:
    write(two_seeds.folder, "03_spaces.j2", "{{名字.param.输出}} {{电话}}")
    table = template_variants(two_seeds, probes)
    assert table["accepted"].all()
    assert table["family"][0] == table["family"][2] != table["family"][1]


@pytest.mark.parametrize(("text", "reason"), [("", "is empty"), ("一\n{{电话", "line 2"), ("{{邮箱}}", "unknown slot")])
def test_a_bad_seed_is_named_and_not_skipped(
    two_seeds: Scenario, probes: list[dict[str, Any]], text: str, reason: str
) -> None:
    write(two_seeds.folder, "03_bad.j2", text)
    with pytest.raises(TemplateError, match=reason) as caught:
        template_variants(two_seeds, probes)
    assert str(two_seeds.folder / "templates" / "human" / "03_bad.j2") in str(caught.value)


def test_the_blocking_check_wants_every_seed_and_two_families(
    two_seeds: Scenario, probes: list[dict[str, Any]]
) -> None:
    folder = Path("human")
    table = template_variants(two_seeds, probes)
    assert complaints(table, folder) == []
    [families] = complaints(table.head(1), folder)
    assert families.startswith("human: the accepted sentences form 1 template families, at least 2 are needed")
    rejected = table.head(1).with_columns(accepted=pl.lit(False), reason=pl.lit("length: too long"))
    [seed] = complaints(pl.concat([rejected, table]), folder)
    assert seed.startswith(f"{folder / COMMA}.j2: length: too long. ")


@pytest.mark.parametrize(
    ("text", "reason", "remedy"),
    [
        ("你好，请尽快发货", "round trip", "into the sentence"),
        ("{{名字.param.输出}}：{{电话}}{{电话}}", "boundary", "between the slot and what stands beside"),
        ("{{名字.param.输出}}，{{电话}}", "duplicate", "Delete one"),
    ],
)
def test_a_rejected_seed_is_told_with_its_file_and_what_to_do(
    two_seeds: Scenario, probes: list[dict[str, Any]], text: str, reason: str, remedy: str
) -> None:
    write(two_seeds.folder, "60_bad.j2", text)
    [complaint] = complaints(template_variants(two_seeds, probes), Path("human"))
    assert complaint.startswith(f"{Path('human') / '60_bad.j2'}: {reason}: ")
    assert remedy in complaint
