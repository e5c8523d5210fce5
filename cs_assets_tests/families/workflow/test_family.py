"""Workflow: every path renders and keeps the rules, what departs from them is found, scores tell how much is right."""

import json
import random
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.atoms.repairs import repairs_atoms
from cs_assets.families.base import Rendered, Sample, Scene
from cs_assets.families.definition import Definition, ScenarioError
from cs_assets.families.syntax import SentenceTemplate, parse_template
from cs_assets.families.tools import Call, execute
from cs_assets.families.workflow.family import WorkflowFamily
from cs_assets.families.workflow.trajectory import FINAL, REPLY, Step, read, write
from cs_assets.scenario import Scenario, load_scenario
from cs_assets_tests.conftest import SCENARIOS

FOLDER = SCENARIOS / "repair_workflow"
SEEDS = st.integers(0, 10_000)
# What no rule can find: the answer is wrong, and consistent.
SUBTLE = {"contradicting_thought", "misplaced_reply", "shortened_argument"}


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return load_scenario("repair_workflow")


@pytest.fixture(scope="module")
def family(scenario: Scenario) -> WorkflowFamily:
    assert isinstance(scenario.family, WorkflowFamily)
    return scenario.family


@pytest.fixture(scope="module")
def atoms(scenario: Scenario) -> pl.DataFrame:
    return repairs_atoms(400, scenario.spec.seed)


@pytest.fixture(scope="module")
def units(scenario: Scenario) -> dict[str, list[SentenceTemplate]]:
    found: dict[str, list[SentenceTemplate]] = {}
    for seed in scenario.seeds().values():
        found.setdefault(seed.unit, []).append(seed)
    return found


Render = Callable[..., Rendered]


@pytest.fixture(scope="module")
def render(family: WorkflowFamily, atoms: pl.DataFrame, units: dict[str, list[SentenceTemplate]]) -> Render:
    """Render a path, given by its id or its place, with a seed of one's own."""
    paths = family.flow.paths()
    by_means = {words.means: unit for unit, words in family.flow.openings.items()}

    def rendered(path: int | str, seed: int) -> Rendered:
        rng = random.Random(seed)
        chosen = next(p for p in paths if p.id == path) if isinstance(path, str) else paths[path % len(paths)]
        template = rng.choice(units[by_means[chosen.visits[0].outcome]])
        row = atoms.row(rng.randrange(atoms.height), named=True)
        return family.render_path(chosen, template, row, Scene(rng, lambda unit: rng.choice(units[unit])))

    return rendered


BOOKED = "repair>visit>place_and_day>free>time_and_contact>agreed>created>done"


@pytest.fixture
def booked(render: Render) -> Sample:
    return render(BOOKED, 1).sample


def changed(sample: Sample, at: int, **change: str) -> Sample:
    """Return the sample with another thought, input or observation in one step."""
    steps = read(sample.answer)
    step = steps[at]
    if "input" in change:
        step = step.model_copy(update={"action": step.action.model_copy(update={"input": change.pop("input")})})
    steps[at] = step.model_copy(update=change)
    return sample.model_copy(update={"answer": write(steps)})


def rules_of(family: WorkflowFamily, sample: Sample) -> set[str]:
    return {violation.rule for violation in family.verify(sample)}


# --- Rendering


def test_every_path_renders_and_keeps_the_rules(family: WorkflowFamily, render: Render) -> None:
    for number, path in enumerate(family.flow.paths()):
        for seed in range(3):
            sample = render(number, seed).sample
            assert family.verify(sample) == []
            assert family.path_of(sample) == path.id


def test_the_atoms_take_the_paths_in_turn(
    family: WorkflowFamily, atoms: pl.DataFrame, units: dict[str, list[SentenceTemplate]]
) -> None:
    rng = random.Random(1)
    scene = Scene(rng, lambda unit: rng.choice(units[unit]))
    ids = [path for path in family.path_ids() if path.startswith("repair")]
    rows = atoms.head(2 * len(ids)).to_dicts()
    walked = Counter(family.path_of(family.render(units["problem"][0], row, scene).sample) for row in rows)
    assert walked == dict.fromkeys(ids, 2)


