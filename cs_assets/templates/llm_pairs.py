"""New pairs of query and reply by an LLM, for families whose answer is written and not looked up.

Here belongs which calls are made. The prompt and the reading of an answer are the family's (`families/reply`), the
client is `resources.llm`; what comes back passes the gates of any variant, the policy of replies among them.
"""

from typing import Any, Final, NamedTuple

from cs_assets.families.reply.family import PAIR_KEYS, ReplyFamily, pair_prompt, read_pair
from cs_assets.families.syntax import SentenceTemplate, parse_template
from cs_assets.scenario import Scenario
from cs_assets.templates.llm_variants import ANSWER_TOKENS, complete_structured
from resources.llm import ChatClient, ChatRequest

PURPOSE: Final = "reply_pairs"
_SHOWN: Final = 3
_TEMPERATURE: Final = 1.0
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {key: {"type": "string"} for key in PAIR_KEYS},
    "required": list(PAIR_KEYS),
    "additionalProperties": False,
}


class LLMPairs(NamedTuple):
    """What an LLM wrote.

    pairs: by name (`late/llm-zh-00`), the query with its reply as `answer`, and what the call has cost.
    problems: a line for each answer that could not be used. wasted: what those have cost.
    """

    pairs: dict[str, tuple[SentenceTemplate, float]]
    problems: list[str]
    wasted: float


def llm_pairs(scenario: Scenario, family: ReplyFamily, client: ChatClient, per_topic: int) -> LLMPairs:
    """Ask for `per_topic` pairs of every topic and language, one a call, each call with other examples.

    Raises:
        LLMError: the endpoint refused or went away; what was paid for is in the cache.
    """
    asked: list[tuple[str, str, ChatRequest]] = []
    slots = sorted(scenario.slots)
    for (topic, language), seeds in sorted(family.seed_pairs(scenario.seeds()).items()):
        for number in range(per_topic):
            shown = [seeds[(number + step) % len(seeds)] for step in range(min(_SHOWN, len(seeds)))]
            request = ChatRequest(
                messages=[{"role": "user", "content": pair_prompt(family.policy, topic, shown, slots)}],
                # Where a topic has few seeds the prompts are alike; another seed makes another request of them.
                parameters={"temperature": _TEMPERATURE, "max_tokens": ANSWER_TOKENS, "seed": number},
                json_schema=_SCHEMA,
                purpose=PURPOSE,
            )
            asked.append((f"{topic}/llm-{language}-{number:02d}", topic, request))
    pairs: dict[str, tuple[SentenceTemplate, float]] = {}
    problems: list[str] = []
    wasted = 0.0
    results = complete_structured([request for _, _, request in asked], client)
    for (name, topic, _), result in zip(asked, results, strict=True):
        pair = read_pair(result.text, scenario.slots) if result.text is not None else result.error or result.status
        if isinstance(pair, str):
            problems.append(f"{name}: {pair}")
            if result.status in ("ok", "empty"):  # the others were never paid for
                client.mark_wasted(result.key)
                wasted += result.cost
            continue
        query = parse_template(pair.query, name, scenario.slots, topic, name, pair.reply)
        pairs[name] = (query, result.cost)
    return LLMPairs(pairs, problems, wasted)
