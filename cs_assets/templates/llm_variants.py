"""Template variants by an LLM: which calls are made, and how the answers are read.

The client with cache, budget and ledger is `resources.llm`, the words of the prompts are in `prompts.py`; what comes
back passes the same gates as any variant.
"""

import math
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import polars as pl

from cs_assets.families.syntax import SentenceTemplate
from cs_assets.scenario import Scenario
from cs_assets.templates.prompts import Call, variant_prompt
from resources.llm import ChatClient, ChatRequest, ChatResult, ParseFailure, parse_json_object

PURPOSE: Final = "template_variants"
# More in one answer repeat each other; fewer waste the prompt.
VARIANTS_PER_CALL: Final = 5
# Five sentences are some 300 tokens. The bound is what the budget sets aside before a call (see resources.llm.Budget).
ANSWER_TOKENS: Final = 1_024
# More than were asked for are taken, but not a million.
_MOST_VARIANTS: Final = 4 * VARIANTS_PER_CALL
_EXAMPLES: Final = 2
_NAMED: Final = 3
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"variants": {"type": "array", "items": {"type": "string"}}},
    "required": ["variants"],
    "additionalProperties": False,
}


class LLMVariants(NamedTuple):
    """What an LLM wrote, and what became of the requests.

    texts: per seed name, (text, cost) of each variant.
    answers: how many requests ended how: `ok`, `unreadable`, or the status of a result without text.
    problems: one line for each way in which requests failed, with the first seeds and the reason.
    from_cache: how many answers had been paid for before.
    wasted: what the unreadable answers cost; they are marked in the ledger, too.
    calls: key of each answer with text -> the name of its seed and the variants in it.
    """

    texts: dict[str, list[tuple[str, float]]]
    answers: dict[str, int]
    problems: list[str]
    from_cache: int
    wasted: float
    calls: dict[str, tuple[str, list[str]]]

    @classmethod
    def none(cls) -> "LLMVariants":
        """Return what there is without an endpoint."""
        return cls({}, {}, [], 0, 0.0, {})


def llm_variants(
    scenario: Scenario, client: ChatClient, per_seed: int, history: Mapping[str, SentenceTemplate] | None = None
) -> LLMVariants:
    """Ask for `per_seed` variants of every seed, in as many calls as needed, each with another mood and temperature.

    Raises:
        LLMError: the endpoint refused or went away; what was paid for is in the cache.
    """
    seeds = {**scenario.seeds(), **(history or {})}
    asked = _requests(scenario.spec.family, seeds, per_seed)
    results = complete_structured([request for _, request in asked], client)
    texts: dict[str, list[tuple[str, float]]] = {}
    calls: dict[str, tuple[str, list[str]]] = {}
    failures: dict[tuple[str, str], list[str]] = {}
    wasted = 0.0
    for (name, _), result in zip(asked, results, strict=True):
        found, status, reason = _read(result)
        if found:
            texts.setdefault(name, []).extend((text, result.cost / len(found)) for text in found)
            calls[result.key] = (name, found)
            continue
        failures.setdefault((status, reason), []).append(name)
        if result.status in ("ok", "empty"):  # the others were never paid for
            client.mark_wasted(result.key)
            wasted += result.cost
    answers = Counter({"ok": len(calls)} if calls else {})
    for (status, _), names in failures.items():
        answers[status] += len(names)
    problems = [_problem(status, reason, names, len(asked)) for (status, reason), names in failures.items()]
    return LLMVariants(texts, dict(answers), problems, sum(result.cached for result in results), wasted, calls)


def mark_rejected(written: LLMVariants, variants: pl.DataFrame, client: ChatClient) -> float:
    """Mark the answers of which no variant was accepted as wasted; return what all rejected variants have cost.

    Args:
        written: what `llm_variants` returned.
        variants: the table that holds it with its verdicts.
        client: the one that paid; its ledger is marked.
    """
    table = variants.filter(pl.col("origin") == "llm")
    accepted = set(table.filter("accepted").select("seed_file", "text").iter_rows())
    for key, (name, texts) in written.calls.items():
        if not any((f"{name}.j2", text) in accepted for text in texts):
            client.mark_wasted(key)
    return float(table.filter(~pl.col("accepted"))["cost"].sum())


def _requests(family: str, seeds: Mapping[str, SentenceTemplate], per_seed: int) -> list[tuple[str, ChatRequest]]:
    """Return the name of the seed and the request of each call: the calls for a seed share its variants evenly."""
    count = math.ceil(per_seed / VARIANTS_PER_CALL)
    made = []
    for name, seed in seeds.items():
        neighbours = [other.text for other in _after(name, seeds) if other.unit == seed.unit]
        for number in range(count):
            # Of the name and not of its position, so that a new seed moves no other's calls.
            call = Call(zlib.crc32(name.encode()), number)
            share = per_seed // count + (number < per_seed % count)
            prompt = variant_prompt(family, seed.text, neighbours[:_EXAMPLES], share, call)
            request = ChatRequest(
                messages=[{"role": "user", "content": prompt}],
                parameters={"temperature": call.temperature, "max_tokens": ANSWER_TOKENS},
                json_schema=_SCHEMA,
                purpose=PURPOSE,
            )
            made.append((name, request))
    return made


def _after(name: str, seeds: Mapping[str, SentenceTemplate]) -> list[SentenceTemplate]:
    """Return the other seeds, those behind this one first, so that each seed is shown other examples."""
    names = list(seeds)
    start = names.index(name)
    return [seeds[other] for other in names[start + 1 :] + names[:start]]


def complete_structured(requests: Sequence[ChatRequest], client: ChatClient) -> list[ChatResult]:
    """Send all requests, without the schema where the first one shows that the endpoint does not take it."""
    first = client.complete(requests[:1])
    if first and first[0].status == "rejected":
        return client.complete([request.model_copy(update={"json_schema": None}) for request in requests])
    return [*first, *client.complete(requests[1:])]


def _read(result: ChatResult) -> tuple[list[str], str, str]:
    """Return the variants in an answer, or why there are none, as status and reason."""
    if result.text is None:
        return [], result.status, result.error or "no reason given"
    answer = parse_json_object(result.text, {"variants"})
    if isinstance(answer, ParseFailure):
        return [], "unreadable", answer.reason
    listed = answer["variants"][:_MOST_VARIANTS] if isinstance(answer["variants"], list) else []
    texts = [text.strip() for text in listed if isinstance(text, str)]
    return texts, "ok" if texts else "unreadable", "" if texts else "no text in `variants`"


def _problem(status: str, reason: str, names: list[str], total: int) -> str:
    shown = list(dict.fromkeys(names))
    more = ", …" if len(shown) > _NAMED else ""
    return f"{len(names)} of {total} requests: {status} ({', '.join(shown[:_NAMED])}{more}): {reason}"