@given(path=st.integers(0, 99), seed=SEEDS)
def test_the_same_seed_gives_the_same_sample(render: Render, path: int, seed: int) -> None:
    assert render(path, seed) == render(path, seed)


@given(path=st.integers(0, 99), seed=SEEDS)
def test_trajectories_stay_short(render: Render, path: int, seed: int) -> None:
    answer = render(path, seed).answer
    assert len(read(answer)) <= 9
    assert len(answer) <= 1_800


@given(path=st.integers(0, 99), seed=SEEDS)
def test_every_observation_of_a_call_is_its_result(
    family: WorkflowFamily, render: Render, path: int, seed: int
) -> None:
    for step in read(render(path, seed).answer):
        if step.action.is_call and "timeout" not in step.observation:
            call = Call(name=step.action.name, arguments=step.action.arguments() or {})
            assert json.loads(step.observation) == execute(call, family.tools)


def test_the_ticket_is_for_what_the_customer_said(render: Render) -> None:
    for seed in range(10):
        sample = render(BOOKED, seed).sample
        steps = read(sample.answer)
        ticket = steps[-2].action.arguments() or {}
        assert ticket["problem"] in sample.message
        assert ticket["product"] in sample.message
        assert ticket["UserName"] in steps[3].observation
        assert ticket["address"] in steps[3].observation
        assert ticket["ServeTime"][-5:] in steps[2].observation
        assert ticket["isVIP"] == bool(re.search("会员|vip", sample.message, re.IGNORECASE))
        assert json.loads(steps[-2].observation)["ticket_id"] in steps[-1].action.input


def test_a_changed_time_is_the_one_that_is_booked(render: Render) -> None:
    path = "repair>visit>place_and_day>free>time_and_contact>change_time>agreed>created>done"
    for seed in range(5):
        steps = read(render(path, seed).answer)
        first, second = steps[4].action.input, steps[5].action.input
        booked = (steps[-2].action.arguments() or {})["ServeTime"]
        assert booked in second
        assert booked not in first


def test_the_functions_on_offer_are_those_of_the_workflow(family: WorkflowFamily, render: Render) -> None:
    offered = [tool["function"]["name"] for tool in json.loads(render(0, 0).tools)]
    assert offered == ["SearchSolution", "QueryTechnicianSlots", "TicketCreate"]
    assert {node.tool for node in family.flow.nodes.values() if node.tool} == set(offered)


def test_only_openings_open(family: WorkflowFamily, units: dict[str, list[SentenceTemplate]]) -> None:
    assert [unit for unit in sorted(units) if family.opens(unit)] == ["human_first", "outside", "problem"]


def test_every_unit_has_its_folder_and_enough_seeds(
    family: WorkflowFamily, units: dict[str, list[SentenceTemplate]]
) -> None:
    assert set(units) == {*family.flow.openings, *family.flow.replies}
    assert all(len(seeds) >= 4 for seeds in units.values())


def test_every_seed_is_understood_as_its_unit(
    family: WorkflowFamily, atoms: pl.DataFrame, units: dict[str, list[SentenceTemplate]]
) -> None:
    for row in atoms.head(25).to_dicts():
        for seed in (seed for seeds in units.values() for seed in seeds):
            assert family.check_template(seed, row) == [], seed.source


@pytest.mark.parametrize(
    ("unit", "text", "reason"),
    [
        ("solved", "还是不行", "understood as unsolved"),
        ("solved", "你好，可以了", "begins anew"),
        ("day", "都可以", "日期 is not said"),
        ("problem", "地址发你：{{产品}}{{故障}}", "belongs to a parcel"),
        ("time_only", "{{时间}}，{{详细地址}}，{{姓名}}", "understood as time_and_contact"),
        ("problem", "{{产品}}{{故障}}，转人工", "understood as human_first"),
        ("lost", "你好", "unknown unit 'lost'; there are human_first"),
    ],
)
def test_words_that_belong_to_another_unit_are_refused(
    family: WorkflowFamily, atoms: pl.DataFrame, unit: str, text: str, reason: str
) -> None:
    template = parse_template(text, "t", unit=unit)
    assert reason in " ".join(v.detail for v in family.check_template(template, atoms.row(0, named=True)))


