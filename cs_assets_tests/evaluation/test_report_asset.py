"""`preference_pairs` and `evaluation_report` of replies as Dagster runs them, with an LLM over HTTP and without one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from cs_assets.evaluation import retention
from cs_assets.evaluation.assets import evaluation_report
from cs_assets.evaluation.predicting import score_predictions
from cs_assets.learning.progress import LossPoint
from cs_assets.learning.training import TrainingLog
from cs_assets.reward.assets import preference_pairs
from cs_assets_tests.families.conftest import committed
from cs_assets_tests.llm_endpoint import Endpoint, Reply, embedding
from cs_assets_tests.release.test_release import given
from cs_assets_tests.reward.test_grading import GOOD, MESSAGE
from cs_assets_tests.reward.test_llm_judge import preferring
from resources.llm import LLM
from resources.store import Store, io_managers
from resources.tracking import Tracking

NAME = "empathetic_reply"
SAMPLES = pl.DataFrame(
    {
        "sample_id": [f"s{number}" for number in range(9)],
        "split": ["train"] * 6 + ["test_template_ood"] * 3,
        "message": MESSAGE,
        "tools": "",
        "answer": GOOD,
        "tags": [["plain"]] * 9,
        "template_family": [f"f{number}" for number in range(9)],
        "template_origin": "seed",
    }
)
SPLITS = SAMPLES.with_columns(
    template_id=pl.lit("t"), unit_families=pl.concat_list("template_family"), entity_block=pl.lit(1)
)
# What the splits were made of.
MADE_OF = {
    "filtered_samples": SPLITS.rename({"split": "fold"}).with_columns(
        unit=pl.lit(""), atom_id=pl.lit(1), template_ids=pl.lit(["t"]), kept=pl.lit(True), reason=pl.lit("")
    ),
    "template_variants": pl.DataFrame(
        {
            "template_id": ["t", "u"],
            "family": ["f0", "f6"],
            "text": ["{{商品}}呢", "{{商品}}在哪"],
            "slots": [["商品"]] * 2,
            "accepted": True,
            "reason": "",
        }
    ),
    "atomic_table": pl.DataFrame({"atom_id": [1, 2], "entity_block": [1, 1], "商品": ["杯子", "毛巾"]}),
}
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Materialize an asset on these inputs with this LLM; its metadata and, as `value`, what it hands on."""
    out = str(tmp_path / "out")

    def materialize(asset: dg.AssetsDefinition, inputs: dict[str, Any], llm: LLM, **config: Any) -> dict[str, Any]:
        name = asset.key.to_user_string()
        resources = {
            "store": Store(root=out),
            "tracking": Tracking(uri=f"sqlite:///{tmp_path}/mlflow.db"),
            "llm": llm,
            **io_managers(out),
        }
        with dg.DagsterInstance.ephemeral() as instance:
            result = dg.materialize(
                [*(given(key, value) for key, value in inputs.items()), asset],
                partition_key=NAME,
                resources=resources,
                run_config={"ops": {name: {"config": config}}},
                instance=instance,
            )
        [event] = result.asset_materializations_for_node(name)
        return {key: value.value for key, value in event.metadata.items()} | {"value": result.output_for_node(name)}

    return materialize


@pytest.fixture
def llm(endpoint: Endpoint, tmp_path: Path) -> LLM:
    def reply(asked: str, nth: int) -> Reply:
        return preferring("真的很抱歉")(asked, nth) if "回复A" in asked else embedding(1.0, float(len(asked)))

    endpoint.reply = reply
    cache = str(tmp_path / "llm.sqlite")
    return LLM(api_key="sk-1", base_url=endpoint.url, model="m", embedding_model="e", cache_path=cache)


