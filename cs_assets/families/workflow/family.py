"""The family `workflow`: how a path becomes a sample, what a trajectory must keep to, and its score.

Here belong the rules: the graph, the calls' results, what is known at a step, what the customer is told. The graph, the
case and the text are the modules' beside; the package says which.

    family = WorkflowFamily(definition)
    path = family.flow.paths()[0]
    family.render_path(path, template, atoms, scene).answer     # Thought: 先查知识库。 ...
"""

import functools
import itertools
import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from cs_assets.families.base import (
    ChatMessage,
    Corrupter,
    Rendered,
    Sample,
    Scene,
    Score,
    SingleMessageFamily,
    Turn,
    Violation,
)
from cs_assets.families.definition import Definition, ScenarioError, read_templates
from cs_assets.families.json_answers import without_spaces
from cs_assets.families.syntax import Segment, SentenceTemplate, parse_template
from cs_assets.families.tools import TODAY, Call, check_call, execute, offer, read_tools, spoken_day
from cs_assets.families.workflow.corruptions import corruptions
from cs_assets.families.workflow.flow import NEXT, Flow, Path, Visit, read_flow
from cs_assets.families.workflow.session import (
    DERIVED,
    SLOTS_OF_NAMES,
    SPOKEN_TIMES,
    Session,
    clock_times,
    spoken_days,
)
from cs_assets.families.workflow.trajectory import (
    FINAL,
    REPLY,
    SENT,
    Action,
    Step,
    chat_messages,
    native_messages,
    read,
    read_loosely,
    spliced,
    write,
)
from cs_assets.families.yaml_files import refuse_options

TOOLS_FILE: Final = "tools.json"
MINIMUM_WORDINGS: Final = 3
# What a trajectory may not make up: numbers of tickets, dates, times.
_FACT: Final = re.compile(r"[A-Z]{2}\d{6,}|\d{4}-\d\d-\d\d|\d{1,2}:\d\d")
_BEGINS_ANEW: Final = re.compile(r"(?:你好|您好|在吗|老板|客服|hi|就这个地址|地址发你)", re.IGNORECASE)
# What one who rewrites messages about parcels adds, and nobody says of a repair.
_OF_PARCELS: Final = re.compile("就这个地址|地址发你|快点发")
Said = dict[str, str]


def dump(members: Mapping[str, Any]) -> str:
    """Write arguments or a result in the one spelling that a trajectory has."""
    return json.dumps(members, ensure_ascii=False)


@dataclass(frozen=True)
class Wording:
    """A way to put a step: the thought and, where the customer reads something, the text."""

    thought: SentenceTemplate
    text: SentenceTemplate | None


