"""The family `reply`: pairs of query and reply, what a reply may say, and how an LLM is asked for new pairs.

Here belong the policy, the rules and the score. What can be read from a text whoever wrote it is in `plain_text.py` of
the families, how a reply goes wrong in `corruptions.py`.

    family = ReplyFamily(definition)
    family.topics_of("半个月了保温杯还没到")       # ["late"]
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from string import Template
from typing import Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict

from cs_assets.families.base import (
    Metric,
    Rendered,
    Sample,
    Scene,
    Score,
    SingleMessageFamily,
    Turn,
    Value,
    Violation,
)
from cs_assets.families.definition import Definition, ScenarioError, template_files
from cs_assets.families.plain_text import (
    DRESSED,
    ENDED,
    Both,
    Language,
    Pattern,
    alike,
    echoes,
    foreign_span,
    foreign_value,
    found,
    key_values,
    language_of,
    plain,
    repeated,
    squeezed,
)
from cs_assets.families.reply.corruptions import WORSE_FILE, ReplyCorruptions, Worse
from cs_assets.families.similarity import chrf
from cs_assets.families.syntax import SentenceTemplate, TemplateError, parse_template
from cs_assets.families.yaml_files import read_yaml, refuse_options

POLICY_FILE: Final = "policy.yaml"


class Topic(BaseModel):
    """One topic of `policy.yaml`; the file's comments say what each key means."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: Both[str]
    signs: Pattern
    names: Pattern
    terms: list[str]
    may: list[str]


