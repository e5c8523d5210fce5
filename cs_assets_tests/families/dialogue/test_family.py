"""Dialogue: sessions that hold together, the truth of a sample, the rules, the corruptions, the scores."""

import json
import random
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.atoms.shop_visit import shop_visit_atoms
from cs_assets.families.base import CUSTOMER, SHOP, Rendered, Sample, Turn
from cs_assets.families.definition import ScenarioError
from cs_assets.families.dialogue.corruptions import CORRUPTIONS
from cs_assets.families.dialogue.family import DialogueFamily
from cs_assets.families.dialogue.session import UNITS
from cs_assets.families.dialogue.state import FIELDS
from cs_assets.families.dialogue.transcript import mentioned
from cs_assets.families.syntax import TemplateError, parse_template
from cs_assets.samples.render import Repertoire, render_samples
from cs_assets.scenario import Scenario, load_scenario
from cs_assets.templates.variants import template_variants
from cs_assets_tests.conftest import SCENARIOS
from cs_assets_tests.families.conftest import committed

NAME = "delivery_time_product_query"
SEEDS = st.integers(0, 10_000)
KINDS = {kind: family for family, kinds in CORRUPTIONS.items() for kind in kinds}


@pytest.fixture(scope="module")
def query() -> Scenario:
    """The committed scenario, with counts for tests."""
    return committed(NAME).with_counts(
        variants_per_seed=1, train=150, judge=30, test_iid=10, test_template_ood=40, test_entity_ood=10, test_noise=40
    )


@pytest.fixture(scope="module")
def family(query: Scenario) -> DialogueFamily:
    assert isinstance(query.family, DialogueFamily)
    return query.family


@pytest.fixture(scope="module")
def visits(query: Scenario) -> pl.DataFrame:
    return shop_visit_atoms(1_500, query.spec.seed)


@pytest.fixture(scope="module")
def variants(query: Scenario, visits: pl.DataFrame) -> pl.DataFrame:
    return template_variants(query, visits.head(4).to_dicts())


@pytest.fixture(scope="module")
def samples(query: Scenario, variants: pl.DataFrame, visits: pl.DataFrame) -> pl.DataFrame:
    return render_samples(query, variants, visits)


@pytest.fixture(scope="module")
def sessions(family: DialogueFamily, variants: pl.DataFrame, visits: pl.DataFrame) -> list[Rendered]:
    """600 sessions before noise, begun by each opening template in turn."""
    repertoire = Repertoire.of(variants.filter("accepted"))
    openings = [
        found.template
        for unit, families in repertoire.units.items()
        if family.opens(unit)
        for variants_of in families.values()
        for found in variants_of
    ]
    rows = visits.head(600).to_dicts()
    return [
        family.render(openings[n % len(openings)], row, repertoire.scene(random.Random(n), []))
        for n, row in enumerate(rows)
    ]


def customer_turns(session: Rendered) -> list[Turn]:
    return [turn for turn in session.turns if turn.speaker == CUSTOMER]


# --- the scenario


def test_every_unit_has_its_seeds_and_every_seed_is_accepted(query: Scenario, variants: pl.DataFrame) -> None:
    seeds = Counter(template.unit for template in query.seeds().values())
    assert set(seeds) == set(UNITS)
    assert min(seeds.values()) >= 4
    rejected = variants.filter((pl.col("origin") == "seed") & ~pl.col("accepted"))
    assert rejected.select("template_id", "reason").rows() == []


def test_no_seed_is_a_copy_of_another(variants: pl.DataFrame) -> None:
    seeds = variants.filter(pl.col("origin") == "seed")
    assert seeds["family"].n_unique() == seeds.height


def test_every_unit_occurs(samples: pl.DataFrame) -> None:
    used = {family.split("/")[0] for families in samples["unit_families"] for family in families}
    assert used == set(UNITS)


# --- sessions


