"""Template variants by an LLM: what is asked, and how the answers are read.

The client with cache, budget and ledger is `resources.llm`; what comes back passes the same gates as any variant.
"""

from collections import Counter
from string import Template
from typing import Final, NamedTuple

from cs_assets.scenario import Scenario
from resources.llm import ChatClient, ChatRequest, ChatResult, ParseFailure, parse_json_object

PURPOSE: Final = "template_variants"
_NAMED: Final = 3
_INSTRUCTION: Final = """你在为电商客服模型准备训练数据。下面是一条顾客消息的句式模版，双花括号里是模版参数。
请写出$count条意思相同、说法不同的句式，像真实顾客在手机上随手打的字。
每条必须原样保留全部模版参数（包括花括号里的每个字），不增不减；不要写出任何真实的姓名、电话、地址或数字；不要解释。
只输出一个json对象：{"variants": ["…", "…"]}

模版：
$template"""


class LLMVariants(NamedTuple):
    """What an LLM wrote, and what became of the requests, one a seed.

    texts: per seed name, (text, cost) of each variant.
    answers: how many requests ended how: `ok`, `unreadable`, or the status of a result without text.
    problems: one line for each way in which requests failed, with the first seeds and the reason.
    from_cache: how many answers had been paid for before.
    wasted: what the unreadable answers cost; they are marked in the ledger, too.
    """

    texts: dict[str, list[tuple[str, float]]]
    answers: dict[str, int]
    problems: list[str]
    from_cache: int
    wasted: float


def llm_variants(scenario: Scenario, client: ChatClient, per_seed: int) -> LLMVariants:
    """Ask for variants of every seed.

    Raises:
        LLMError: the endpoint refused or went away; what was paid for is in the cache.
    """
    seeds = scenario.seeds()
    requests = [
        ChatRequest(
            messages=[
                {
                    "role": "user",
                    "content": Template(_INSTRUCTION).substitute(count=per_seed, template=seed.text),
                }
            ],
            parameters={"temperature": 1.0},
            purpose=PURPOSE,
        )
        for seed in seeds.values()
    ]
    texts: dict[str, list[tuple[str, float]]] = {}
    failures: dict[tuple[str, str], list[str]] = {}
    wasted = 0.0
    results = client.complete(requests)
    for name, result in zip(seeds, results, strict=True):
        found, status, reason = _read(result)
        if found:
            texts[name] = [(text, result.cost / len(found)) for text in found]
            continue
        failures.setdefault((status, reason), []).append(name)
        if result.status in ("ok", "empty"):  # the others were never paid for
            client.mark_wasted(result.key)
            wasted += result.cost
    answers = Counter({"ok": len(texts)} if texts else {})
    for (status, _), names in failures.items():
        answers[status] += len(names)
    problems = [_problem(status, reason, names, len(seeds)) for (status, reason), names in failures.items()]
    return LLMVariants(texts, dict(answers), problems, sum(result.cached for result in results), wasted)


def _read(result: ChatResult) -> tuple[list[str], str, str]:
    """Return the variants in an answer, or why there are none, as status and reason."""
    if result.text is None:
        return [], result.status, result.error or "no reason given"
    answer = parse_json_object(result.text, {"variants"})
    if isinstance(answer, ParseFailure):
        return [], "unreadable", answer.reason
    listed = answer["variants"]
    texts = [text for text in listed if isinstance(text, str)] if isinstance(listed, list) else []
    return texts, "ok" if texts else "unreadable", "" if texts else "no text in `variants`"


def _problem(status: str, reason: str, names: list[str], total: int) -> str:
    more = ", …" if len(names) > _NAMED else ""
    return f"{len(names)} of {total} seeds: {status} ({', '.join(names[:_NAMED])}{more}): {reason}"
