"""The answer head computes what TRL's own head and plain cross-entropy compute."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import GraniteConfig, GraniteForCausalLM
from trl.trainer.utils import add_fused_lm_head

from cs_assets.learning.answer_head import project_answers_only
from cs_assets.learning.models import load_causal_lm

OUTPUTS = ("log_probs", "entropy", "mean_logits", "is_top1")


def batch(labelled: slice = slice(7, None)) -> dict[str, Any]:
    """Three padded sequences, left and right, of which only a part carries labels."""
    generator = torch.Generator().manual_seed(5)
    ids = torch.randint(3, 250, (3, 12), generator=generator)
    mask = torch.ones_like(ids)
    mask[0, :4] = 0
    mask[1, 10:] = 0
    labels = torch.full_like(ids, -100)
    labels[:, labelled] = ids[:, labelled]
    return {"input_ids": ids, "attention_mask": mask, "labels": labels.masked_fill(mask == 0, -100)}


def scored(model: Any, **options: Any) -> Any:
    """Run the fused forward and its backward pass."""
    output = model(**batch(), fused_lm_head=True, **options)
    output.loss.backward()
    return output


def assert_same(ours: Any, theirs: Any, **options: Any) -> None:
    got, expected = scored(ours, **options), scored(theirs, **options)
    torch.testing.assert_close(got.loss, expected.loss, atol=1e-5, rtol=0)
    for name in (*OUTPUTS, "label_mask"):
        torch.testing.assert_close(got[name], expected[name], atol=1e-5, rtol=0)
    for (name, mine), (_, other) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        assert (mine.grad is None) == (other.grad is None), name
        if mine.grad is not None:
            torch.testing.assert_close(mine.grad, other.grad, atol=1e-5, rtol=0)


@pytest.mark.parametrize("options", [{}, {"num_items_in_batch": torch.tensor(40)}], ids=["mean", "accumulated"])
@pytest.mark.parametrize("adapted", [False, True], ids=["plain", "lora"])
def test_equals_the_fused_head_of_trl(tiny_model: Path, adapted: bool, options: dict[str, Any]) -> None:
    models = []
    for _ in range(2):
        model = load_causal_lm(str(tiny_model))
        add_fused_lm_head(model, outputs=OUTPUTS)
        torch.manual_seed(1)
        lora = LoraConfig(r=4, target_modules=["q_proj", "up_proj"], init_lora_weights=False)
        models.append(get_peft_model(model, lora) if adapted else model)
    project_answers_only(models[0])
    assert_same(*models, **options)


def test_equals_cross_entropy_on_the_answer(tiny_model: Path) -> None:
    ours, plain = load_causal_lm(str(tiny_model)), load_causal_lm(str(tiny_model))
    add_fused_lm_head(ours, outputs=OUTPUTS)
    project_answers_only(ours)
    inputs = batch()
    labels = inputs.pop("labels")
    logits = plain(**inputs).logits[:, :-1]
    expected = torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels[:, 1:].reshape(-1))
    expected.backward()
    torch.testing.assert_close(scored(ours).loss, expected, atol=1e-5, rtol=0)
    for mine, other in zip(ours.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad, atol=1e-5, rtol=0)


def test_a_batch_without_labels_is_a_differentiable_zero(tiny_model: Path) -> None:
    model = load_causal_lm(str(tiny_model))
    add_fused_lm_head(model)
    project_answers_only(model)
    loss = model(**batch(labelled=slice(0)), fused_lm_head=True).loss
    loss.backward()
    assert loss.item() == 0.0
    assert all(not parameter.grad.any() for parameter in model.parameters() if parameter.grad is not None)


def test_other_calls_still_return_logits(tiny_model: Path) -> None:
    model = load_causal_lm(str(tiny_model))
    before = model(**batch())
    add_fused_lm_head(model)
    project_answers_only(model)
    after = model(**batch())
    torch.testing.assert_close(after.logits, before.logits)
    torch.testing.assert_close(after.loss, before.loss)


def test_equals_the_fused_head_of_a_model_that_scales_its_logits() -> None:
    models = []
    for _ in range(2):
        torch.manual_seed(2)
        config = GraniteConfig(
            vocab_size=260,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=1,
            num_attention_heads=4,
            num_key_value_heads=2,
            logits_scaling=0.1,
        )
        models.append(GraniteForCausalLM(config))
        add_fused_lm_head(models[-1], outputs=OUTPUTS)
    project_answers_only(models[0])
    assert_same(*models)