class WorkflowFamily(SingleMessageFamily):
    """The verbs of `base.Family` for one workflow.

    Raises:
        ScenarioError: `workflow.yaml` or `tools.json` is malformed, or a node has too few wordings.
        TemplateError: a wording is malformed.
    """

    # The same opening leads along many paths: what comes of it depends on the customer's replies.
    answer_is_determined: ClassVar[bool] = False

    def __init__(self, definition: Definition) -> None:
        refuse_options(definition)
        self.tools = read_tools(definition.read(TOOLS_FILE), str(definition.folder / TOOLS_FILE))
        self.flow: Flow = read_flow(definition, self.tools, {*definition.slots, *DERIVED})
        self._offer = offer(self.tools.values())
        self._slots = definition.slots
        self._wordings = _read_wordings(definition, self.flow)
        self.corruptions = {
            family: {kind: self._inexact(make) for kind, make in kinds.items()}
            for family, kinds in corruptions(self.tools).items()
        }
        # Looking for words that lead along a path tries the same calls again and again.
        self._executed = functools.lru_cache(maxsize=4096)(self._execute)
        self._paths: dict[str, list[Path]] = {}
        for path in self.flow.paths():
            self._paths.setdefault(path.visits[0].outcome, []).append(path)

    def _session(self) -> Session:
        return Session(self.flow, lambda call: self._executed(call.name, dump(call.arguments)))

    def _execute(self, name: str, arguments: str) -> dict[str, Any]:
        return execute(Call(name=name, arguments=json.loads(arguments)), self.tools)

    def _inexact(self, make: Corrupter) -> Corrupter:
        """Return the corrupter without what comes out right all the same: a thought that does for both steps."""

        def corrupt(sample: Sample, rng: random.Random) -> str | None:
            wrong = make(sample, rng)
            return wrong if wrong is not None and self.score(wrong, sample.answer).exact < 1 else None

        return corrupt

    def opens(self, unit: str) -> bool:
        return unit in self.flow.openings

    def completion(self, answer: str) -> list[ChatMessage]:
        return chat_messages(answer)

    def assembled(self, answer: str, said: Sequence[str]) -> str:
        return spliced(answer, said)

    def native_completion(self, sample: Sample) -> list[dict[str, Any]]:
        return native_messages(read(sample.answer))

    def path_ids(self) -> tuple[str, ...]:
        """Return the id of every path, in stable order."""
        return tuple(path.id for path in self.flow.paths())

    def path_of(self, sample: Sample) -> str:
        """Return the id of the path that a good sample walks; of one that breaks a rule, the part up to the break."""
        visits: list[Visit] = []
        list(self._violations(sample, visits))
        return Path(visits=tuple(visits)).id if visits else ""

    # --- Rendering

    def render(self, template: SentenceTemplate, atoms: Mapping[str, Any], scene: Scene) -> Rendered:
        """Render the path whose turn it is: the atoms take the paths of their opening in turn."""
        paths = self._paths[self.flow.openings[template.unit].means]
        return self.render_path(paths[atoms["atom_id"] % len(paths)], template, atoms, scene)

    def render_path(self, path: Path, template: SentenceTemplate, atoms: Mapping[str, Any], scene: Scene) -> Rendered:
        """Render one path.

        Raises:
            ScenarioError: nothing that the atoms hold makes the path happen.
        """
        session, cast = self._session(), dict(atoms)
        opening = _say(template, path.visits, session, cast, scene.rng)
        steps = []
        for number, visit in enumerate(path.visits):
            if session.at.is_step:
                steps.append(self._step(path.visits[number:], session, cast, scene))
            session.follow(visit.outcome)
        return Rendered(turns=[Turn(segments=opening)], answer=write(steps), tools=self._offer)

    def _step(self, visits: Sequence[Visit], session: Session, cast: dict[str, Any], scene: Scene) -> Step:
        """Make the step of the first of `visits`; the others are what it has to lead to."""
        kind = session.at.kind
        call = session.call() if kind == "tool" else None
        wording = scene.rng.choice(self._wordings_at(session))
        thought, text = _filled(wording.thought, session.known), _filled(wording.text, session.known)
        if call:
            action = Action(name=call.name, input=dump(call.arguments))
            return Step(thought=thought, action=action, observation=dump(session.run(call)))
        if kind == "end":
            return Step(thought=thought, action=Action(name=FINAL, input=text))
        action = Action(name=REPLY, input=text)
        if kind == "say":
            return Step(thought=thought, action=action, observation=SENT)
        reply = _say(scene.pick(visits[0].outcome), visits, session, cast, scene.rng)
        return Step(thought=thought, action=action, observation=_line(reply))

    def _wordings_at(self, session: Session) -> list[Wording]:
        by_outcome = self._wordings.get(f"{session.node}/{session.came_by}")
        return by_outcome or self._wordings[session.node]

    # --- Rules

    def verify(self, sample: Sample) -> list[Violation]:
        return list(self._violations(sample, []))

    def _violations(self, sample: Sample, visits: list[Visit]) -> Iterator[Violation]:
        """Walk the answer through the graph and yield what breaks a rule; adds to `visits` where it came through."""
        try:
            steps = read(sample.answer)
        except ValueError as error:
            yield Violation(rule="format", detail=str(error))
            return
        session, seen = self._session(), sample.message
        outcome = session.outcome_of(sample.message)
        session.hear(sample.message, {})
        for number, step in enumerate(steps, start=1):
            visits.append(Visit(node=session.node, outcome=outcome))
            if not session.follow(outcome):
                yield Violation(rule="graph", detail=f"step {number}: no way on from {visits[-1].node} by {outcome!r}")
                return
            if step.action.name != _due_action(session):
                due = f"{_due_action(session)} at {session.node}"
                yield Violation(rule="graph", detail=f"step {number}: {step.action.name}, where {due} is due")
                return
            yield from self._untold(number, step, session, seen)
            found, outcome = self._observed(number, step, session)
            yield from found
            if found:
                return
            seen += step.text
        visits.append(Visit(node=session.node))

    def _observed(self, number: int, step: Step, session: Session) -> tuple[list[Violation], str]:
        """Take in what the step led to; return what breaks a rule in it, and the outcome."""
        if step.action.is_call:
            return self._called(number, step, session)
        if session.at.kind == "ask":
            outcome = session.outcome_of(step.observation)
            session.hear(step.observation, {})
            return [], outcome
        if session.at.kind == "say" and step.observation != SENT:
            return [Violation(rule="observation", detail=f"step {number}: {step.observation}, not {SENT}")], NEXT
        return [], NEXT

    def _called(self, number: int, step: Step, session: Session) -> tuple[list[Violation], str]:
        """Check a call, run it, and compare the result with what the step says."""
        arguments = step.action.arguments()
        if arguments is None:
            return [Violation(rule="schema", detail=f"step {number}: {step.action.input} is no JSON object")], ""
        call = Call(name=step.action.name, arguments=arguments)
        found = [*check_call(call, self.tools), *self._ungrounded(number, call, session)]
        if found:
            return found, ""
        session.known |= {name: arguments[p] for p, name in session.at.arguments.items() if p in arguments}
        result = session.run(call)
        if dump(result) != step.observation:
            found = [Violation(rule="observation", detail=f"step {number}: the call returns {dump(result)}")]
        return found, session.at.outcome(result)

    def _ungrounded(self, number: int, call: Call, session: Session) -> Iterator[Violation]:
        """Yield the arguments that no one gave: neither the customer, nor a result."""
        due = session.call().arguments
        for parameter, name in session.at.arguments.items():
            value = call.arguments.get(parameter)
            if name in self._slots:
                # A day may be said more than once; the last one counts.
                heard = session.heard[-1:] if name == "日期" else session.heard
                stands = any(without_spaces(str(value)) in words for words in heard)
                reason = "does not stand in the customer's words"
            else:
                stands, reason = value == due.get(parameter), f"{due.get(parameter)!r} is due"
            if not stands:
                yield Violation(rule="grounded", detail=f"step {number}: {parameter}={value!r}: {reason}")

    def _untold(self, number: int, step: Step, session: Session, seen: str) -> Iterator[Violation]:
        """Yield facts that are made up, and what this step has to tell and does not."""
        said = "" if step.action.is_call else step.action.input
        for fact in _FACT.findall(step.thought + said):
            if fact not in seen:
                yield Violation(rule="invented", detail=f"step {number}: {fact} does not stand in what came before")
        texts = [wording.text for wording in self._wordings_at(session) if wording.text]
        for name in DERIVED:
            value = str(session.known.get(name))
            if texts and all(name in text.slots for text in texts) and value not in said:
                yield Violation(rule="untold", detail=f"step {number}: {name} {value} is not told")

    def check_template(self, template: SentenceTemplate, atoms: Mapping[str, Any]) -> list[Violation]:
        """Return why the customer's words would not be understood as those of their unit."""
        words = (self.flow.openings | self.flow.replies).get(template.unit)
        if words is None:
            units = ", ".join([*self.flow.openings, *self.flow.replies])
            return [Violation(rule="unit", detail=f"unknown unit {template.unit!r}; there are {units}")]
        missing = {slot for name in words.names for slot in SLOTS_OF_NAMES[name]} - set(template.slots)
        if missing:
            return [Violation(rule="words", detail=f"{', '.join(sorted(missing))} is not said")]
        text = _line(template.render(atoms))
        if not self.opens(template.unit) and _BEGINS_ANEW.match(text):
            return [Violation(rule="words", detail="it begins anew; a reply stands in the middle of a conversation")]
        if parcel := _OF_PARCELS.search(text):
            return [Violation(rule="words", detail=f"{parcel.group()} belongs to a parcel, not to a repair")]
        session = self._session()
        if "busy_time" not in words.names:
            session.free = tuple(clock_times(str(atoms.get("时间", ""))))
        kinds = [self.flow.openings] if self.opens(template.unit) else self._alternatives(template.unit)
        understood = {session.recognise(among, text) for among in kinds} - {template.unit}
        return [Violation(rule="words", detail=f"it is understood as {name or 'nothing'}") for name in understood]

    def _alternatives(self, reply: str) -> list[dict[str, Any]]:
        """Return, for each node that waits for this kind of reply, all that it waits for."""
        nodes = [node for node in self.flow.nodes.values() if reply in node.edges]
        return [{name: words for name, words in self.flow.replies.items() if name in node.edges} for node in nodes]

    # --- Scores

    def score(self, prediction: str, answer: str) -> Score:
        """Compare step by step, in order.

        `steps`: share whose action and arguments are right. `words`: share whose thought and text are wordings of the
        step with the right values. `end`: whether all steps lead to the right end.
        """
        truth = read(answer)
        try:
            found, strict = read(prediction.strip()), True
        except ValueError:
            found, strict = read_loosely(prediction), False
        pairs = list(zip(found, truth, self._fitting(truth), strict=False))
        length = max(len(found), len(truth))
        acted = sum(_same_action(step.action, true.action) for step, true, _ in pairs)
        worded = [_fits(step, fitting) for step, _, fitting in pairs]
        arrived = len(found) == len(truth) and all(step.action.name == true.action.name for step, true, _ in pairs)
        fields = {"steps": acted / length, "words": sum(worded) / length, "end": float(arrived and worded[-1])}
        observed = [step.observation for step in found] == [step.observation for step in truth]
        exact = strict and observed and all(value == 1.0 for value in fields.values())
        return Score(strict_json=float(strict), exact=float(exact), fields=fields)

    def _fitting(self, truth: Sequence[Step]) -> list[tuple[set[str], set[str]]]:
        """Return, for each step of a true trajectory, the thoughts and the texts that would do as well."""
        for opening in self._paths:
            fitting = self._retraced(truth, opening)
            if fitting and all(_fits(step, due) for step, due in zip(truth, fitting, strict=True)):
                return fitting
        return [({step.thought}, {step.action.input}) for step in truth]

    def _retraced(self, truth: Sequence[Step], opening: str) -> list[tuple[set[str], set[str]]]:
        """Walk a true trajectory that began with this opening; empty where the graph does not allow it."""
        session, outcome = self._session(), opening
        session.heard.append("")
        fitting = []
        for step in truth:
            if not session.follow(outcome) or step.action.name != _due_action(session):
                return []
            arguments = step.action.arguments() or {} if step.action.is_call else {}
            session.known |= {name: arguments[p] for p, name in session.at.arguments.items() if p in arguments}
            known = self._said(truth) | session.known
            wordings = [w for w in self._wordings_at(session) if known.keys() >= {*w.thought.slots, *_slots(w.text)}]
            fitting.append(({_filled(w.thought, known) for w in wordings}, {_filled(w.text, known) for w in wordings}))
            if step.action.is_call:
                result = json.loads(step.observation)
                session.learn(result)
                outcome = session.at.outcome(result)
            else:
                outcome = self._observed(0, step, session)[1]
        return fitting

    def _said(self, truth: Sequence[Step]) -> dict[str, Any]:
        """Return what the calls tell of the customer's words: a name is heard before the call that has it."""
        return {
            name: arguments[parameter]
            for step in reversed(truth)
            if step.action.is_call and (arguments := step.action.arguments())
            for node in self.flow.nodes.values()
            if node.tool == step.action.name
            for parameter, name in node.arguments.items()
            if name in self._slots and parameter in arguments
        }


