"""Workflow graphs: the errors that name file, node and key, and the paths."""

import shutil
from collections import Counter
from pathlib import Path

import pytest

from cs_assets.families.definition import Definition, ScenarioError
from cs_assets.families.workflow.flow import FLOW_FILE, Flow, Node, Words, read_flow
from cs_assets_tests.conftest import SCENARIOS
from cs_assets_tests.families.conftest import replace_once

TOOLS = ("SearchSolution", "QueryTechnicianSlots", "TicketCreate")
KNOWN = ("产品", "故障", "城市", "日期", "姓名", "详细地址", "技能", "上门时间")


def read(folder: Path) -> Flow:
    return read_flow(Definition(folder, frozenset()), TOOLS, KNOWN)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(SCENARIOS / "repair_workflow" / FLOW_FILE, tmp_path / FLOW_FILE)
    return tmp_path


@pytest.fixture
def flow(folder: Path) -> Flow:
    return read(folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("start: opening", "start: nowhere", "key 'start': unknown node 'nowhere'; there are advise"),
        ("start: opening", "start: search", "node 'search', key 'kind': the start is a decide"),
        ("solved: goodbye", "solved: nowhere", "node 'advise', key 'edges.solved': unknown node 'nowhere'"),
        (
            "{solved: goodbye",
            "{happy: goodbye",
            "node 'advise', key 'edges': unknown outcome 'happy'; allowed for this ask",
        ),
        ("edges: {next: retry}", "edges: {}", "node 'wait', key 'edges': no exit"),
        ("edges: {next: retry}", "edges: {later: retry}", "node 'wait', key 'edges': unknown outcome 'later'"),
        ("tool: TicketCreate", "tool: TicketMake", "node 'ticket', key 'tool': tools.json has no 'TicketMake'"),
        ("{problem: 故障", "{problem: 毛病", "node 'search', key 'arguments.problem': unknown value '毛病'"),
        ("edges: {created: done}", "edges: {}", "node 'ticket', key 'outcomes.created': no edge for it"),
        (
            "  done: {kind: end}",
            "  done: {kind: end, tool: TicketCreate}",
            "node 'done', key 'tool': a node of kind end",
        ),
        ("  done: {kind: end}", "  done: {kind: end}\n  lost: {kind: end}", "node 'lost': unreachable"),
        (
            "  done: {kind: end}",
            "  done: {kind: end}\n  again: {kind: decide, edges: {outside: refer}}",
            "node 'again', key 'kind': a decide can only be the start",
        ),
        ("max_steps: 9", "max_steps: 6", "node 'done': no path of at most 6 steps leads through it"),
        ("kind: say", "kind: shout", "key 'nodes.wait.kind'"),
        ("max_steps: 9", "max_steps: 0", "key 'max_steps'"),
        ("at_most: 2", "at_most: 99", "key 'nodes.confirm.at_most'"),
        ("max_steps: 9", "max_stepz: 9", "key 'max_stepz'"),
        ("会员: VIP", "会员: (VIP", "key 'flags.会员': not a regular expression"),
        ("names: [city, day]", "names: [town, day]", "key 'replies.place_and_day.names.0'"),
        ("nodes:\n", "nodes: [\n", "not YAML"),
    ],
)
def test_a_broken_graph_is_refused_with_file_node_and_key(folder: Path, old: str, new: str, message: str) -> None:
    replace_once(folder / FLOW_FILE, old, new)
    with pytest.raises(ScenarioError) as error:
        read(folder)
    assert message in str(error.value)
    assert str(folder / FLOW_FILE) in str(error.value)


def test_paths_lead_from_the_start_to_an_end_within_the_steps(flow: Flow) -> None:
    for path in flow.paths():
        assert path.visits[0].node == flow.start
        assert flow.nodes[path.visits[-1].node].kind == "end"
        assert sum(flow.nodes[visit.node].is_step for visit in path.visits) <= flow.max_steps


def test_no_path_visits_a_node_more_often_than_it_may(flow: Flow) -> None:
    counts = [Counter(visit.node for visit in path.visits) for path in flow.paths()]
    assert all(count <= flow.nodes[node].at_most for found in counts for node, count in found.items())
    assert max(found["confirm"] for found in counts) == 2


def test_each_edge_is_on_a_path_and_each_path_has_its_own_id(flow: Flow) -> None:
    walked = {(visit.node, visit.outcome) for path in flow.paths() for visit in path.visits}
    assert {(name, outcome) for name, node in flow.nodes.items() for outcome in node.edges} <= walked
    ids = [path.id for path in flow.paths()]
    assert len(set(ids)) == len(ids) == 40


def test_the_paths_of_a_small_graph_are_those_that_one_counts_by_hand() -> None:
    flow = Flow(
        start="opening",
        max_steps=3,
        openings={"all": Words(means="in")},
        replies={name: Words() for name in ("again", "on")},
        nodes={
            "opening": Node(kind="decide", edges={"in": ("ask",)}),
            "ask": Node(kind="ask", at_most=2, edges={"again": ("ask",), "on": ("end",)}),
            "end": Node(kind="end"),
        },
    )
    assert [path.id for path in flow.paths()] == ["in>again>on>end", "in>on>end"]
    assert [path.id for path in flow.model_copy(update={"max_steps": 2}).paths()] == ["in>on>end"]


def test_an_edge_with_two_targets_takes_the_first_that_may_still_be_visited(folder: Path) -> None:
    replace_once(folder / FLOW_FILE, "change_time: confirm", "change_time: [confirm, no_slot]")
    ids = [path.id for path in read(folder).paths()]
    assert any("change_time>agreed>created>done" in path for path in ids)
    assert any(path.endswith("change_time>change_time>no_slot") for path in ids)


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        ({"error": "timeout"}, "down"),
        ({"city": "杭州", "slots": []}, "full"),
        ({"city": "杭州", "slots": [{"time": "09:00"}]}, "free"),
        ({"error": "something_new"}, ""),
    ],
)
def test_the_outcome_of_a_call_is_read_from_its_result(flow: Flow, result: dict, outcome: str) -> None:
    assert flow.nodes["slots"].outcome(result) == outcome


def test_of_several_outcomes_the_first_in_the_file_counts() -> None:
    node = Node(kind="tool", outcomes={"good": {"number": "some"}, "any": {}})
    assert [node.outcome({"number": 7}), node.outcome({"number": 0}), node.outcome({})] == ["good", "any", "any"]
