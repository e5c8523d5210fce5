"""The training benchmark, tiny: both sides run on the same samples, and its figures come from what they did."""

import json
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import training
from benchmarks.shapes import SHAPES, Multiplied, Shape, multiplied_parameters, write_random_model
from benchmarks.training import Run, alone, compared, flops_a_token, matmul_peak, share_of_peak, smoothed, stock_command
from cs_assets.learning.sft import FineTuningSettings

TINY = Shape(
    vocab_size=512,
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    tie_word_embeddings=False,
)
SETTINGS = {"packing": True, "batch_size": 3, "learning_rate": 1e-2, "rank": 4}


def found_by(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, arguments: list[str]) -> dict[str, Any]:
    """Run the benchmark and return the object in its last line."""
    monkeypatch.setattr(sys, "argv", ["training", *arguments, "--json"])
    training.main()
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def test_a_tiny_run_ends_with_one_json_object(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """Packed, our batches are those of the stock script, so that the losses agree step by step."""
    arguments = ["--model", str(tiny_model), "--samples", "12", "--settings", json.dumps(SETTINGS)]
    found = found_by(monkeypatch, capsys, arguments)
    assert found["steps"] == len(found["curve"]) == 4
    assert found["tokens"] == found["stock_tokens"] > 12 * 100
    assert found["curve"] == pytest.approx(found["stock_curve"], abs=2e-3)
    assert (found["window"], found["curves_equal"]) == (1, True)
    assert found["ratio"] == pytest.approx(found["tok_s"] / found["stock_tok_s"], abs=0.01)
    assert found["tok_s"] == pytest.approx(found["tokens"] / found["seconds"], rel=0.1)
    assert "--gradient_checkpointing" not in found["stock_command"]
    assert found["share_of_peak"] == pytest.approx(found["model_tflops"] / found["matmul_peak_tflops"], rel=1e-2)
    assert found["shape"] is None


def test_a_shape_is_trained_with_random_weights_and_the_tokenizer_alone_without_the_stock_script(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setitem(SHAPES, "tiny", TINY)
    monkeypatch.setattr(training, "run_stock", lambda *_: pytest.fail("the stock script ran"))
    without_weights = shutil.copytree(tiny_model, tmp_path / "tokenizer", ignore=shutil.ignore_patterns("model*"))
    arguments = ["--model", str(without_weights), "--shape", "tiny", "--no-stock", "--samples", "12"]
    found = found_by(monkeypatch, capsys, [*arguments, "--settings", json.dumps(SETTINGS)])
    assert (found["steps"], found["shape"]) == (4, "tiny")
    assert (found["ratio"], found["stock_tok_s"], found["curves_equal"], found["stock_command"]) == (None,) * 4
    # Random weights know nothing: the first loss is about that of a guess among all tokens, ln(512) = 6.24.
    assert found["curve"][0] == pytest.approx(6.24, abs=0.3)
    # 2 layers: queries and outputs 32 x 32, keys and values 32 x 16, with biases 64, 3 x 32 x 64, norms 64; norm; head.
    parameters = 2 * (2 * 32 * 32 + 2 * 32 * 16 + 64 + 3 * 32 * 64 + 64) + 32 + 512 * 32
    assert found["model_tflops"] == pytest.approx(found["tok_s"] * 4 * parameters / 1e12, rel=1e-2)
    assert found["share_of_peak"] == pytest.approx(found["model_tflops"] / found["matmul_peak_tflops"], rel=1e-2)
    assert 0 < found["share_of_peak_without_head"] < found["share_of_peak"] < 1


@pytest.mark.parametrize("settings", ['{"method": "full"}', '{"top_layers": 0.5}'])
def test_what_the_formula_does_not_hold_for_is_refused(
    settings: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(ValueError, match="wanted are lora and 1"):
        found_by(monkeypatch, capsys, ["--no-stock", "--settings", settings])


def test_figures_alone_have_the_keys_of_a_comparison() -> None:
    run = Run(losses=[1.0], tokens=1, seconds=1.0)
    assert alone(run).keys() == compared(run, run).keys()


def test_random_weights_are_written_in_bfloat16_and_are_the_same_again(tiny_model: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    first, again = (
        load_file(write_random_model(TINY, str(tiny_model), tmp_path / name) / "model.safetensors")
        for name in ("first", "again")
    )
    assert {tensor.dtype for tensor in first.values()} == {torch.bfloat16}
    assert all(torch.equal(first[name], again[name]) for name in again)
    assert float(first["lm_head.weight"].float().std()) == pytest.approx(0.02, rel=0.1)


def test_a_tokenizer_that_is_larger_than_the_shape_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the shape 100"):
        write_random_model(TINY.model_copy(update={"vocab_size": 100}), str(tiny_model), tmp_path)


@pytest.mark.parametrize(
    ("name", "total", "layers"), [("0.5b", 494_032_768, 357_898_112), ("7b", 7_615_616_512, 6_525_621_760)]
)
def test_shapes_have_the_parameters_of_their_models(name: str, total: int, layers: int, tmp_path: Path) -> None:
    """The model cards say 0.49B, of them 0.36B without embeddings, and 7.61B, of them 6.53B."""
    from transformers import Qwen2Config

    shape = SHAPES[name]
    Qwen2Config(**shape.model_dump()).save_pretrained(tmp_path)
    multiplied = multiplied_parameters(str(tmp_path))
    table = 0 if shape.tie_word_embeddings else shape.vocab_size * shape.hidden_size
    assert (multiplied.layers, multiplied.layers + multiplied.head + table) == (layers, total)


def test_the_share_of_the_peak_counts_four_operations_a_parameter() -> None:
    assert flops_a_token(1000) == 4000
    assert share_of_peak(1e6, Multiplied(layers=3_000_000, head=1_000_000), 40.0) == {
        "matmul_peak_tflops": 40.0,
        "model_tflops": 16.0,
        "share_of_peak": 0.4,
        "share_of_peak_without_head": 0.3,
    }


def test_the_peak_is_that_of_the_fastest_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    # Warm-up of 9 s, then turns of 4, 2, 3, 4 and 4 s.
    clock = iter([0, 9, 10, 14, 20, 22, 30, 33, 40, 44, 50, 54])
    monkeypatch.setattr(training.time, "perf_counter", lambda: next(clock))
    assert matmul_peak(10, 3) == pytest.approx(3 * 2 * 10**3 / 2 / 1e12)


def test_a_matrix_peak_is_measured_here() -> None:
    assert 1e-4 < matmul_peak(256, 2) < 1e4


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