def _read_wordings(definition: Definition, flow: Flow) -> dict[str, list[Wording]]:
    """Return the assistant's words by node or node/outcome.

    Raises:
        ScenarioError: a node has too few, a file has not the lines that its node needs, or there is no such node.
    """
    folder = definition.folder / "templates" / "bot"
    found: dict[str, list[Wording]] = {}
    for name, template in read_templates(folder, definition.slots | {*DERIVED}).items():
        node = flow.nodes.get(template.unit.split("/")[0])
        if node is None:
            raise ScenarioError(f"{folder / name}.j2: there is no node {template.unit!r} in workflow.yaml.")
        thought, *text = (parse_template(line, template.source) for line in template.text.split("\n"))
        if len(text) != (node.kind != "tool"):
            raise ScenarioError(
                f"{folder / name}.j2: found {1 + len(text)} lines; write the thought, and below it what the customer "
                "reads (a tool's node has the thought alone)."
            )
        found.setdefault(template.unit, []).append(Wording(thought, text[0] if text else None))
    for name, node in flow.nodes.items():
        arrivals = {o for other in flow.nodes.values() for o, targets in other.edges.items() if name in targets}
        ways = [name] if name in found else [f"{name}/{outcome}" for outcome in sorted(arrivals)]
        short = [way for way in ways if len(found.get(way, [])) < MINIMUM_WORDINGS]
        if node.is_step and short:
            raise ScenarioError(f"{folder / short[0]}: fewer than {MINIMUM_WORDINGS} wordings; write more, as 01.j2.")
    return found


