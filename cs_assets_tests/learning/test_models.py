"""What was trained is known by its folder, and merged into the base it answers as base and adapter do."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cs_assets.learning.adapters import peft_config
from cs_assets.learning.inference import generate
from cs_assets.learning.models import (
    load_causal_lm,
    load_reward_lm,
    load_tokenizer,
    load_trainable_reward_lm,
    precision,
    save_merged,
    trained_form,
)
from cs_assets.learning.reward import RewardSettings
from cs_assets_tests.release.conftest import Train, base, train, write_loud_model
from resources.lease import KEEP_MEMORY

__all__ = ["base", "train"]  # fixtures

PROMPTS = [[{"role": "user", "content": f"问题 {number}"}] for number in range(6)]


def answers(model: Path, adapter: Path | None = None) -> list[str]:
    """Return greedy answers; the model is loaded as for evaluation."""
    loaded = load_causal_lm(str(model), str(adapter) if adapter else None)
    return generate(loaded, load_tokenizer(str(model)), PROMPTS, max_new_tokens=12, batch_size=3)


@pytest.mark.parametrize(
    ("method", "form"),
    [("lora", "lora"), ("dora", "lora"), ("rslora", "lora"), ("prefix", "prefix"), ("full", "full")],
)
def test_a_folder_tells_what_was_trained(train: Train, method: str, form: str) -> None:
    assert trained_form(train(method)) == form


@pytest.mark.parametrize("method", ["lora", "dora", "rslora"])
def test_a_merged_model_answers_alone_as_base_and_adapter_do(
    base: Path, train: Train, tmp_path: Path, method: str
) -> None:
    adapter = train(method)
    save_merged(str(base), str(adapter), tmp_path / "merged")
    said = answers(base, adapter)
    assert answers(tmp_path / "merged") == said
    assert said != answers(base)
    assert len(set(said)) > 1
    assert {path.suffix for path in (tmp_path / "merged").iterdir()} >= {".safetensors", ".json", ".jinja"}


@pytest.mark.parametrize(
    ("gpu", "cpu", "asked", "found"),
    [
        (None, {"avx512_bf16": True, "amx_bf16": False}, "", "bfloat16"),
        (None, {"avx512_bf16": False, "amx_bf16": True}, "auto", "bfloat16"),
        (None, {"avx2": True}, "", "float32"),
        (None, {"avx512_bf16": True}, "float32", "float32"),
        (False, {"avx512_bf16": True}, "", "float32"),  # the model lies on the GPU, whatever the CPU can do
        (True, {}, "", "bfloat16"),
        (True, {}, "float32", "float32"),
    ],
)
def test_bfloat16_is_taken_where_the_device_has_it(
    monkeypatch: pytest.MonkeyPatch, gpu: bool | None, cpu: dict[str, bool], asked: str, found: str
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu is not None)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: gpu)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: cpu)
    monkeypatch.setenv("CS_PRECISION", asked)
    assert precision() == found


def test_another_precision_is_refused_with_those_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CS_PRECISION", "bf16")
    with pytest.raises(ValueError, match=r"CS_PRECISION is 'bf16'; allowed are auto, float32\."):
        precision()


def test_it_is_added_in_float32_and_saved_in_the_type_of_the_base(train: Train, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    small = write_loud_model(tmp_path / "bfloat16", dtype="bfloat16")
    adapter = train(of=small)
    save_merged(str(small), str(adapter), tmp_path / "merged")
    merged = load_file(tmp_path / "merged" / "model.safetensors")
    assert {weights.dtype for weights in merged.values()} == {torch.bfloat16}
    exact = load_causal_lm(str(small), str(adapter)).state_dict()  # in float32, as all tests are
    assert all(torch.equal(weights, exact[name].to(torch.bfloat16)) for name, weights in merged.items())
    tokenizer = load_tokenizer(str(tmp_path / "merged"))
    assert tokenizer.chat_template == load_tokenizer(str(small)).chat_template


@pytest.mark.parametrize("loaded_for", ["training", "inference"])
@pytest.mark.parametrize("adapted", [False, True])
def test_the_head_is_exact_though_the_base_computes_in_bfloat16(base: Path, loaded_for: str, adapted: bool) -> None:
    import torch
    from peft import get_peft_model

    settings = RewardSettings(base_model=str(base))
    model = load_reward_lm(str(base)) if loaded_for == "inference" else load_trainable_reward_lm(str(base), settings)
    head: Any = model.score
    if adapted:  # PEFT trains a copy of the head
        model = get_peft_model(model, peft_config(model, settings, "SEQ_CLS"))
        head = model.base_model.model.score.modules_to_save["default"]
    seen: list[Any] = []
    head.register_forward_hook(lambda _, inputs, scores: seen.extend([inputs[0], scores]))
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        said = model(input_ids=torch.tensor([[5, 7, 11, 13]])).logits
    states, scores = seen
    assert scores.dtype == said.dtype == torch.float32
    assert torch.equal(scores, states.float() @ head.weight.T)
    assert not torch.equal(scores, scores.bfloat16().float())


@pytest.mark.parametrize("adapter", [False, True])
def test_the_head_is_given_no_view(tiny_model: Path, train: Train, adapter: bool) -> None:
    seen: list[bool] = []
    model = load_causal_lm(str(tiny_model), str(train("lora")) if adapter else None)
    model.get_output_embeddings().register_forward_pre_hook(lambda _, given: seen.append(given[0].is_contiguous()))
    generate(model, load_tokenizer(str(tiny_model)), PROMPTS, max_new_tokens=2, batch_size=3)
    assert seen
    assert all(seen)


HELD = """
from pathlib import Path
import torch
from cs_assets.learning.models import release_memory

def held():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 >> 20

blocks, pins = [], []
for _ in range(64):
    blocks.append(torch.ones(1 << 20))
    pins.append(torch.ones(16))  # keeps what is freed away from the top of the heap
before = held()
del blocks
freed = before - held()
release_memory()
print(freed, before - held())
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc, which Linux has")
def test_memory_that_a_step_keeps_goes_back_before_the_next_model() -> None:
    told = subprocess.run(
        [sys.executable, "-c", HELD], env=os.environ | KEEP_MEMORY, capture_output=True, text=True, check=True
    )
    kept_back, given_back = (int(number) for number in told.stdout.split())
    assert kept_back < 16
    assert given_back > 200  # of 256 MiB