# --- Training


def test_no_observation_has_a_loss(scenario: Scenario, booked: Sample) -> None:
    messages = scenario.conversation(booked)
    assert [message["role"] for message in messages[2:]] == [
        *("assistant", "tool", "assistant", "user") * 2,
        *("assistant", "user", "assistant", "tool", "assistant"),
    ]
    said = "".join(message["content"] for message in messages if message["role"] == "assistant")
    assert "Observation" not in said
    assert not any(step.observation and step.observation in said for step in read(booked.answer))


# --- Rules


@pytest.mark.parametrize(
    ("at", "change", "rule"),
    [
        (0, {"input": '{"problem": "别的"}'}, "required"),
        (0, {"input": "[]"}, "schema"),
        (0, {"observation": '{"steps": "重启"}'}, "observation"),
        (2, {"observation": '{"slots": []}'}, "observation"),
        (4, {"observation": "呃"}, "graph"),
        (1, {"observation": "算了不修了"}, "graph"),
        (0, {"thought": "工单号是WX91234567。"}, "invented"),
        (3, {"input": "您方便的时候说一声"}, "untold"),
        (6, {"input": "工单建好了"}, "untold"),
        (6, {"input": "工单WX91234567"}, "invented"),
    ],
)
def test_a_departure_breaks_its_rule(
    family: WorkflowFamily, booked: Sample, at: int, change: dict[str, str], rule: str
) -> None:
    assert rule in rules_of(family, changed(booked, at, **change))


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("address", "西湖区文三路1号"),
        ("ServeTime", "2026-06-30 09:00"),
        ("isVIP", True),
        ("isVIP", False),
        ("UserName", "王大锤"),
    ],
)
def test_a_ticket_with_what_nobody_said_breaks_a_rule(
    family: WorkflowFamily, booked: Sample, parameter: str, value: str | bool
) -> None:
    arguments = read(booked.answer)[5].action.arguments() or {}
    wrong = arguments | {parameter: value}
    rules = rules_of(family, changed(booked, 5, input=json.dumps(wrong, ensure_ascii=False)))
    assert rules == ({"grounded"} if wrong != arguments else set())


def test_a_day_that_was_said_and_taken_back_is_not_asked_for_again(family: WorkflowFamily, render: Render) -> None:
    path = "repair>visit>place_and_day>full>day>free>time_and_contact>agreed>created>done"
    sample = render(path, 3).sample
    steps = read(sample.answer)
    wrong = changed(sample, 4, input=steps[2].action.input, observation=steps[2].observation)
    assert rules_of(family, wrong) == {"grounded"}


def test_a_way_that_the_graph_does_not_have_breaks_the_rule_of_the_graph(
    family: WorkflowFamily, booked: Sample
) -> None:
    steps = read(booked.answer)
    for wrong in (steps[:2] + steps[3:], steps[:5] + steps[6:], [*steps[:4], steps[3], *steps[4:]], [steps[-1]]):
        assert "graph" in rules_of(family, booked.model_copy(update={"answer": write(wrong)}))


def test_another_opening_makes_the_answer_wrong(family: WorkflowFamily, render: Render) -> None:
    repair, outside = render(BOOKED, 1).sample, render("outside>refer", 1).sample
    assert rules_of(family, outside.model_copy(update={"message": repair.message})) == {"graph"}
    assert rules_of(family, repair.model_copy(update={"message": outside.message})) == {"graph"}


@given(text=st.text(), message=st.text())
def test_any_text_is_verified(family: WorkflowFamily, text: str, message: str) -> None:
    assert family.verify(Sample(message=message, answer=text))
    assert family.path_of(Sample(message=message, answer=text)) == ""


