"""The training benchmark, tiny: both sides run on the same samples, and its figures come from what they did."""

import json
import shlex
import sys
from pathlib import Path

import pytest

from benchmarks import training
from benchmarks.training import Run, compared, smoothed, stock_command
from cs_assets.learning.sft import FineTuningSettings


def test_a_tiny_run_ends_with_one_json_object(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Packed, our batches are those of the stock script, so that the losses agree step by step."""
    settings = json.dumps({"packing": True, "batch_size": 3, "learning_rate": 1e-2, "rank": 4})
    arguments = ["--model", str(tiny_model), "--samples", "12", "--settings", settings, "--json"]
    monkeypatch.setattr(sys, "argv", ["training", *arguments])
    training.main()
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["steps"] == len(found["curve"]) == 4
    assert found["tokens"] == found["stock_tokens"] > 12 * 100
    assert found["curve"] == pytest.approx(found["stock_curve"], abs=2e-3)
    assert (found["window"], found["curves_equal"]) == (1, True)
    assert found["ratio"] == pytest.approx(found["tok_s"] / found["stock_tok_s"], abs=0.01)
    assert found["tok_s"] == pytest.approx(found["tokens"] / found["seconds"], rel=0.1)
    assert "--gradient_checkpointing" not in found["stock_command"]


def test_losses_are_smoothed_over_as_many_steps_as_the_window_has() -> None:
    assert smoothed([1.0, 2.0, 3.0, 6.0], 2) == [1.5, 2.5, 4.5]
    assert smoothed([4.0], 1) == [4.0]


@pytest.mark.parametrize(("raised", "equal"), [(0.0, True), (0.09, True), (0.11, False)])
def test_curves_are_equal_when_their_means_are_within_the_tolerance(raised: float, equal: bool) -> None:
    stock = Run(losses=[1.0] * 10, tokens=1000, seconds=10.0)
    found = compared(stock, Run(losses=[1.05, 0.95] * 4 + [1.05, 0.95 + raised], tokens=1000, seconds=4.0))
    assert (found["stock_tok_s"], found["tok_s"], found["ratio"]) == (100.0, 250.0, 2.5)
    assert found["curves_equal"] is equal
    assert found["loss_difference"] == pytest.approx(raised / 2, abs=1e-4)


def test_runs_of_unequal_length_are_not_compared() -> None:
    with pytest.raises(ValueError, match="4 steps, train_adapter 3"):
        compared(*(Run(losses=[1.0] * steps, tokens=1, seconds=1.0) for steps in (4, 3)))


def test_the_stock_script_gets_the_same_settings_and_further_arguments_last() -> None:
    settings = FineTuningSettings(rank=8, batch_size=6, seed=5)
    command = stock_command("base", settings, Path("data"), Path("out"), ["--gradient_checkpointing", "False"])
    said = shlex.join(command)
    for words in ("--lora_r 8", "--per_device_train_batch_size 6", "--seed 5", "--model_name_or_path base"):
        assert words in said
    assert command[-2:] == ["--gradient_checkpointing", "False"]
    with pytest.raises(ValueError, match="method dora"):
        stock_command("base", FineTuningSettings(method="dora"), Path("data"), Path("out"), [])
