"""Packed rows teach what padded rows teach: the layout, the loss, the gradients, and a whole training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling
from trl.trainer.utils import add_fused_lm_head

from cs_assets.learning.answer_head import project_answers_only
from cs_assets.learning.models import load_causal_lm
from cs_assets.learning.packing import PackedRows, packed_tokens, require_samples_apart, rows_of
from cs_assets.learning.sft import FineTuningSettings, train_adapter
from cs_assets_tests.learning.conftest import SMALL, adapter_weights, losses
from cs_assets_tests.tiny_model import write_tiny_model

LENGTHS = (5, 31, 12, 2, 40, 7)


def samples(lengths: Sequence[int] = LENGTHS) -> list[dict[str, list[int]]]:
    """Random tokens, of which the last half, at least one, has labels."""
    generator = torch.Generator().manual_seed(4)
    made = []
    for length in lengths:
        ids = torch.randint(3, 250, (length,), generator=generator).tolist()
        asked = length // 2
        made.append({"input_ids": ids, "labels": [-100] * asked + ids[asked:]})
    return made


@given(st.lists(st.integers(2, 3000), min_size=1, max_size=40))
def test_every_sample_is_in_one_row_and_rows_cost_no_more_than_padding(lengths: list[int]) -> None:
    rows = rows_of(lengths)
    assert sorted(number for row in rows for number in row) == list(range(len(lengths)))
    assert all(rows)
    width = max(sum(lengths[number] for number in row) for row in rows)
    # Four thirds of the ideal is the known bound of dealing the longest out first.
    assert width <= 4 / 3 * max(2048, max(lengths), sum(lengths) / len(rows)) + 1
    assert len(rows) * width <= 1.5 * len(lengths) * max(lengths)


def test_samples_of_one_length_are_left_apart_and_short_ones_join() -> None:
    assert sorted(rows_of([300] * 4)) == [[0], [1], [2], [3]]
    assert [sorted(row) for row in rows_of([300, 20, 30, 50, 60, 40, 100])] == [[0], [1, 2, 3, 4, 5, 6]]


@given(st.lists(st.integers(2, 90), min_size=1, max_size=12))
def test_the_tensors_hold_every_token_once_and_restart_at_every_sample(lengths: list[int]) -> None:
    batch = PackedRows(pad_token_id=0)(samples(lengths))
    assert batch["input_ids"].shape == batch["labels"].shape == batch["position_ids"].shape
    assert "attention_mask" not in batch
    assert packed_tokens(batch["position_ids"]) == sum(lengths)
    assert sorted(batch["input_ids"][batch["input_ids"] > 0].tolist()) == sorted(
        token for sample in samples(lengths) for token in sample["input_ids"]
    )
    assert (batch["labels"][batch["position_ids"] == 0] == -100).all()
    labelled = batch["labels"] != -100
    assert torch.equal(batch["labels"][labelled], batch["input_ids"][labelled])
    assert int(labelled.sum()) == sum(length - length // 2 for length in lengths)


def model_of(folder: Path, ours: bool) -> Any:
    """A model with TRL's fused head, or with the answer head in its place, and a LoRA adapter that does something."""
    model = load_causal_lm(str(folder))
    add_fused_lm_head(model, outputs=("log_probs", "entropy", "is_top1", "mean_logits"))
    torch.manual_seed(1)
    lora = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    adapted = get_peft_model(model, lora)
    if ours:
        project_answers_only(adapted)
    return adapted


def learned(model: Any, batch: dict[str, Any]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return the loss, a mean over the answers' tokens, and the gradients."""
    loss = model(**batch, fused_lm_head=True).loss
    loss.backward()
    return loss, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("ours", [True, False], ids=["answer_head", "trl_head"])
@pytest.mark.parametrize("shape", ["qwen2", "llama", "glm"])
def test_loss_and_gradients_of_packed_rows_are_those_of_padded_rows(tmp_path: Path, shape: str, ours: bool) -> None:
    folder = write_tiny_model(tmp_path / "model", shape=shape)
    packed = PackedRows(pad_token_id=0)(samples())
    assert len(packed["input_ids"]) < len(LENGTHS)
    padded = DataCollatorForLanguageModeling(pad_token_id=0)(samples())
    loss, gradients = learned(model_of(folder, ours), packed)
    expected, others = learned(model_of(folder, ours), padded)
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=0)
    assert gradients.keys() == others.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, others[name], atol=1e-5, rtol=1e-4, msg=name)


def test_with_a_mask_of_ones_samples_would_see_each_other(tiny_model: Path) -> None:
    """What keeps them apart is the missing mask; were it given, the loss would be another."""
    packed = PackedRows(pad_token_id=0)(samples())
    apart, _ = learned(model_of(tiny_model, True), packed)
    seen, _ = learned(model_of(tiny_model, True), {**packed, "attention_mask": torch.ones_like(packed["input_ids"])})
    assert abs(apart.item() - seen.item()) > 1e-4


def test_a_model_whose_samples_see_each_other_is_refused(tiny_model: Path) -> None:
    model = load_causal_lm(str(tiny_model))
    require_samples_apart(model)
    forward = model.forward
    model.forward = lambda position_ids, **inputs: forward(**inputs)  # a model that does not read positions
    with pytest.raises(ValueError, match="packing: false"):
        require_samples_apart(model)


def conversation(i: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": "电话 " + "138" * i}, {"role": "assistant", "content": "正确" * (1 + i % 3)}]


def train(tiny_model: Path, place: Path, **changed: Any) -> Any:
    settings = FineTuningSettings(**{**SMALL, "batch_size": 4, "learning_rate": 1e-3, **changed})
    taught = [conversation(i) for i in range(10)]
    return train_adapter(str(tiny_model), taught, taught[:3], settings, place / "model", place / "work")


def test_a_packed_training_is_the_padded_one(tiny_model: Path, tmp_path: Path) -> None:
    packed, padded = (train(tiny_model, tmp_path / str(on), packing=on) for on in (True, False))
    assert losses(packed) == pytest.approx(losses(padded), abs=1e-4)
    assert packed.tokens == padded.tokens
    assert packed.metrics()["validation_loss"] == pytest.approx(padded.metrics()["validation_loss"], abs=0.05)
    one, two = adapter_weights(tmp_path / "True" / "model"), adapter_weights(tmp_path / "False" / "model")
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-3


def test_a_prefix_is_not_packed(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="packing: false"):
        train(tiny_model, tmp_path, packing=True, method="prefix")