# --- Corruptions


@given(path=st.integers(0, 99), seed=SEEDS)
def test_no_corruption_is_exact_and_rules_find_all_but_the_subtle(
    family: WorkflowFamily, render: Render, path: int, seed: int
) -> None:
    sample = render(path, seed).sample
    rng = random.Random(seed)
    for kinds in family.corruptions.values():
        for kind, make in kinds.items():
            wrong = make(sample, rng)
            if wrong is None:
                continue
            assert wrong != sample.answer
            assert family.score(wrong, sample.answer).exact < 1, kind
            found = family.verify(sample.model_copy(update={"answer": wrong}))
            assert kind in SUBTLE or found, kind


@given(path=st.integers(0, 99), seed=SEEDS)
def test_any_sample_can_be_corrupted(family: WorkflowFamily, render: Render, path: int, seed: int) -> None:
    sample = render(path, seed).sample
    seen = [name for name in family.corruption_families if name != "words"]
    corruption = family.corrupt(sample, random.Random(seed), seen)
    assert corruption is not None
    assert corruption == family.corrupt(sample, random.Random(seed), seen)


def test_each_kind_occurs_and_the_subtle_ones_break_no_rule(family: WorkflowFamily, render: Render) -> None:
    made: Counter[str] = Counter()
    unseen: Counter[str] = Counter()
    for number in range(len(family.flow.paths())):
        sample = render(number, number).sample
        for kinds in family.corruptions.values():
            for kind, make in kinds.items():
                wrong = make(sample, random.Random(number))
                made[kind] += wrong is not None
                unseen[kind] += wrong is not None and not family.verify(sample.model_copy(update={"answer": wrong}))
    assert all(made[kind] for kinds in family.corruptions.values() for kind in kinds)
    assert all(unseen[kind] for kind in SUBTLE)
    assert len(family.corruptions) >= 3
    assert sum(map(len, family.corruptions.values())) >= 6


def test_a_booked_time_at_which_nobody_is_free_is_told_as_if_all_were_well(
    family: WorkflowFamily, booked: Sample
) -> None:
    wrong = family.corruptions["observation"]["ignored_observation"](booked, random.Random(1))
    assert wrong is not None
    steps = read(wrong)
    arguments = steps[-2].action.arguments() or {}
    assert arguments["ServeTime"][-5:] not in steps[2].observation
    assert arguments["ServeTime"] in steps[-1].action.input
    assert json.loads(steps[-2].observation)["ticket_id"] in steps[-1].action.input
    assert rules_of(family, booked.model_copy(update={"answer": wrong})) == {"grounded"}


# --- Scores


@given(path=st.integers(0, 99), seed=SEEDS)
def test_the_truth_is_exact(family: WorkflowFamily, render: Render, path: int, seed: int) -> None:
    answer = render(path, seed).answer
    score = family.score(answer, answer)
    assert (score.exact, score.strict_json) == (1.0, 1.0)
    assert score.fields == {"steps": 1.0, "words": 1.0, "end": 1.0}


def test_other_wordings_of_the_same_steps_are_exact(family: WorkflowFamily, booked: Sample) -> None:
    steps = read(booked.answer)
    wordings = set()
    for seed in range(20):
        other = [_reworded(family, step, steps, random.Random(seed + i)) for i, step in enumerate(steps)]
        wordings.add(write(other))
        assert family.score(write(other), booked.answer).exact == 1.0
    assert len(wordings) > 5


def _reworded(family: WorkflowFamily, step: Step, steps: list[Step], rng: random.Random) -> Step:
    thoughts, texts = family._fitting(steps)[steps.index(step)]
    text = step.action.input if step.action.is_call else rng.choice(sorted(texts))
    action = step.action.model_copy(update={"input": text})
    return step.model_copy(update={"thought": rng.choice(sorted(thoughts)), "action": action})


