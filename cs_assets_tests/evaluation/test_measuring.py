"""Figures besides right and wrong: which predictions have which, and vectors asked of an endpoint over HTTP."""

from collections.abc import Collection
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from cs_assets.evaluation.measuring import measured
from cs_assets.evaluation.predicting import score_predictions
from cs_assets.families.base import Family
from cs_assets.scenario import Scenario
from cs_assets_tests.families.conftest import committed
from cs_assets_tests.llm_endpoint import Endpoint, Reply, embedding, failure
from resources.llm import LLM

ANSWER = "让您等了半个月，真的很抱歉。我这就联系快递网点核实，24小时内把结果发给您。"
CLOSER = ANSWER.replace("半个月", "很久")
RECORD = '{"品牌": "金士顿", "品类": "", "型号": "", "规格": "16GB", "价格": "339元", "库存": ""}'
SENTENCE = "【金士顿】，规格16GB，售价339元。"


@pytest.fixture(scope="module")
def reply() -> Scenario:
    return committed("empathetic_reply")


@pytest.fixture(scope="module")
def knowledge() -> Scenario:
    return committed("shop_knowledge")


def table(scenario: Scenario, answer: str, said: dict[str, list[str]]) -> pl.DataFrame:
    """Return what the models said to as many messages with this answer."""
    return pl.concat(
        score_predictions(
            scenario,
            model,
            pl.DataFrame(
                [
                    {
                        "split": "test_iid",
                        "sample_id": f"s{number}",
                        "message": f"m{number}",
                        "answer": answer,
                        "tags": [],
                        "template_family": "f",
                        "template_origin": "seed",
                    }
                    for number in range(len(texts))
                ]
            ),
            texts,
        )
        for model, texts in said.items()
    )


def means(predictions: pl.DataFrame, family: Family, embed: object = None) -> dict[str, dict[str, float]]:
    found = measured(predictions, family, embed)  # type: ignore[arg-type]
    return {model: {name: figure.mean for name, figure in of.items()} for model, of in found["test_iid"].items()}


def test_a_text_is_compared_by_its_wording_with_interval_and_n(reply: Scenario) -> None:
    found = measured(table(reply, ANSWER, {"base": ["", ""], "tuned": [ANSWER, CLOSER]}), reply.family)["test_iid"]
    assert list(found) == ["base", "tuned"]
    assert list(found["tuned"]) == ["bleu", "chrf", "rouge_l"]
    for name in found["tuned"]:
        assert (found["base"][name].mean, found["base"][name].n) == (0, 2)
        figure = found["tuned"][name]
        assert figure.low < figure.mean < figure.high == pytest.approx(1)
        assert figure.n == 2


def test_only_the_sentences_of_records_are_compared_by_their_wording(knowledge: Scenario) -> None:
    assert means(table(knowledge, RECORD, {"tuned": [SENTENCE]}), knowledge.family)["tuned"] == {"same_values": 1}
    found = means(table(knowledge, SENTENCE, {"tuned": [RECORD]}), knowledge.family)["tuned"]
    assert found["same_values"] == 1
    assert found["rouge_l"] < 1


def test_each_figure_has_its_own_number_of_cases(knowledge: Scenario) -> None:
    both = pl.concat(
        [
            table(knowledge, RECORD, {"tuned": [RECORD, RECORD]}),
            table(knowledge, SENTENCE, {"tuned": [SENTENCE]}),
        ]
    )
    found = measured(both, knowledge.family)["test_iid"]["tuned"]
    assert {name: figure.n for name, figure in found.items()} == {"same_values": 3, "bleu": 1, "chrf": 1, "rouge_l": 1}


def test_the_f1_of_classes_has_an_interval_over_all_cases_and_recall_one_over_its_own() -> None:
    routing = committed("intent_routing")
    label, outside = '{"intent": "退货"}', '{"intent": "无关问题"}'
    both = pl.concat(
        [
            table(routing, label, {"tuned": [label, label, outside]}),
            table(routing, outside, {"tuned": [outside, label]}),
        ]
    )
    found = measured(both, routing.family)["test_iid"]["tuned"]
    assert {name: (figure.mean, figure.n) for name, figure in found.items()} == {
        "accuracy": (0.6, 5),
        "out_of_scope_recall": (0.5, 2),
        "macro_f1": (pytest.approx((2 / 3 + 1 / 2) / 2), 5),
    }
    assert all(figure.low < figure.mean < figure.high for figure in found.values())


def test_the_levels_of_a_call_have_intervals_and_irrelevance_those_where_nothing_fits() -> None:
    tickets = committed("ticket_tools")
    nothing = '{"calls": [], "ask": []}'
    call = '{"calls": [{"name": "TicketQuery", "arguments": {}}], "ask": []}'
    both = pl.concat(
        [table(tickets, call, {"tuned": [call, nothing]}), table(tickets, nothing, {"tuned": [nothing, call, nothing]})]
    )
    found = measured(both, tickets.family)["test_iid"]["tuned"]
    assert (found["failed_at_function"].mean, found["failed_at_function"].n) == (0.4, 5)
    assert (found["failed_at_types"].mean, found["failed_at_types"].n) == (0, 5)
    assert (found["irrelevance"].mean, found["irrelevance"].n) == (pytest.approx(2 / 3), 3)


def test_a_family_without_texts_and_figures_has_none(knowledge: Scenario) -> None:
    assert measured(table(knowledge, RECORD, {"tuned": [RECORD]}), object()) == {}


def test_the_cosine_is_that_of_the_vectors_an_endpoint_gives(
    reply: Scenario, endpoint: Endpoint, tmp_path: Path
) -> None:
    def answer(text: str, nth: int) -> Reply:
        return embedding(1.0, 0.0) if text == ANSWER else embedding(1.0, 1.0)

    endpoint.reply = answer
    client = LLM(
        api_key="sk-1", base_url=endpoint.url, embedding_model="e", cache_path=str(tmp_path / "llm.sqlite")
    ).embedding_client()
    predictions = table(reply, ANSWER, {"base": ["", ANSWER], "tuned": [CLOSER, CLOSER]})
    found = means(predictions, reply.family, partial(client.vectors, purpose="evaluation"))
    assert found["base"]["cosine"] == 0.5
    assert found["tuned"]["cosine"] == pytest.approx(0.5**0.5)
    assert sorted(endpoint.prompts) == sorted([ANSWER, CLOSER])


def test_a_text_without_a_vector_has_no_cosine(reply: Scenario) -> None:
    def embed(texts: Collection[str]) -> dict[str, tuple[float, ...]]:
        return {text: (1.0, 2.0) for text in texts if text != CLOSER}

    found = measured(table(reply, ANSWER, {"tuned": [CLOSER, ANSWER, "在"]}), reply.family, embed)["test_iid"]["tuned"]
    assert (found["cosine"].mean, found["cosine"].n, found["chrf"].n) == (pytest.approx(1), 2, 3)


def test_without_an_embedding_model_there_is_no_cosine_and_where_all_is_refused_neither(
    reply: Scenario, endpoint: Endpoint, tmp_path: Path
) -> None:
    endpoint.reply = lambda text, nth: failure(400, "filtered")
    client = LLM(
        api_key="sk-1", base_url=endpoint.url, embedding_model="e", cache_path=str(tmp_path / "llm.sqlite")
    ).embedding_client()
    predictions = table(reply, ANSWER, {"tuned": [CLOSER]})
    assert "cosine" not in means(predictions, reply.family)["tuned"]
    assert "cosine" not in means(predictions, reply.family, partial(client.vectors, purpose="evaluation"))["tuned"]
