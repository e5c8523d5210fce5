"""Workflow graphs: the nodes and edges of `workflow.yaml`, checked, and every path through them.

Here belong the graph and its paths. How a path becomes a sample is said by `family.py`. A node is one step of the
assistant, except `decide`, which takes none:

    ask     replies to the customer and waits; the edge is chosen by what the customer answers
    say     replies to the customer and goes on; its one edge is `next`
    tool    calls a function; the edge is chosen by what it returns
    decide  chooses the edge by what the customer opened with
    end     tells the customer the last word

    flow = read_flow(definition, tools={"SearchSolution"}, known={"故障", "产品"})
    [path.id for path in flow.paths()]     # ["problem>advice>solved>goodbye", ...]

A node may be visited `at_most` times (once, unless it says more), so every loop is bounded. An edge may name several
targets: the first that may still be visited is taken.
"""

import functools
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from cs_assets.families.base import Value
from cs_assets.families.definition import Definition, ScenarioError
from cs_assets.families.yaml_files import read_yaml

FLOW_FILE: Final = "workflow.yaml"
NEXT: Final = "next"
SOME: Final = "some"
Targets = Annotated[tuple[str, ...], BeforeValidator(lambda found: (found,) if isinstance(found, str) else found)]


def _expression(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return value


Expression = Annotated[str, BeforeValidator(_expression)]


class Strict(BaseModel):
    """Base of what is read from YAML: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Node(Strict):
    """One node.

    arguments: a tool's parameter -> the name of what is known that fills it. outcomes: name -> members that a tool's
    result must have, where `some` stands for anything but nothing; the first that fits counts. edges: outcome -> node.
    """

    kind: Literal["ask", "say", "tool", "decide", "end"]
    tool: str = ""
    arguments: dict[str, str] = {}
    outcomes: dict[str, dict[str, Any]] = {}
    edges: dict[str, Targets] = {}
    at_most: Annotated[int, Field(ge=1, le=5)] = 1

    @property
    def is_step(self) -> bool:
        return self.kind != "decide"

    def outcome(self, result: Mapping[str, Any]) -> str:
        """Return how a call turned out, an empty string where no outcome of the node fits."""
        for name, members in self.outcomes.items():
            if all(result.get(key) == value or (value == SOME and result.get(key)) for key, value in members.items()):
                return name
        return ""


class Words(Strict):
    """How words of the customer are recognised: `says` is found in them, and they name all of `names`.

    Of several kinds that fit, the first in the file counts. In an opening, `means` is the outcome of a `decide`.
    """

    says: Expression = ""
    names: tuple[Literal["city", "day", "free_time", "other_time", "busy_time", "contact"], ...] = ()
    means: str = ""


class Visit(Value):
    """A node on a path, and the outcome by which it is left; an end is left by none."""

    node: str
    outcome: str = ""


class Path(Value):
    """A way from the start to an end."""

    visits: tuple[Visit, ...]

    @functools.cached_property
    def id(self) -> str:
        """The outcomes on the way and the end: they tell the path from every other of its flow."""
        return ">".join([*(visit.outcome for visit in self.visits[:-1]), self.visits[-1].node])


class Flow(Strict):
    """The content of `workflow.yaml`. `flags`: name of what is known -> what a customer says where it is so."""

    start: str
    max_steps: Annotated[int, Field(ge=1, le=30)]
    flags: dict[str, Expression] = {}
    openings: dict[str, Words]
    replies: dict[str, Words]
    nodes: dict[str, Node]

    def successors(self, node: str, visited: Mapping[str, int]) -> dict[str, str]:
        """Return where each outcome leads from here, for one who was at the nodes of `visited` so often."""
        found = {}
        for outcome, targets in self.nodes[node].edges.items():
            for target in targets:
                if visited.get(target, 0) < self.nodes[target].at_most:
                    found[outcome] = target
                    break
        return found

    def paths(self) -> tuple[Path, ...]:
        """Return every path from the start to an end with at most `max_steps` steps, in stable order."""
        return tuple(Path(visits=visits) for visits in self._ways(self.start, Counter(), 0))

    def _ways(self, node: str, visited: Counter[str], steps: int) -> Iterator[tuple[Visit, ...]]:
        here, steps = visited + Counter([node]), steps + self.nodes[node].is_step
        if steps > self.max_steps:
            return
        if self.nodes[node].kind == "end":
            yield (Visit(node=node),)
        for outcome, target in self.successors(node, here).items():
            for rest in self._ways(target, here, steps):
                yield (Visit(node=node, outcome=outcome), *rest)


def read_flow(definition: Definition, tools: Collection[str], known: Collection[str]) -> Flow:
    """Read and check the scenario's workflow.

    Args:
        definition: the scenario.
        tools: the functions on offer.
        known: the names of what may fill an argument, flags aside.

    Raises:
        ScenarioError: one line a fault: file, node, key, what was found and what is allowed.
    """
    flow = read_yaml(definition, FLOW_FILE, Flow)
    # A graph that is broken has no paths worth a look.
    faults = [*_faults(flow, tools, known)] or [*_faults_of_paths(flow)]
    if faults:
        raise ScenarioError("\n".join(f"{definition.folder / FLOW_FILE}: {fault}" for fault in faults))
    return flow


def _faults(flow: Flow, tools: Collection[str], known: Collection[str]) -> Iterator[str]:
    if flow.start not in flow.nodes:
        yield f"key 'start': unknown node {flow.start!r}; there are {_listed(flow.nodes)}."
    elif flow.nodes[flow.start].kind != "decide":
        yield f"node {flow.start!r}, key 'kind': the start is a decide: what the customer opens with is its outcome."
    for name, node in flow.nodes.items():
        if node.kind == "decide" and name != flow.start:
            yield f"node {name!r}, key 'kind': a decide can only be the start; later, a call or a reply decides."
        faults = [*_faults_of_edges(flow, node), *_faults_of_call(node, tools, {*known, *flow.flags})]
        yield from (f"node {name!r}, {fault}" for fault in faults)


def _faults_of_edges(flow: Flow, node: Node) -> Iterator[str]:
    allowed: Collection[str] = {
        "ask": flow.replies,
        "say": (NEXT,),
        "tool": node.outcomes,
        "decide": {words.means for words in flow.openings.values()},
        "end": (),
    }[node.kind]
    for outcome, targets in node.edges.items():
        if outcome not in allowed:
            yield f"key 'edges': unknown outcome {outcome!r}; allowed for this {node.kind} are {_listed(allowed)}."
        for target in targets:
            if target not in flow.nodes:
                yield f"key 'edges.{outcome}': unknown node {target!r}; there are {_listed(flow.nodes)}."
    if node.kind != "end" and not any(node.edges.values()):
        yield "key 'edges': no exit; name at least one, or make it an end."
    for outcome in node.outcomes:
        if outcome not in node.edges:
            yield f"key 'outcomes.{outcome}': no edge for it; add one, or take it out."


def _faults_of_call(node: Node, tools: Collection[str], known: Collection[str]) -> Iterator[str]:
    if node.kind != "tool":
        if node.tool or node.arguments or node.outcomes:
            yield f"key 'tool': a node of kind {node.kind} calls no function; make it a tool, or take its call out."
        return
    if node.tool not in tools:
        yield f"key 'tool': tools.json has no {node.tool!r}; there are {_listed(tools)}."
    for parameter, name in node.arguments.items():
        if name not in known:
            yield f"key 'arguments.{parameter}': unknown value {name!r}; there are {_listed(known)}."


def _faults_of_paths(flow: Flow) -> Iterator[str]:
    """Yield the nodes that no path to an end comes through, with the reason."""
    reachable, waiting = {flow.start}, [flow.start]
    while waiting:
        edges = flow.nodes[waiting.pop()].edges
        fresh = {target for targets in edges.values() for target in targets} - reachable
        reachable |= fresh
        waiting += sorted(fresh)
    walked = {visit.node for path in flow.paths() for visit in path.visits}
    for name in flow.nodes:
        if name not in reachable:
            yield f"node {name!r}: unreachable; no edge leads there from {flow.start!r}."
        elif name not in walked:
            yield (
                f"node {name!r}: no path of at most {flow.max_steps} steps leads through it to an end; raise "
                "'max_steps' or 'at_most', or mend its edges."
            )


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names)) or "none"