class Policy(BaseModel):
    """The content of `policy.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    length: Both[tuple[int, int]]
    next_step: Both[Pattern]
    commitments: dict[str, Pattern]
    forbidden: dict[str, Pattern]
    topics: dict[str, Topic]


class ReplyFamily(SingleMessageFamily):
    """The verbs of `base.Family` for the pairs and the policy of one scenario.

    Raises:
        ScenarioError: `policy.yaml` is missing or malformed; a pair is incomplete.
        TemplateError: a template of a reply is malformed.
    """

    # Of many good replies the answer is one.
    answer_is_determined: ClassVar[bool] = False
    # The very words of the answer are rare, and no aim.
    headline: ClassVar[Metric] = "field_accuracy"

    def __init__(self, definition: Definition) -> None:
        refuse_options(definition)
        self._file = definition.folder / POLICY_FILE
        self.policy = read_yaml(definition, POLICY_FILE, Policy)
        self._check_commitments()
        self._topic_word = re.compile("|".join(topic.names for topic in self.policy.topics.values()), re.IGNORECASE)
        replies = definition.answer_templates()
        self._replies: dict[str, list[SentenceTemplate]] = {}
        for name, reply in replies.items():
            self._replies.setdefault(name.partition(".")[0], []).append(reply)
        _check_pairs(definition, set(self._replies))
        self.corruptions = ReplyCorruptions(
            read_yaml(definition, WORSE_FILE, Both[Worse]),
            list(replies.values()),
            sorted({term for topic in self.policy.topics.values() for term in topic.terms}),
            self.topics_of,
            self._about,
        ).kinds()

    def _check_commitments(self) -> None:
        for name, topic in self.policy.topics.items():
            if unknown := sorted(set(topic.may) - set(self.policy.commitments)):
                raise ScenarioError(
                    f"{self._file}: key 'topics.{name}.may': found {unknown[0]!r}; allowed are "
                    f"{', '.join(self.policy.commitments)}."
                )

    def render(self, template: SentenceTemplate, atoms: Mapping[str, Any], scene: Scene) -> Rendered:
        replies = [parse_template(template.answer, template.source)] if template.answer else None
        replies = replies or self._replies.get(template.seed)
        if replies is None:
            raise TemplateError(f"{template.source}: the pair {template.seed!r} has no reply in templates/bot.")
        reply = scene.rng.choice(replies)
        if foreign := sorted(set(reply.slots) - set(template.slots)):
            raise TemplateError(
                f"{reply.source}: {foreign[0]!r} does not stand in the query {template.source}; a reply knows what the "
                "query tells."
            )
        return Rendered(turns=[Turn(segments=template.render(atoms))], answer=reply.fill(atoms))

    def seed_pairs(self, seeds: Mapping[str, SentenceTemplate]) -> dict[tuple[str, Language], list["Pair"]]:
        """Return the human-written pairs of each topic and language, with the first reply of each."""
        found: dict[tuple[str, Language], list[Pair]] = {}
        for name, query in seeds.items():
            reply = self._replies[name][0]
            pair = Pair(query=query.text, reply=reply.text)
            found.setdefault((query.unit, language_of(reply.literals())), []).append(pair)
        return found

    # --- Rules

    def verify(self, sample: Sample) -> list[Violation]:
        message, reply = plain(sample.message), sample.answer
        language = language_of(message)
        topics = self.topics_of(message)
        names = "|".join(self.policy.topics[name].names for name in topics)
        rules = {
            "language": "" if language_of(reply) == language else f"the query is {language}, the reply is not",
            **self._misshapen(reply, language),
            "cut": "" if ENDED.search(reply) else f"it breaks off: {reply[-12:]!r}",
            "next_step": "" if found(self.policy.next_step.of(language), reply) else "it does not say what comes next",
            "issue": "" if not topics or found(names, reply) else f"it does not speak of {' or '.join(topics)}",
            "echo": "it repeats the query" if echoes(message, reply) else "",
            "contradiction": foreign_value(reply, message),
            "span": foreign_span(reply, message, self._terms(topics)),
            "commitment": self._unlicensed(reply, topics),
        }
        rules |= {name: found(pattern, reply) for name, pattern in self.policy.forbidden.items()}
        return [Violation(rule=rule, detail=detail) for rule, detail in rules.items() if detail]

    def topics_of(self, message: str) -> list[str]:
        """Return the topics that a query shows signs of; more than one is usual, and none is possible."""
        words = squeezed(message)
        return [name for name, topic in self.policy.topics.items() if found(topic.signs, words)]

    def _about(self, message: str, language: Language) -> str:
        topics = self.topics_of(message) or list(self.policy.topics)
        return self.policy.topics[topics[0]].about.of(language)

    def _misshapen(self, text: str, language: Language) -> dict[str, str]:
        """Return, by rule, what makes a text no reply, whatever it speaks of; empty where nothing does."""
        fewest, most = self.policy.length.of(language)
        fits = fewest <= len(text) <= most
        return {
            "length": "" if fits else f"{len(text)} characters; allowed are {fewest} to {most}",
            "plain": "it is more than the plain text" if DRESSED.search(text) else "",
            "repeated": repeated(text),
        }

    def _terms(self, topics: Sequence[str]) -> set[str]:
        """Return the spans of time that are open to a reply; where no topic was recognised, those of all."""
        return {alike(term) for name in topics or self.policy.topics for term in self.policy.topics[name].terms}

    def _unlicensed(self, reply: str, topics: Sequence[str]) -> str:
        """Return a commitment that none of the topics (of all, where none was recognised) may make."""
        licensed = {commitment for name in topics or self.policy.topics for commitment in self.policy.topics[name].may}
        made = {name: found(pattern, reply) for name, pattern in self.policy.commitments.items()}
        return next((f"{name}: {words}" for name, words in made.items() if words and name not in licensed), "")

    # --- Rubric

    def rubric(self, message: str) -> str:
        language = language_of(plain(message))
        named = self.topics_of(plain(message))
        topics = [self.policy.topics[name] for name in named or self.policy.topics]
        fewest, most = self.policy.length.of(language)
        return _RUBRIC.substitute(
            about="、".join(topic.about.zh for topic in topics) if named else "顾客说的那件事",
            may=_listed(commitment for topic in topics for commitment in topic.may),
            terms=_listed(term for topic in topics for term in topic.terms if language_of(term) == language),
            language=_LANGUAGES[language],
            fewest=fewest,
            most=most,
        )

    def grade(self, sample: Sample) -> float:
        broken = {POINT_OF.get(violation.rule, "promises") for violation in self.verify(sample)}
        return 1 - len(broken) / len(_POINTS)

    # --- Score

    def is_prose(self, answer: str) -> bool:
        return True

    def score(self, prediction: str, answer: str) -> Score:
        """Compare with one good reply. `exact` is the same text, and rare; the fields say how good another one is.

        chrf: chrF in [0, 1]. issue: how far it speaks of what `answer` speaks of (`_addressed`); what is no reply
        (dressed, of a length that the policy does not allow, a sentence twice) does not at all. policy: no rule about
        promises and manners is broken, `answer` standing for the query, which is not at hand. language: that of
        `answer`. An empty phrase breaks no rule, so both count only as far as the issue is addressed: at most `issue`.
        """
        said, language = prediction.strip(), language_of(answer)
        topics = [name for name, topic in self.policy.topics.items() if found(f"{topic.names}|{topic.signs}", answer)]
        broken = (
            foreign_span(said, answer, self._terms(topics))
            or self._unlicensed(said, topics)
            or any(found(pattern, said) for pattern in self.policy.forbidden.values())
        )
        issue = 0.0 if any(self._misshapen(said, language).values()) else self._addressed(said, answer)
        return Score(
            strict_json=float(bool(said) and not DRESSED.search(said)),
            exact=float(said == answer.strip()),
            fields={
                "chrf": chrf(said, answer),
                "policy": 0.0 if broken else issue,
                "language": issue if language_of(said) == language else 0.0,
                "issue": issue,
            },
        )

    def _addressed(self, said: str, answer: str) -> float:
        """Return how far a text speaks of what a good reply speaks of, in [0, 1].

        The share of the reply's products, names and numbers that are there, if one of its words for a topic is; where
        it has no such values, how alike the words for topics are (F1).
        """
        there, wanted = self._topic_words(said), self._topic_words(answer)
        shared, values = len(there & wanted), key_values(answer)
        if not values:
            return 2 * shared / (len(there) + len(wanted)) if shared else 0.0
        named = sum(value.lower() in said.lower() for value in values) / len(values)
        return named if shared or not wanted else 0.0

    def _topic_words(self, text: str) -> set[str]:
        """Return the words by which a reply shows what topic it speaks of, of all topics."""
        return {match[0].lower() for match in self._topic_word.finditer(text)}


def _check_pairs(definition: Definition, replied: set[str]) -> None:
    human = definition.folder / "templates" / "human"
    asked = {path.relative_to(human).with_suffix("").as_posix() for path in template_files(human)}
    if alone := sorted(asked ^ replied):
        here, there = ("human", "bot") if alone[0] in asked else ("bot", "human")
        raise ScenarioError(
            f"{definition.folder / 'templates' / here / alone[0]}.j2: has no partner. Write "
            f"templates/{there}/{alone[0]}.j2, or take the file away."
        )


# --- The rubric

_RUBRIC: Final = Template("""\
1. 态度：先用一两句话接住顾客的情绪，温和、真诚；不冷淡，不怪顾客，也不反复道歉。
2. 对题：点到顾客说的具体问题（$about）和他提到的商品、数字、称呼；不套话，不复述，不张冠李戴。
3. 办法：说清楚客服马上做什么、顾客要做什么。
4. 承诺：能承诺的只有：$may；能提的时限只有：$terms，外加顾客自己说过的。
   不许说已经退款，不许赔偿、送券、给日期、说“保证”。