def test_a_step_that_goes_wrong_costs_its_share(family: WorkflowFamily, booked: Sample) -> None:
    wrong = changed(booked, 2, input='{"city": "北京", "date": "明天", "skill": "phone"}')
    score = family.score(wrong.answer, booked.answer)
    assert score.fields == {"steps": 6 / 7, "words": 1.0, "end": 1.0}
    assert score.exact == 0.0


def test_an_early_end_does_not_arrive(family: WorkflowFamily, booked: Sample) -> None:
    steps = read(booked.answer)
    score = family.score(write([*steps[:3], steps[-1]]), booked.answer)
    assert score.fields["end"] == 0.0
    assert score.fields["steps"] == pytest.approx(3 / 7)


def test_the_order_of_arguments_does_not_matter(family: WorkflowFamily, booked: Sample) -> None:
    arguments = read(booked.answer)[0].action.arguments() or {}
    turned = changed(booked, 0, input=json.dumps(dict(reversed(arguments.items())), ensure_ascii=False))
    assert family.score(turned.answer, booked.answer).exact == 1.0


def test_prose_around_the_truth_is_right_but_not_strict(family: WorkflowFamily, booked: Sample) -> None:
    score = family.score(f"好的：\n{booked.answer}", booked.answer)
    assert (score.strict_json, score.exact) == (0.0, 0.0)
    assert set(score.fields.values()) == {1.0}


@given(text=st.text() | st.text(alphabet='ThougtAcinFalRepy:{}\n "'), path=st.integers(0, 99))
def test_any_text_is_scored(family: WorkflowFamily, render: Render, text: str, path: int) -> None:
    score = family.score(text, render(path, 0).answer)
    assert all(0.0 <= value <= 1.0 for value in (score.exact, score.strict_json, *score.fields.values()))
    assert score.exact == 0.0


# --- The scenario's files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(FOLDER, tmp_path / "repair_workflow")
    return tmp_path / "repair_workflow"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("templates/bot/search/01.j2", "先查\n再说", "search/01.j2: found 2 lines"),
        ("templates/bot/done/01.j2", "好了", "done/01.j2: found 1 lines"),
        ("templates/bot/lost/01.j2", "好了", "there is no node 'lost'"),
        ("templates/bot/offer/01.j2", "报\n{{空闲}}", "unknown slot '空闲'"),
        ("tools.json", "{", "tools.json"),
        ("workflow.yaml", "start: 7", "workflow.yaml"),
    ],
)
def test_a_broken_file_is_refused_with_its_name(
    scenario: Scenario, folder: Path, name: str, text: str, message: str
) -> None:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(message)):
        WorkflowFamily(Definition(folder, scenario.slots))


def test_a_node_with_too_few_wordings_is_refused(scenario: Scenario, folder: Path) -> None:
    (folder / "templates/bot/other_day/full/01.j2").unlink()
    with pytest.raises(ScenarioError, match="other_day/full: fewer than 3 wordings"):
        WorkflowFamily(Definition(folder, scenario.slots))


def test_no_wording_names_what_is_not_known_yet(
    family: WorkflowFamily, atoms: pl.DataFrame, units: dict[str, list[SentenceTemplate]]
) -> None:
    """Every wording of every node is rendered on every path that comes there; an unknown name would raise."""
    used: set[str] = set()
    for seed in range(12):
        rng = random.Random(seed)
        for path in family.flow.paths():
            unit = next(u for u, words in family.flow.openings.items() if words.means == path.visits[0].outcome)
            scene = Scene(rng, lambda unit, rng=rng: rng.choice(units[unit]))  # type: ignore[misc]
            sample = family.render_path(path, rng.choice(units[unit]), atoms.row(seed, named=True), scene).sample
            used |= {_spelling(step) for step in read(sample.answer) if step.action.name in (REPLY, FINAL)}
    assert len(used) > 60


def _spelling(step: Step) -> str:
    """Return the thought without its values."""
    return re.sub(r"[0-9:：WX-]+|周.|星期.|明天|后天", "", step.thought)
