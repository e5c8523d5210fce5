"""Template variants by an LLM: what is asked, and how the answers are read.

The client with cache, budget and ledger is `resources.llm`; what comes back passes the same gates as any variant.
"""

from string import Template
from typing import Final

from cs_assets.scenario import Scenario
from resources.llm import ChatClient, ChatRequest, ParseFailure, parse_json_object

PURPOSE: Final = "template_variants"
_INSTRUCTION: Final = """你在为电商客服模型准备训练数据。下面是一条顾客消息的句式模版，双花括号里是模版参数。
请写出$count条意思相同、说法不同的句式，像真实顾客在手机上随手打的字。
每条必须原样保留全部模版参数（包括花括号里的每个字），不增不减；不要写出任何真实的姓名、电话、地址或数字；不要解释。
只输出一个json对象：{"variants": ["…", "…"]}

模版：
$template"""


def llm_variants(
    scenario: Scenario, client: ChatClient, per_seed: int
) -> tuple[dict[str, list[tuple[str, float]]], int]:
    """Ask for variants of every seed.

    Returns:
        Per seed file name, (text, cost) of each variant; and how many answers could not be read (they are marked as
        wasted in the ledger).

    Raises:
        LLMError: the endpoint refused or went away; what was paid for is in the cache.
    """
    paths, seeds = scenario.seed_paths(), scenario.seed_templates()
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
        for seed in seeds
    ]
    found: dict[str, list[tuple[str, float]]] = {}
    unreadable = 0
    for path, result in zip(paths, client.complete(requests), strict=True):
        answer = parse_json_object(result.text or "", {"variants"})
        listed = [] if isinstance(answer, ParseFailure) else answer["variants"]
        texts = [text for text in listed if isinstance(text, str)] if isinstance(listed, list) else []
        if not texts:
            client.mark_wasted(result.key)
            unreadable += 1
            continue
        found[path.name] = [(text, result.cost / len(texts)) for text in texts]
    return found, unreadable