5. 形式：用$language回复，$fewest到$most个字符；只有回复正文，句子完整，不重复，不说自己是AI。""")
_POINTS: Final[dict[str, tuple[str, ...]]] = {
    "attitude": ("blame",),
    "issue": ("issue", "echo", "contradiction"),
    "next_step": ("next_step",),
    "promises": ("span", "commitment"),
    "form": ("language", "length", "plain", "cut", "repeated", "machine"),
}
# Which point a rule of `verify` speaks of; what else the policy forbids is a promise.
POINT_OF: Final = {rule: point for point, rules in _POINTS.items() for rule in rules}


def _listed(words: Iterable[str]) -> str:
    return "、".join(dict.fromkeys(words)) or "无"


# --- New pairs by an LLM


class Pair(Value):
    """A query and its reply, both with slots in double braces."""

    query: str
    reply: str


PAIR_KEYS: Final = ("query", "reply")
_PAIR_PROMPT: Final = Template("""\
你是一家网店的资深售后主管，正在给客服新人写培训用的对话样例。请写一组新的“顾客消息 + 客服回复”。

主题：$topic
语言：$language

顾客消息：像真实顾客在手机上随手打的字，口语、简短，可以着急、委屈、生气或客气，不要书面腔。
客服回复：先用一句话接住顾客的情绪，点到他说的具体问题；再说清楚我们马上做什么、顾客要做什么；温和、具体、不啰嗦，
$fewest到$most个字符。不说教，不怪顾客，不提自己是AI，不留电话、链接和微信。
只能承诺这些：$may。只能提这些时限：$terms。除此之外不许承诺退款、赔偿、优惠券、金额、日期，也不许说“保证”“一定能”。