def test_pairs_of_replies_are_judged_where_an_llm_is_configured(run: Run, llm: LLM, endpoint: Endpoint) -> None:
    inputs = {"training_splits": SAMPLES}
    ruled = run(preference_pairs, inputs, LLM(), train_pairs=6, test_pairs=3)
    assert "judged" not in ruled
    assert ruled["dropped_by_rules"] == 0
    assert run(preference_pairs, inputs, llm, train_pairs=6, test_pairs=3, llm_judge=False)["value"].equals(
        ruled["value"]
    )
    assert endpoint.prompts == []
    judged = run(preference_pairs, inputs, llm, train_pairs=6, test_pairs=3)
    assert judged["judged"] == ruled["value"].height
    assert judged["judge_agrees"] + judged["judge_undecided"] + judged["dropped_by_judge"] == judged["judged"]
    assert judged["judge_agrees"] > 0
    assert not judged["value"].equals(ruled["value"])


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Any]:
    """What a report of two models and a message each is made of."""
    scenario = committed(NAME)
    cases = SAMPLES.head(2).with_columns(split=pl.lit("test_iid"))
    said = {"base": ["等着吧。"] * 2, "tuned": [GOOD, GOOD.replace("半个月", "很久")]}

    def make(folder: Path, work: Path) -> dict[str, float]:
        log = TrainingLog(
            samples=2, steps=1, kept_step=1, seconds=1, tokens=9, resumed_at=0, curve=[LossPoint(step=1, loss=1.0)]
        )
        log.save(folder)
        return {}

    store = Store(root=str(tmp_path / "out"))
    model = store.cached_model("lora_adapter", NAME, "a" * 64, "tiny", make)[0]
    answers = [(name, "i1", "kind", "question", "answer", 1.0) for name in retention.MODELS]
    return {
        "predictions": pl.concat(score_predictions(scenario, name, cases, texts) for name, texts in said.items()),
        "retention": pl.DataFrame(answers, schema=retention.SCHEMA, orient="row"),
        "training_splits": SPLITS,
        "lora_adapter": model,
        "kto_judge": model,
        "reward_model": model,
    }


def test_a_report_has_what_an_llm_and_an_embedding_model_say(run: Run, llm: LLM, inputs: dict[str, Any]) -> None:
    seen = run(evaluation_report, inputs, llm)
    report = seen["value"]
    [judged] = report.preferred
    assert (judged.split, judged.wins, judged.ties, judged.losses) == ("test_iid", 2, 0, 0)
    assert list(report.measures["test_iid"]["tuned"]) == ["bleu", "chrf", "rouge_l", "cosine"]
    page = Path(seen["html_report"]).read_text(encoding="utf-8")
    assert "Which reply an LLM prefers" in page
    assert "<td>cosine</td>" in page
    assert "6, all synthetic" in page
    assert "1, in 6 families; samples by origin: seed 6" in page
    assert "1 steps, 0 minutes, 9 tokens" in page
    assert "<td>LLM, for all scenarios and runs so far</td><td>" in page
    assert "calls, " in page
    assert "tokens, no prices set<" in page
    priced = LLM(**llm.model_dump() | {"price_out": 8.0})
    assert "tokens, cost 0.00 at the prices set" in Path(
        run(evaluation_report, inputs, priced)["html_report"]
    ).read_text(encoding="utf-8")


def test_a_report_without_any_has_neither(run: Run, inputs: dict[str, Any], endpoint: Endpoint) -> None:
    seen = run(evaluation_report, inputs, LLM())
    report = seen["value"]
    assert "none configured" in Path(seen["html_report"]).read_text(encoding="utf-8")
    assert report.preferred == []
    assert list(report.measures["test_iid"]["tuned"]) == ["bleu", "chrf", "rouge_l"]
    off = run(evaluation_report, inputs, LLM(api_key="sk-1", base_url=endpoint.url, model="m"), judged_messages=0)
    assert off["value"] == report
    assert endpoint.prompts == []


def test_the_data_card_is_of_the_tables_that_the_splits_were_made_of(
    run: Run, inputs: dict[str, Any], tmp_path: Path
) -> None:
    for name, table in MADE_OF.items():
        path = tmp_path / "out" / "tables" / name / f"{NAME}.parquet"
        path.parent.mkdir(parents=True)
        table.write_parquet(path)
    told = Path(run(evaluation_report, inputs, LLM())["html_report"]).read_text(encoding="utf-8")
    assert "Train against the other splits" in told
    assert '<dd class="held-out">{{商品}}在哪</dd><dt>trained</dt><dd class="trained">{{商品}}呢</dd>' in told
    assert "<td>samples to train on</td><td>6</td>" in told
    assert '<td>商品</td><td class="figure">50.0 %</td>' in told
    others = inputs | {"training_splits": SPLITS.with_columns(message=pl.lit("这是另一条消息"))}
    told = Path(run(evaluation_report, others, LLM())["html_report"]).read_text(encoding="utf-8")
    assert "Train against the other splits" in told
    assert "samples to train on" not in told


def test_a_data_card_without_these_tables_is_of_the_splits_alone(run: Run, inputs: dict[str, Any]) -> None:
    page = Path(run(evaluation_report, inputs, LLM())["html_report"]).read_text(encoding="utf-8")
    assert "Train against the other splits" in page
    assert "samples to train on" not in page