def _say(
    template: SentenceTemplate, visits: Sequence[Visit], session: Session, cast: dict[str, Any], rng: random.Random
) -> list[Segment]:
    """Let the customer say what makes `visits` happen; the first of them is left by these words.

    Updates `session` by what is said and `cast` by the values that were chosen.

    Raises:
        ScenarioError: nothing does.
    """
    for chosen in _choices(template, cast, session.known, rng):
        segments = template.render(cast | chosen)
        if session.outcome_of(_line(segments)) != visits[0].outcome:
            continue
        said = {segment.slot: segment.text for segment in segments if segment.slot}
        trial = session.copy()
        trial.hear(_line(segments), said)
        if _happens(visits, trial):
            session.hear(_line(segments), said)
            cast |= chosen
            return segments
    path = ">".join(visit.outcome or visit.node for visit in visits)
    raise ScenarioError(f"{template.source}: nothing that these atoms say leads along {path}.")


def _happens(visits: Sequence[Visit], session: Session) -> bool:
    """Tell whether the calls until the customer's next words turn out as the path wants."""
    for visit in visits:
        if session.at.kind == "tool" and session.at.outcome(session.run(session.call())) != visit.outcome:
            return False
        if visit is not visits[0] and session.at.kind in ("ask", "end"):
            return True
        session.follow(visit.outcome)
    return True