具体的商品、称呼、数字一律用双花括号的参数代替，只能用这些，花括号里的字一个都不能改：
$slots
回复里只能用顾客消息里用过的参数。

例子（学它们的语气，不要照抄它们的句子和情节）：
$examples

请写一组情节和说法都不同的。只输出一个json对象，键为query和reply：
{"query": "…", "reply": "…"}""")
_LANGUAGES: Final[dict[Language, str]] = {"zh": "中文", "en": "英文（English）"}


def pair_prompt(policy: Policy, topic: str, seeds: Sequence[Pair], slots: Sequence[str]) -> str:
    """Return the prompt that asks an LLM for one new pair.

    Args:
        policy: says what a reply of the topic may promise.
        topic: a key of `policy.topics`; vary it from call to call.
        seeds: two or three pairs of the topic, all in the language that is wanted.
        slots: what the new pair may name.

    Raises:
        KeyError: there is no such topic.
        ValueError: there are no seeds, or their languages differ.
    """
    languages = {language_of(seed.reply) for seed in seeds}
    if len(languages) != 1:
        raise ValueError(f"seeds: found {len(seeds)} in {sorted(languages)}; wanted are two or three in one language.")
    [language] = languages
    rules = policy.topics[topic]
    fewest, most = policy.length.of(language)
    return _PAIR_PROMPT.substitute(
        topic=rules.about.of(language),
        language=_LANGUAGES[language],
        fewest=fewest,
        most=most,
        may="、".join(rules.may) or "无",
        terms="、".join(term for term in rules.terms if language_of(term) == language) or "无",
        slots="  ".join(f"{{{{{slot}}}}}" for slot in slots),
        examples="\n".join(seed.model_dump_json() for seed in seeds),
    )


def read_pair(text: str, slots: frozenset[str]) -> Pair | str:
    """Return the pair in an LLM's answer, or why there is none.

    The answer may be fenced or wrapped in prose. Both texts must parse as templates over `slots`, the reply may use the
    query's slots only, and both must be of one language. Whether the reply keeps the policy, `verify` says of the
    rendered sample.
    """
    from resources.llm import ParseFailure, parse_json_object  # resources.llm imports Dagster

    answer = parse_json_object(text, PAIR_KEYS)
    if isinstance(answer, ParseFailure):
        return answer.reason
    for key in PAIR_KEYS:
        if not isinstance(answer[key], str) or not answer[key].strip():
            return f"{key}: found {answer[key]!r}, a text was wanted"
    pair = Pair(query=answer["query"].strip(), reply=answer["reply"].strip())
    try:
        query, reply = (parse_template(said, key, slots) for key, said in pair)
    except TemplateError as error:
        return str(error)
    if foreign := sorted(set(reply.slots) - set(query.slots)):
        return f"reply: {foreign[0]!r} does not stand in the query"
    if language_of(query.literals()) != language_of(reply.literals()):
        return "query and reply are in different languages"
    return pair
