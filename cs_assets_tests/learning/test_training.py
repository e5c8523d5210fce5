"""The loop that all trainings share: its log, its progress, and what it refuses."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import TrainerState

from cs_assets.learning.progress import LossPoint, Progress, progress_callback
from cs_assets.learning.sft import FineTuningSettings, train_adapter
from cs_assets.learning.training import TrainingLog, Untrainable, last_whole_checkpoint
from cs_assets_tests.learning.conftest import SMALL, Interrupted, adapter_weights

CONVERSATIONS = [
    [{"role": "user", "content": f"地址 {i}"}, {"role": "assistant", "content": f"正确 {i}"}] for i in range(8)
]


def log_of(*losses: float, **changed: Any) -> TrainingLog:
    curve = [LossPoint(step=i, loss=loss) for i, loss in enumerate(losses, start=1)]
    story = {
        "samples": 8,
        "steps": len(losses),
        "kept_step": len(losses),
        "seconds": 4.0,
        "tokens": 200,
        "resumed_at": 0,
        "curve": curve,
    }
    return TrainingLog.model_validate({**story, "curve": curve, **changed})


def train(tiny_model: Path, place: Path, **changed: Any) -> TrainingLog:
    settings = FineTuningSettings(**{**SMALL, **changed})
    return train_adapter(str(tiny_model), CONVERSATIONS, [], settings, place / "model", place / "work")


def test_a_log_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    log = log_of(2.5, 1.25)
    log.curve.append(LossPoint(step=2, validation=1.5))
    log.save(tmp_path)
    assert TrainingLog.load(tmp_path) == log


def test_metrics_are_the_mean_of_the_last_fifth_the_speed_and_the_last_validation_loss() -> None:
    log = log_of(*[9.0] * 8, 1.0, 2.0)
    assert log.metrics() == {"train_loss": 1.5, "steps": 10.0, "kept_step": 10.0, "tokens_per_second": 50.0}
    log.curve += [LossPoint(step=5, validation=3.0), LossPoint(step=10, validation=2.5)]
    assert log.metrics()["validation_loss"] == 2.5
    assert log_of(7.0).final_loss == 7.0


def test_progress_reads_like_a_line_of_a_log() -> None:
    progress = Progress(step=3, steps=40, loss=1.23456, tokens_per_second=89.6, seconds_left=125.2)
    assert str(progress) == "step 3/40  loss 1.2346  90 tokens/s  ETA 2:05"


def test_progress_is_told_at_most_every_few_seconds_and_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class State:
        global_step, max_steps = 0, 10

    clock = [100.0]
    monkeypatch.setattr("cs_assets.learning.progress.time.monotonic", lambda: clock[0])
    told: list[Progress] = []
    history: list[LossPoint] = []
    callback, state = progress_callback(told.append, lambda: 60, history), State()
    callback.on_train_begin(None, state, None)
    for step in range(1, 11):
        state.global_step, clock[0] = step, clock[0] + 1.5
        callback.on_log(None, state, None, logs={"loss": float(step)})
    assert [progress.step for progress in told] == [3, 6, 9, 10]
    assert told[1] == Progress(step=6, steps=10, loss=5.0, tokens_per_second=60 / 9, seconds_left=6.0)
    assert [point.loss for point in history] == [float(step) for step in range(1, 11)]


def test_a_loss_that_is_not_a_number_is_an_error_that_says_what_to_lower(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="lower learning_rate"):
        train(tiny_model, tmp_path, learning_rate=1e10)
    assert not (tmp_path / "model").exists()


def test_a_full_gpu_is_an_error_that_says_what_to_lower(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from trl import SFTTrainer

    def full(*args: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(SFTTrainer, "training_step", full)
    with pytest.raises(Untrainable, match="lower batch_size or max_length"):
        train(tiny_model, tmp_path)


def test_what_watches_the_validation_loss_is_told_each_one_and_may_end_the_training(
    tiny_model: Path, tmp_path: Path
) -> None:
    def watch(step: int, steps: int, loss: float) -> None:
        told.append((step, steps))
        assert 0 < loss < 20
        if step == 4:
            raise KeyboardInterrupt

    told: list[tuple[int, int]] = []
    settings = FineTuningSettings(**SMALL, patience=9)
    with pytest.raises(KeyboardInterrupt):
        train_adapter(
            str(tiny_model), CONVERSATIONS, CONVERSATIONS[:2], settings, tmp_path / "m", tmp_path / "w", watch=watch
        )
    assert told == [(2, 12), (4, 12)]
    assert not (tmp_path / "m").exists()


def test_the_same_seed_trains_the_same_adapter(tiny_model: Path, tmp_path: Path) -> None:
    first, second = train(tiny_model, tmp_path / "a"), train(tiny_model, tmp_path / "b")
    assert first.curve == second.curve
    one, two = adapter_weights(tmp_path / "a" / "model"), adapter_weights(tmp_path / "b" / "model")
    assert all(one[name].equal(two[name]) for name in one)
    other = train(tiny_model, tmp_path / "c", seed=18)
    assert other.curve != first.curve


def test_a_finished_training_that_was_not_saved_is_not_repeated(tiny_model: Path, tmp_path: Path) -> None:
    whole = train(tiny_model, tmp_path)
    again = train(tiny_model, tmp_path)
    assert (again.resumed_at, again.tokens, again.curve) == (12, 0, whole.curve)


@pytest.mark.parametrize("epochs", [0.75, 1.75])
def test_a_training_that_was_finished_within_an_epoch_is_not_repeated(
    tiny_model: Path, tmp_path: Path, epochs: float
) -> None:
    whole = train(tiny_model, tmp_path, epochs=epochs)
    again = train(tiny_model, tmp_path, epochs=epochs)
    assert (again.resumed_at, again.steps, again.tokens, again.curve) == (4 * epochs, 4 * epochs, 0, whole.curve)


def test_a_checkpoint_cut_while_being_written_is_passed_over(tiny_model: Path, tmp_path: Path) -> None:
    train(tiny_model, tmp_path)
    newest = tmp_path / "work" / "checkpoints" / "checkpoint-12"
    (newest / "trainer_state.json").unlink()  # the last file that the trainer writes
    assert train(tiny_model, tmp_path).resumed_at == 10


def test_a_checkpoint_cut_by_a_run_that_began_anew_does_not_pass_for_whole(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The curve of the first run has step 2 already, when the second one is cut within the state of that checkpoint."""
    whole = train(tiny_model, tmp_path)
    shutil.rmtree(tmp_path / "work" / "checkpoints")

    def cut(state: TrainerState, path: str) -> None:
        Path(path).write_text("{", encoding="utf-8")
        raise Interrupted

    monkeypatch.setattr(TrainerState, "save_to_json", cut)
    with pytest.raises(Interrupted):
        train(tiny_model, tmp_path)
    monkeypatch.undo()
    again = train(tiny_model, tmp_path)
    assert (again.resumed_at, again.curve) == (0, whole.curve)


@pytest.mark.parametrize(
    ("states", "curve", "found"),
    [
        ([4, 8, 12], [4, 8, 12], 12),
        ([4, 8], [4, 8, 12], 8),
        ([4, 8, 12], [4, 8], 8),  # killed between the checkpoint and its curve
        ([4, 8, 12], None, None),
        ([], [4], None),
    ],
)
def test_a_checkpoint_is_whole_when_its_state_and_its_curve_are_there(
    tmp_path: Path, states: list[int], curve: list[int] | None, found: int | None
) -> None:
    for step in (4, 8, 12):
        folder = tmp_path / "checkpoints" / f"checkpoint-{step}"
        folder.mkdir(parents=True)
        if step in states:
            (folder / "trainer_state.json").touch()
    if curve is not None:
        points = [LossPoint(step=step, loss=1.0).model_dump() for step in curve]
        (tmp_path / "history.json").write_text(json.dumps(points), encoding="utf-8")
    whole = last_whole_checkpoint(tmp_path / "checkpoints")
    assert whole == (tmp_path / "checkpoints" / f"checkpoint-{found}" if found else None)


def test_samples_that_are_all_too_long_are_an_error_that_says_so(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="max_length"):
        train(tiny_model, tmp_path, max_length=16)
