"""Pairs of query and reply by an LLM: the real client against a server on this machine, gated like any sentence."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cs_assets.atoms.bundles import sample_atoms
from cs_assets.families.reply.family import ReplyFamily
from cs_assets.samples.render import render_samples
from cs_assets.scenario import Scenario, load_scenario
from cs_assets.templates.llm_pairs import PURPOSE, LLMPairs, llm_pairs
from cs_assets.templates.variants import template_variants
from cs_assets_tests.llm_endpoint import Endpoint, completion
from resources.llm import ChatClient

GOOD = {
    "query": "{{商品}}买了{{等待}}了还没影，你们到底发没发",
    "reply": "让您等了{{等待}}，实在抱歉。{{商品}}我现在就去跟仓库核实走到哪一步了，24小时内把结果回给您，请您放心。",
}
COMPENSATING = GOOD | {"reply": "让您等了{{等待}}，抱歉。{{商品}}我现在就去核实，24小时内回您，另外赔您50元现金。"}


@pytest.fixture(scope="module")
def shop() -> Scenario:
    sizes = {"judge": 8, "train": 150, "validation": 0, "test_iid": 0, "test_entity_ood": 0, "test_noise": 0}
    return load_scenario("empathetic_reply").with_counts(variants_per_seed=0, test_template_ood=60, **sizes)


@pytest.fixture(scope="module")
def atoms(shop: Scenario) -> pl.DataFrame:
    return sample_atoms(shop.spec.atoms, 2500, 1)


def asked(shop: Scenario, endpoint: Endpoint, folder: Path, pair: dict[str, str] | str) -> tuple[LLMPairs, ChatClient]:
    assert isinstance(shop.family, ReplyFamily)
    text = pair if isinstance(pair, str) else json.dumps(pair, ensure_ascii=False)
    endpoint.reply = lambda prompt, nth: completion(text)
    client = ChatClient(
        api_key="k", base_url=endpoint.url, model="m", cache_path=folder / "llm.sqlite", price_in=1e5, price_out=2e5
    )
    return llm_pairs(shop, shop.family, client, per_topic=1), client


def test_each_topic_is_asked_for_in_its_languages_with_seeds_of_its_own(
    shop: Scenario, endpoint: Endpoint, tmp_path: Path
) -> None:
    found, client = asked(shop, endpoint, tmp_path, GOOD)
    assert isinstance(shop.family, ReplyFamily)
    kinds = shop.family.seed_pairs(shop.seeds())
    assert client.ledger_totals(PURPOSE).calls == len(kinds) == len(endpoint.prompts)
    for pairs in kinds.values():
        assert any(json.dumps(pairs[0].query, ensure_ascii=False)[1:-1] in prompt for prompt in endpoint.prompts)
    query, cost = found.pairs["late/llm-zh-00"]
    assert (query.text, query.answer, query.unit, cost) == (GOOD["query"], GOOD["reply"], "late", 2.0)


def table_of(shop: Scenario, atoms: pl.DataFrame, found: LLMPairs) -> pl.DataFrame:
    late = {name: pair for name, pair in found.pairs.items() if name == "late/llm-zh-00"}
    return template_variants(shop, atoms.head(6).to_dicts(), pairs=late)


def test_a_pair_is_a_sentence_of_its_own_family_and_its_reply_is_the_answer(
    shop: Scenario, atoms: pl.DataFrame, endpoint: Endpoint, tmp_path: Path
) -> None:
    table = table_of(shop, atoms, asked(shop, endpoint, tmp_path, GOOD)[0])
    [row] = table.filter(origin="llm").to_dicts()
    assert (row["accepted"], row["family"], row["reply"]) == (True, "late/llm-zh-00", GOOD["reply"])
    samples = render_samples(shop, table, atoms).filter(template_id=row["template_id"]).to_dicts()
    assert samples
    for sample in samples:
        atom = atoms.row(sample["atom_id"], named=True)
        assert sample["answer"].startswith(f"让您等了{atom['等待']}，实在抱歉。{atom['商品']}")


def test_a_reply_that_promises_what_the_policy_does_not_is_rejected(
    shop: Scenario, atoms: pl.DataFrame, endpoint: Endpoint, tmp_path: Path
) -> None:
    table = table_of(shop, atoms, asked(shop, endpoint, tmp_path, COMPENSATING)[0])
    [row] = table.filter(origin="llm").to_dicts()
    assert not row["accepted"]
    assert row["reason"].startswith("round trip: ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [("抱歉，我不能", "no JSON object"), ('{"query": "{{商品}}呢"}', "reply"), (GOOD | {"reply": "{{城市}}"}, "城市")],
)
def test_an_answer_that_is_no_pair_is_told_and_marked_as_wasted(
    shop: Scenario, endpoint: Endpoint, tmp_path: Path, text: Any, reason: str
) -> None:
    found, _ = asked(shop, endpoint, tmp_path, text)
    assert found.pairs == {}
    assert all(reason in problem for problem in found.problems)
    assert found.wasted == 2.0 * len(found.problems) > 0