def test_the_sides_take_turns_and_the_customer_has_the_last_word(sessions: list[Rendered]) -> None:
    for session in sessions:
        speakers = [turn.speaker for turn in session.turns]
        assert speakers == [CUSTOMER, SHOP] * (len(speakers) // 2) + [CUSTOMER]
    assert {len(customer_turns(session)) for session in sessions} == set(range(2, 9))


def test_the_truth_keeps_the_rules_that_know_nothing_of_how_it_was_made(
    family: DialogueFamily, sessions: list[Rendered]
) -> None:
    assert [found for session in sessions for found in family.verify(session.sample)] == []


def test_what_is_corrected_was_said_before(sessions: list[Rendered]) -> None:
    corrected = 0
    for session in sessions:
        said = ""
        for turn in customer_turns(session):
            old = [segment.text for segment in turn.segments if segment.slot.startswith("旧.")]
            assert all(value and value in said for value in old)
            corrected += bool(old)
            said += turn.text
    assert corrected > 100


def test_what_is_pointed_at_was_offered_before(sessions: list[Rendered]) -> None:
    pointed = 0
    for session in sessions:
        offered: list[str] = []
        for turn in session.turns:
            offered += mentioned("商品", turn.text) if turn.speaker == SHOP else []
            if any(segment.slot == "指代" for segment in turn.segments):
                assert offered
                pointed += 1
    assert pointed > 100


def test_no_slot_is_left_empty(sessions: list[Rendered]) -> None:
    assert all(segment.text for session in sessions for turn in session.turns for segment in turn.segments)


def test_things_that_are_only_mentioned_are_not_wanted(sessions: list[Rendered]) -> None:
    aside = 0
    for session in sessions:
        for segment in (s for turn in customer_turns(session) for s in turn.segments if s.slot.startswith("旁.")):
            assert segment.text not in json.loads(session.answer).values()
            aside += 1
    assert aside > 30


def test_what_the_shop_has_too_few_of_is_not_the_answer(sessions: list[Rendered]) -> None:
    refused = 0
    for session in sessions:
        last = {name: text for turn in session.turns if turn.speaker == SHOP for name, text in clauses(turn.text)}
        refused += any("库存不够" in text for text in last.values())
        assert not re.search("库存不够|没货|缺货", last.get(json.loads(session.answer)["商品"], ""))
    assert refused > 5


def clauses(text: str) -> list[tuple[str, str]]:
    """Divide a turn of the shop's into the products that it names and what it says of each."""
    names = mentioned("商品", text)
    return list(zip(names, re.split("|".join(map(re.escape, names)), text)[1:], strict=True)) if names else []


def test_about_half_of_the_answers_name_a_product_and_most_sessions_change_something(samples: pl.DataFrame) -> None:
    named = [bool(json.loads(answer)["商品"]) for answer in samples["answer"]]
    assert 0.3 < sum(named) / len(named) < 0.7
    units = [{family.split("/")[0] for family in families} for families in samples["unit_families"]]
    corrected = sum(any(unit.startswith("correct_") for unit in found) for found in units)
    pointing = sum(bool(found & {"pick", "ask_delivery_of", "revert_place", "accept"}) for found in units)
    assert corrected > 0.4 * len(units)
    assert pointing > 0.4 * len(units)


def test_the_same_generator_gives_the_same_session(
    family: DialogueFamily, variants: pl.DataFrame, visits: pl.DataFrame
) -> None:
    repertoire = Repertoire.of(variants.filter("accepted"))
    template = repertoire.units["greeting"]["greeting/01_short"][0].template
    row = visits.row(3, named=True)
    one, same, other = (family.render(template, row, repertoire.scene(random.Random(seed), [])) for seed in (1, 1, 2))
    assert one == same != other


def test_noise_leaves_the_truth_right(family: DialogueFamily, samples: pl.DataFrame) -> None:
    noisy = samples.filter(pl.col("tags").list.len() > 0)
    assert noisy.height > 40
    for row in noisy.iter_rows(named=True):
        assert family.verify(Sample.model_validate(row)) == []


# --- templates


@pytest.mark.parametrize(
    ("unit", "text", "rule"),
    [
        ("give_place", "在{{地点}}", None),
        ("barter", "换吗", "unit"),
        ("give_place", "就这边", "slots"),
        ("give_place", "在{{地点}}，{{时间}}要", "slots"),
        ("give_place", "你好，在{{地点}}", "greeting"),
        ("greeting", "你好，在吗", None),
        ("correct_place", "是{{地点}}，不是{{旧.地点}}", None),
        ("correct_place", "是{{旧.地点}}，不是{{地点}}", "replaced"),
        ("correct_accessory", "{{配件}}说错了，要{{旧.配件}}", "replaced"),
    ],
)
def test_a_template_is_checked_on_its_own(
    query: Scenario, family: DialogueFamily, visits: pl.DataFrame, unit: str, text: str, rule: str | None
) -> None:
    template = parse_template(text, "variant", query.slots, unit)
    for row in visits.head(20).iter_rows(named=True):
        assert [found.rule for found in family.check_template(template, row)][:1] == ([rule] if rule else [])


# --- rules

MESSAGE = """客户：惠普战66 七代用的内存条有吗
客服：帮您查了，惠普战66 七代可以用：三星 DDR5 5600 16GB 489元；威刚 DDR5 5600 16GB（439元）
客户：不是内存条，是硬盘，2T的
客服：适合惠普战66 七代的硬盘：致态 TiPlus7100 2TB 899元；三星 990 PRO 2TB 1399元
客户：来两块，今晚能送到北京吗
客服：查了到北京的时效：致态 TiPlus7100 2TB 今晚9点前能到，来得及；三星 990 PRO 2TB 今晚9点前能到，来得及
客户：打错了，是成都不是北京
客服：查了到成都的时效：致态 TiPlus7100 2TB 要明天下午6点左右才到，来不及；三星 990 PRO 2TB 最快明天下午6点，赶不上
客户：明晚也行，要第一个"""
TRUTH = dict(zip(FIELDS, ("惠普战66 七代", "硬盘", "2T", "两块", "明晚", "成都", "致态 TiPlus7100 2TB"), strict=True))


def violated(family: DialogueFamily, **changes: str) -> set[str]:
    answer = json.dumps(TRUTH | changes, ensure_ascii=False)
    return {found.rule for found in family.verify(Sample(message=MESSAGE, answer=answer))}


def test_a_session_written_by_hand_keeps_the_rules(family: DialogueFamily) -> None:
    assert violated(family) == set()


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"地点": "杭州"}, "copied"),
        ({"时间": "明天晚上"}, "copied"),
        ({"商品": "铠侠 SE10 1TB"}, "copied"),
        ({"数量": "明晚", "时间": "两块"}, "shape"),
        ({"商品": "致态"}, "shape"),
        ({"配件": "内存条"}, "replaced"),
        ({"地点": "北京"}, "replaced"),
        ({"设备": ""}, "missed"),
        ({"配件": ""}, "missed"),
        ({"地点": ""}, "missed"),
        ({"商品": "三星 DDR5 5600 16GB"}, "product"),
        ({"时间": "今晚"}, "product"),
        ({"规格": "1T"}, "product"),
    ],
)
def test_a_wrong_answer_breaks_its_rule(family: DialogueFamily, changes: dict[str, str], rule: str) -> None:
    assert rule in violated(family, **changes)