def _choices(
    template: SentenceTemplate, cast: Mapping[str, Any], known: Mapping[str, Any], rng: random.Random
) -> Iterator[Said]:
    """Yield what the customer may say in the template's slots, in random order; but the plainest place comes first.

    A city without technicians also answers that a day is too far, and would then lead nowhere.
    """
    slots = set(template.slots)
    pools: list[list[Said]] = []
    if slots & {"产品", "故障"}:
        pools.append(_shuffled(cast["_problems"], rng))
    if "日期" in slots:
        # Another day than the one that was said before.
        before = spoken_day(known["日期"]) if "日期" in known else TODAY
        pools.append(_shuffled([{"日期": day} for day in spoken_days() if spoken_day(day) != before], rng))
    if "时间" in slots:
        pools.append(_shuffled([{"时间": form} for forms in SPOKEN_TIMES.values() for form in forms], rng))
    if "城市" in slots:
        pools.append(cast["_places"])
    for chosen in itertools.product(*pools):
        yield {name: value for part in chosen for name, value in part.items()}


def _shuffled(pool: list[Said], rng: random.Random) -> list[Said]:
    return rng.sample(pool, len(pool))


def _line(segments: Iterable[Segment]) -> str:
    """Return a customer's words as one line."""
    return re.sub(r"\s*\n\s*", " ", "".join(segment.text for segment in segments)).strip()


def _slots(template: SentenceTemplate | None) -> tuple[str, ...]:
    return template.slots if template else ()


def _filled(template: SentenceTemplate | None, known: Mapping[str, Any]) -> str:
    return "".join(segment.text for segment in template.render(known)) if template else ""


def _due_action(session: Session) -> str:
    return {"tool": session.at.tool, "end": FINAL}.get(session.at.kind, REPLY)


def _same_action(found: Action, true: Action) -> bool:
    return found.name == true.name and (not true.is_call or found.arguments() == true.arguments())


def _fits(step: Step, due: tuple[set[str], set[str]]) -> bool:
    thoughts, texts = due
    return step.thought in thoughts and (step.action.is_call or step.action.input in texts)
