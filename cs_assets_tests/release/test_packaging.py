"""A release folder: the adapter's files and a card that says what was measured."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from cs_assets.evaluation.reporting import Cell, EvaluationReport, markdown
from cs_assets.evaluation.statistics import Interval
from cs_assets.learning.models import load_causal_lm, load_tokenizer
from cs_assets.release.packaging import Release, ReleaseSettings, merge, model_card, pack


@pytest.fixture
def report() -> EvaluationReport:
    figures = Interval(mean=0.8, low=0.7, high=0.9, n=40)
    cell = Cell(split="test_iid", model="tuned", exact=figures, strict_json=figures, field_accuracy=figures)
    return EvaluationReport(scenario="address_extraction", cells=[cell], p_values={}, per_field={}, judge={}, reward={})


def test_the_card_tells_base_licence_size_and_figures(report: EvaluationReport) -> None:
    card = model_card(report, "收货信息抽取", "embedded", "Apache-2.0", 176)
    assert card.startswith("# 收货信息抽取 (`address_extraction`)\n")
    assert "`embedded` (Apache-2.0)" in card
    assert "176 synthetic samples" in card
    assert markdown(report) in card


def test_packing_copies_the_adapter_and_writes_the_card(tmp_path: Path) -> None:
    adapter, release = tmp_path / "adapter", tmp_path / "release"
    (adapter / "checkpoints").mkdir(parents=True)
    release.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"\x00\x01")
    (adapter / "README.md").write_text("of PEFT", encoding="utf-8")
    (adapter / "manifest.json").write_text("{}", encoding="utf-8")
    pack(str(adapter), "卡片", release)
    assert {path.name for path in release.iterdir()} == {"adapter_model.safetensors", "README.md"}
    assert (release / "adapter_model.safetensors").read_bytes() == b"\x00\x01"
    assert (release / "README.md").read_text(encoding="utf-8") == "卡片"


def test_a_decision_cannot_be_changed_afterwards() -> None:
    release = Release(passed=False, reasons=["no gain"])
    with pytest.raises(ValidationError, match="frozen"):
        release.passed = True


@pytest.mark.parametrize("minimum", [-0.1, 1.1])
def test_the_wanted_accuracy_is_a_share(minimum: float) -> None:
    with pytest.raises(ValidationError, match="minimum_exact"):
        ReleaseSettings(minimum_exact=minimum)


def test_the_merged_model_answers_as_base_and_adapter_do(tiny_model: Path, tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    base = load_causal_lm(str(tiny_model)).eval()
    tokens = torch.arange(3, 20).unsqueeze(0)
    untuned = base(tokens).logits
    adapted = get_peft_model(
        base, LoraConfig(r=2, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    ).eval()
    wanted = adapted(tokens).logits
    adapted.save_pretrained(tmp_path / "adapter")
    merge(str(tiny_model), str(tmp_path / "adapter"), tmp_path / "merged")
    merged = load_causal_lm(str(tmp_path / "merged")).eval()
    assert torch.allclose(merged(tokens).logits, wanted, atol=1e-4)
    assert not torch.allclose(untuned, wanted, atol=1e-4)
    assert load_tokenizer(str(tmp_path / "merged")).encode("正确") == load_tokenizer(str(tiny_model)).encode("正确")