def test_a_product_that_the_shop_did_not_promise_for_the_place_breaks_a_rule(family: DialogueFamily) -> None:
    head, _ = MESSAGE.split("客服：查了到成都")
    answer = json.dumps(TRUTH, ensure_ascii=False)
    message = head + "客服：好的\n客户：明晚也行，要第一个"
    assert "product" in {found.rule for found in family.verify(Sample(message=message, answer=answer))}


@pytest.mark.parametrize("changes", [{"商品": ""}, {"商品": "三星 990 PRO 2TB"}, {"数量": ""}, {"时间": ""}])
def test_some_wrong_answers_can_only_be_told_from_the_talk(family: DialogueFamily, changes: dict[str, str]) -> None:
    assert violated(family, **changes) == set()


@pytest.mark.parametrize("answer", ["", "[]", "{}", "好的", '{"设备": 1}', f"```json\n{json.dumps(TRUTH)}\n```"])
def test_what_is_no_answer_breaks_the_first_rule(family: DialogueFamily, answer: str) -> None:
    assert [found.rule for found in family.verify(Sample(message=MESSAGE, answer=answer))] == ["strict_json"]


# --- corruptions


def corrupted(family: DialogueFamily, sessions: list[Rendered], kind: str, seed: int) -> Iterator[tuple[Sample, str]]:
    make, rng = family.corruptions[KINDS[kind]][kind], random.Random(seed)
    for session in sessions:
        wrong = make(session.sample, rng)
        if wrong is not None:
            yield session.sample, wrong


@pytest.mark.parametrize("kind", KINDS)
def test_a_corruption_is_never_right(family: DialogueFamily, sessions: list[Rendered], kind: str) -> None:
    found = list(corrupted(family, sessions, kind, 1))
    assert len(found) > 10
    assert all(wrong != sample.answer and family.score(wrong, sample.answer).exact == 0 for sample, wrong in found)


