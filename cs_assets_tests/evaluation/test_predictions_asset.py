"""`predictions` as Dagster runs it: which adapter answered, and `best_of_n` beside the tuned model."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from cs_assets.alignment.outcome import Alignment
from cs_assets.evaluation.assets import predictions
from cs_assets.evaluation.chunks import SIZE
from cs_assets.learning.models import load_causal_lm, load_reward_lm, load_tokenizer, save_adapter
from cs_assets_tests.given_asset import given
from cs_assets_tests.llm_endpoint import Endpoint, completion, failure
from resources.base_model import BaseModels
from resources.store import ModelFolder, Store, io_managers
from resources.tracking import Tracking

NAME = "address_extraction"
pytestmark = pytest.mark.usefixtures("scenarios")


@pytest.fixture
def predicted(tiny_model: Path, tmp_path: Path, splits: pl.DataFrame) -> Callable[..., dg.ExecuteInProcessResult]:
    """Materialize `predictions` with this config; the tuned model is the base, the reward model untaught."""
    store = Store(root=str(tmp_path / "out"))

    def kept(stage: str, load: Callable[[str], Any]) -> ModelFolder:
        def make(folder: Path, work: Path) -> dict[str, float]:
            save_adapter(load(str(tiny_model)), load_tokenizer(str(tiny_model)), folder)
            return {}

        return store.cached_model(stage, NAME, "a" * 64, str(tiny_model), make)[0]

    inputs: dict[str, Any] = {
        "training_splits": splits.filter(pl.col("split") == "test_iid").head(2),
        "lora_adapter": kept("lora_adapter", load_causal_lm),
        "reward_model": kept("reward_model", load_reward_lm),
        "aligned_adapter": Alignment(method="off"),
    }

    def run(splits: pl.DataFrame = inputs["training_splits"], **config: Any) -> dg.ExecuteInProcessResult:
        given_inputs = inputs | {"training_splits": splits}
        with dg.DagsterInstance.ephemeral() as instance:
            return dg.materialize(
                [*(given(name, value) for name, value in given_inputs.items()), predictions],
                partition_key=NAME,
                resources={
                    "store": store,
                    "tracking": Tracking(uri=f"sqlite:///{tmp_path}/mlflow.db"),
                    "base_models": BaseModels(cache=str(tmp_path / "models")),
                    **io_managers(str(tmp_path / "out")),
                },
                run_config={"ops": {"predictions": {"config": {"max_new_tokens": 8} | config}}},
                instance=instance,
                raise_on_error=False,
            )

    return run


def test_the_favourites_of_the_reward_model_stand_beside_the_greedy_answers(predicted: Any) -> None:
    result = predicted(models=["tuned", "best_of_n"], best_of=3)
    table = result.output_for_node("predictions")
    assert table["model"].to_list() == ["tuned"] * 2 + ["best_of_n"] * 2
    greedy, chosen = (table.filter(model=model)["prediction"].to_list() for model in ("tuned", "best_of_n"))
    assert greedy != chosen


def test_answers_are_of_the_adapter_that_gave_them_and_those_of_a_server_of_none(
    predicted: Any, endpoint: Endpoint
) -> None:
    here = predicted(models=["base", "tuned"]).output_for_node("predictions")
    assert dict(here.select("model", "adapter").iter_rows()) == {"base": "", "tuned": "a" * 64}
    endpoint.reply = lambda prompt, nth: completion("{}")
    served = predicted(models=["tuned"], endpoint=endpoint.url, served_models={"tuned": "an older one"})
    assert served.output_for_node("predictions")["adapter"].to_list() == [""] * 2


def test_what_was_said_before_a_run_broke_off_is_not_asked_again(
    predicted: Any, endpoint: Endpoint, splits: pl.DataFrame
) -> None:
    few = splits.filter(split="test_iid").head(2)
    many = pl.concat([few.with_columns(sample_id=pl.col("sample_id") + f"-{n:02d}") for n in range(SIZE // 2 + 1)])
    config = {"models": ["tuned"], "endpoint": endpoint.url, "served_models": {"tuned": "m"}}
    endpoint.reply = lambda prompt, nth: completion("{}") if nth <= SIZE else failure(400)
    assert not predicted(many, **config).success
    endpoint.reply = lambda prompt, nth: completion("{}")
    before = len(endpoint.bodies)
    table = predicted(many, **config).output_for_node("predictions")
    assert len(endpoint.bodies) - before == many.height - SIZE == 2
    assert table["prediction"].to_list() == ["{}"] * many.height


def test_a_limit_that_cuts_true_answers_is_told(
    predicted: Any, endpoint: Endpoint, scenarios: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert predicted(models=["base"]).success
    assert "max_new_tokens of the run config: found 8, needed is" in capfd.readouterr().err
    path = scenarios / NAME / "scenario.yaml"
    spec = path.read_text(encoding="utf-8")
    path.write_text(f"{re.sub('^answer_tokens.*$', '', spec, flags=re.M)}\nanswer_tokens: 9\n", encoding="utf-8")
    assert predicted(models=["base"], max_new_tokens=None).success
    [needed] = re.findall(f"answer_tokens of {path}: found 9, needed is ([0-9]+)", capfd.readouterr().err)
    assert predicted(models=["base"], max_new_tokens=int(needed)).success
    endpoint.reply = lambda prompt, nth: completion("{}")
    assert predicted(models=["base"], endpoint=endpoint.url, served_models={"base": "m"}).success
    assert "needed is" not in capfd.readouterr().err


def test_an_endpoint_does_not_sample(predicted: Any) -> None:
    result = predicted(models=["best_of_n"], endpoint="http://127.0.0.1:1/v1", served_models={"best_of_n": "served"})
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert "leave `endpoint` empty" in str(failure.event_specific_data.error)
