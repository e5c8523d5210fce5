"""Fine-tuning: what the loss sees, what is saved, and that a cut training goes on where it was."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cs_assets.learning import sft
from cs_assets.learning.models import load_causal_lm, load_tokenizer
from cs_assets.learning.progress import Progress
from cs_assets.learning.sft import FineTuningSettings, prompt_completion_pairs, train_adapter
from cs_assets.learning.training import TrainingLog
from cs_assets_tests.learning.conftest import SMALL, adapter_weights, losses

SETTINGS = FineTuningSettings(**SMALL)


def conversation(i: int) -> list[dict[str, str]]:
    return [
        {"role": "user", "content": f"你好 {i}"},
        {"role": "assistant", "content": "请说"},
        {"role": "user", "content": "电话 " + "13800" * (1 + i % 3)},
        {"role": "assistant", "content": "查一下"},
        {"role": "tool", "content": f"库存 {i}"},
        {"role": "assistant", "content": json.dumps({"电话": str(i)}, ensure_ascii=False)},
    ]


CONVERSATIONS = [conversation(i) for i in range(8)]


Taught = Callable[[list[list[dict[str, str]]]], list[str]]


@pytest.fixture
def taught(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Taught:
    """Return what a training on conversations would teach: the text of the labels of each sample."""

    def stop(trainer: Any, *args: Any) -> None:
        batches.extend(trainer.get_train_dataloader())
        raise KeyboardInterrupt

    batches: list[dict[str, Any]] = []
    monkeypatch.setattr(sft, "run_training", stop)

    def texts(conversations: list[list[dict[str, str]]]) -> list[str]:
        with pytest.raises(KeyboardInterrupt):
            train_adapter(str(tiny_model), conversations, [], SETTINGS, tmp_path / "model", tmp_path / "work")
        tokenizer = load_tokenizer(str(tiny_model))
        learnt = []
        for batch in batches:
            for ids, labels in zip(batch["input_ids"], batch["labels"], strict=True):
                learned = labels != -100
                assert torch.equal(ids[learned], labels[learned])
                learnt.append(tokenizer.decode(labels[learned]))
        return learnt

    return texts


def test_only_the_tokens_of_the_assistant_have_labels(taught: Taught) -> None:
    spoken = [turn["content"] for turns in CONVERSATIONS for turn in turns if turn["role"] == "assistant"]
    assert sorted(taught(CONVERSATIONS)) == sorted(f"{content}<|im_end|>\n" for content in spoken)


def saying(*answers: str) -> list[dict[str, str]]:
    """Return a conversation in which the assistant says this, each time when it is asked."""
    turns = [(("user", "电话"), ("assistant", answer)) for answer in answers]
    return [{"role": role, "content": content} for turn in turns for role, content in turn]


def test_an_answer_that_does_not_fit_is_left_out_and_not_taught_without_its_end(taught: Taught) -> None:
    assert sorted(taught([saying("好", "长" * 200, "短"), saying("是")])) == ["好<|im_end|>\n", "是<|im_end|>\n"]


def test_how_many_answers_were_too_long_is_told_while_it_trains_and_kept(tiny_model: Path, tmp_path: Path) -> None:
    told: list[Progress] = []
    splits = [saying("好", "长" * 200, "短"), saying("是")], [saying("长" * 200), saying("好")]
    places = tmp_path / "model", tmp_path / "work"
    log = train_adapter(str(tiny_model), *splits, SETTINGS, *places, told.append)
    assert (log.samples, log.steps, log.metrics()["too_long"]) == (2, 3, 2)
    assert {progress.too_long for progress in told} == {2}
    assert str(told[0]).endswith("  2 answers too long")


@pytest.mark.parametrize(("split", "said", "asked"), [("training", "长" * 200, "好"), ("validation", "好", "长" * 200)])
def test_a_split_of_which_nothing_fits_is_an_error_that_names_the_setting(
    tiny_model: Path, tmp_path: Path, split: str, said: str, asked: str
) -> None:
    places = tmp_path / "model", tmp_path / "work"
    with pytest.raises(ValueError, match=f"every {split} sample is longer than max_length 128; raise it"):
        train_adapter(str(tiny_model), [saying(said)], [saying(asked)], SETTINGS, *places)


def test_training_lowers_the_loss_and_the_saved_adapter_changes_the_model(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    log = train_adapter(str(tiny_model), CONVERSATIONS, CONVERSATIONS[:2], SETTINGS, folder, tmp_path / "work")
    curve = losses(log)
    assert curve[-1] < curve[0] - 0.1
    assert (log.samples, log.steps, len(curve)) == (8, 36, 36)
    assert TrainingLog.load(folder) == log
    assert log.metrics()["validation_loss"] < curve[0]
    ids = torch.arange(3, 30).unsqueeze(0)
    base, tuned = load_causal_lm(str(tiny_model)), load_causal_lm(str(tiny_model), str(folder))
    assert (base(ids).logits - tuned(ids).logits).abs().max() > 0.01
    assert load_tokenizer(str(folder)).chat_template == load_tokenizer(str(tiny_model)).chat_template


def test_a_cut_training_resumes_and_ends_as_an_undisturbed_one(
    tiny_model: Path, resumed_equals_undisturbed: Any
) -> None:
    resumed_equals_undisturbed(
        lambda folder, work, report: train_adapter(
            str(tiny_model), CONVERSATIONS, CONVERSATIONS[:2], SETTINGS, folder, work, report
        )
    )


def test_a_training_cut_within_its_only_epoch_goes_on_with_the_samples_it_has_not_seen(
    tiny_model: Path, resumed_equals_undisturbed: Any
) -> None:
    settings = SETTINGS.model_copy(update={"epochs": 1})
    resumed_equals_undisturbed(
        lambda folder, work, report: train_adapter(
            str(tiny_model), [conversation(i) for i in range(16)], [], settings, folder, work, report
        )
    )


def stopped_early(tiny_model: Path, place: Path) -> TrainingLog:
    """What is validated contradicts what is taught, so that the loss there rises from the first checkpoint on."""
    taught = [[{"role": "user", "content": "电话"}, {"role": "assistant", "content": "正确"}]] * 16
    asked = [[{"role": "user", "content": "电话"}, {"role": "assistant", "content": "姓名"}]] * 2
    settings = SETTINGS.model_copy(update={"patience": 2, "epochs": 10})
    return train_adapter(str(tiny_model), taught, asked, settings, place / "model", place / "work")


def test_training_stops_when_the_validation_loss_no_longer_falls_and_the_best_state_is_kept(
    tiny_model: Path, tmp_path: Path
) -> None:
    log = stopped_early(tiny_model, tmp_path)
    measured = {point.step: point.validation for point in log.curve if point.validation is not None}
    assert log.steps < 80
    assert list(measured) == list(range(2, log.steps + 1, 2))
    best = min(measured, key=lambda step: measured[step])
    assert log.kept_step == best == log.steps - 2 * SETTINGS.checkpoint_steps
    assert log.metrics()["validation_loss"] == measured[best]
    kept = adapter_weights(tmp_path / "model")
    saved = adapter_weights(tmp_path / "work" / "checkpoints" / f"checkpoint-{best}")
    assert all(kept[name].equal(saved[name]) for name in kept)


def test_a_training_that_stopped_early_takes_no_further_step_and_keeps_the_best_state_again(
    tiny_model: Path, tmp_path: Path
) -> None:
    first = stopped_early(tiny_model, tmp_path)
    kept = adapter_weights(tmp_path / "model")
    again = stopped_early(tiny_model, tmp_path)
    assert (again.steps, again.tokens, again.curve) == (first.steps, 0, first.curve)
    assert (again.resumed_at, again.kept_step) == (first.steps, first.kept_step)
    assert all(kept[name].equal(weights) for name, weights in adapter_weights(tmp_path / "model").items())


def test_top_layers_names_the_share_of_layers_with_an_adapter(tiny_model: Path, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"top_layers": 0.5, "epochs": 0.25})
    train_adapter(str(tiny_model), CONVERSATIONS, [], settings, tmp_path / "model", tmp_path / "work")
    names = list(adapter_weights(tmp_path / "model"))
    assert names
    assert all(".layers.1." in name for name in names)
    assert {name.split(".")[-3] for name in names} == {
        "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj",
    }  # fmt: skip


def test_nothing_to_train_on_is_an_error_that_says_where_to_look(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="filtered_samples"):
        train_adapter(str(tiny_model), [], [], SETTINGS, tmp_path / "model", tmp_path / "work")


def test_each_of_the_assistants_messages_is_learned_with_all_before_it_as_prompt() -> None:
    turns = [("user", "充电器坏了"), ("assistant", "查空闲时段"), ("tool", "周五上午"), ("assistant", "周五上午可以吗")]
    messages = [{"role": role, "content": content} for role, content in turns]
    assert prompt_completion_pairs(messages) == [
        {"prompt": messages[:1], "completion": messages[1:2]},
        {"prompt": messages[:3], "completion": messages[3:]},
    ]