@pytest.mark.parametrize(
    "kind",
    [
        "older_value",
        "called_off_value",
        "other_product",
        "rash_product",
        "other_reference",
        "blank_field",
        "blank_product",
    ],
)
def test_some_corruptions_escape_the_rules(family: DialogueFamily, sessions: list[Rendered], kind: str) -> None:
    found = corrupted(family, sessions, kind, 1)
    assert any(not family.verify(Sample(message=sample.message, answer=wrong)) for sample, wrong in found)


@given(SEEDS)
def test_a_corruption_of_every_family_is_found_for_any_session(
    family: DialogueFamily, sessions: list[Rendered], seed: int
) -> None:
    sample = sessions[seed % len(sessions)].sample
    corruption = family.corrupt(sample, random.Random(seed), family.corruption_families)
    assert corruption is not None
    assert KINDS[corruption.kind] == corruption.family
    assert family.score(corruption.answer, sample.answer).exact == 0
    assert family.corrupt(sample, random.Random(seed), family.corruption_families) == corruption


# --- scores


def test_the_truth_scores_fully(family: DialogueFamily, sessions: list[Rendered]) -> None:
    for session in sessions[:50]:
        score = family.score(session.answer, session.answer)
        assert (score.strict_json, score.exact, score.field_accuracy) == (1, 1, 1)


def test_a_sloppy_answer_is_read_but_not_exact(family: DialogueFamily) -> None:
    answer = json.dumps(TRUTH, ensure_ascii=False)
    score = family.score(f"好的：```json\n{answer}\n```", answer)
    assert (score.strict_json, score.exact, score.field_accuracy) == (0, 0, 1)
    one_wrong = family.score(json.dumps(TRUTH | {"时间": "今晚"}, ensure_ascii=False), answer)
    assert (one_wrong.strict_json, one_wrong.exact, one_wrong.fields["时间"]) == (1, 0, 0)


@given(st.one_of(st.text(), st.from_regex(r'\{("(设备|商品)": ("[^"]*"|null|\[\]|1),? ?){0,4}\}?')))
def test_any_text_can_be_scored_and_verified(family: DialogueFamily, text: str) -> None:
    score = family.score(text, json.dumps(TRUTH, ensure_ascii=False))
    assert all(0 <= value <= 1 for value in (score.strict_json, score.exact, *score.fields.values()))
    family.verify(Sample(message=MESSAGE, answer=text))
    family.verify(Sample(message=text, answer=json.dumps(TRUTH, ensure_ascii=False)))


# --- bad input


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A writable copy of the scenario."""
    monkeypatch.setenv("CS_SCENARIOS", str(tmp_path))
    return Path(shutil.copytree(SCENARIOS / NAME, tmp_path / NAME))


def changed_options(folder: Path, **options: object) -> None:
    spec = yaml.safe_load((folder / "scenario.yaml").read_text(encoding="utf-8"))
    spec["options"] = {**spec["options"], **options}
    (folder / "scenario.yaml").write_text(yaml.safe_dump(spec, allow_unicode=True), encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"follows": {"greeting": {"barter": 1}}}, "barter"),
        ({"follows": {"greeting": {"ask_product": 0}}}, "follows.greeting.ask_product"),
        ({"turns": {9: 1}}, "turns"),
        ({"turns": {}}, "turns"),
        ({"mood": "bad"}, "mood"),
    ],
)
def test_a_bad_option_is_named(folder: Path, options: dict[str, object], words: str) -> None:
    changed_options(folder, **options)
    with pytest.raises(ScenarioError, match=words):
        _ = load_scenario(NAME).family


def test_a_unit_without_seeds_is_named(folder: Path) -> None:
    shutil.rmtree(folder / "templates" / "human" / "narrow")
    with pytest.raises(ScenarioError, match="no folder for narrow"):
        _ = load_scenario(NAME).family


def test_a_missing_wording_of_the_shop_is_named(folder: Path) -> None:
    shutil.rmtree(folder / "templates" / "bot" / "late")
    with pytest.raises(ScenarioError, match="no wording for late"):
        _ = load_scenario(NAME).family


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("late/09.j2", "{{商品}}来不及", TemplateError),
        ("late/09.j2", "{{商品}} {{到货}} {{电话}}", TemplateError),
        ("song/01.j2", "啦啦啦", ScenarioError),
    ],
)
def test_a_bad_wording_of_the_shop_is_named(folder: Path, name: str, text: str, error: type[Exception]) -> None:
    path = folder / "templates" / "bot" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(error, match=name):
        _ = load_scenario(NAME).family
