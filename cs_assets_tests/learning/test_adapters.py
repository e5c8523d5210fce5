"""The methods of training: each one trains, is saved, and comes back changed; so does each shape of base model."""

from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import pytest
import torch

from cs_assets.learning.adapters import LOW_RANK, AdapterSettings, Method, peft_config
from cs_assets.learning.inference import generate
from cs_assets.learning.models import device_name, load_causal_lm, load_reward_lm, load_tokenizer, load_trainable
from cs_assets.learning.sft import FineTuningSettings, train_adapter
from cs_assets_tests.learning.conftest import SMALL, losses
from cs_assets_tests.tiny_model import write_tiny_model

CONVERSATIONS = [
    [{"role": "user", "content": f"电话 {number}"}, {"role": "assistant", "content": f"是 {number}"}]
    for number in range(8)
]
NEEDS_GPU = pytest.mark.skipif(
    not torch.cuda.is_available() or find_spec("bitsandbytes") is None, reason="needs a GPU and the extra qlora"
)
METHODS = [pytest.param(method, marks=NEEDS_GPU if method == "qlora" else ()) for method in get_args(Method)]
IDS = torch.arange(3, 30, device=device_name()).unsqueeze(0)


def trained(base: Path, method: str, tmp_path: Path) -> Path:
    # Four vectors before the prompt hardly move a model of random weights; they need a rate of their own.
    rate = 1.0 if method == "prefix" else SMALL["learning_rate"]
    settings = FineTuningSettings(**{**SMALL, "method": method, "epochs": 4, "prefix_tokens": 4, "learning_rate": rate})
    log = train_adapter(str(base), CONVERSATIONS, [], settings, tmp_path / "model", tmp_path / "work")
    assert sum(losses(log)[-4:]) < sum(losses(log)[:4])
    return tmp_path / "model"


@pytest.mark.parametrize("method", METHODS)
def test_each_method_trains_and_its_result_changes_the_model(method: str, tiny_model: Path, tmp_path: Path) -> None:
    folder = trained(tiny_model, method, tmp_path)
    base, tuned = load_causal_lm(str(tiny_model)).eval(), load_causal_lm(str(tiny_model), str(folder)).eval()
    assert (base(IDS).logits - tuned(IDS).logits).abs().max() > 0.01
    assert ((folder / "adapter_config.json").is_file()) == (method != "full")
    # What can be merged is: no adapter's layer is left in the loaded model.
    plain = sum(1 for _ in base.modules()) == sum(1 for _ in tuned.modules())
    assert plain == (method in (*LOW_RANK, "full"))


@pytest.mark.parametrize("method", ["lora", "prefix"])
def test_a_batch_of_unequal_prompts_is_answered_as_each_one_alone(
    method: str, tiny_model: Path, tmp_path: Path
) -> None:
    folder = trained(tiny_model, method, tmp_path)
    model, tokenizer = load_causal_lm(str(tiny_model), str(folder)), load_tokenizer(str(tiny_model))
    prompts = [turns[:1] for turns in CONVERSATIONS[:2]]
    prompts[1] = [{"role": "user", "content": "一句长得多的话，电话在后面 " + prompts[1][0]["content"]}]
    together = generate(model, tokenizer, prompts, max_new_tokens=4, batch_size=2)
    assert together == [generate(model, tokenizer, [prompt], max_new_tokens=4, batch_size=1)[0] for prompt in prompts]


@pytest.mark.parametrize("shape", ["qwen2", "llama", "glm"])
def test_each_shape_of_base_model_is_tuned_on_all_its_linear_layers(shape: str, tmp_path: Path) -> None:
    base = write_tiny_model(tmp_path / "base", shape=shape)
    folder = trained(base, "lora", tmp_path)
    model = load_causal_lm(str(base))
    assert model.config.model_type == shape
    linear = {name.rsplit(".", 1)[-1] for name, part in model.named_modules() if isinstance(part, torch.nn.Linear)}
    assert set(peft_config(model, AdapterSettings(), "CAUSAL_LM").target_modules) == linear - {"lm_head"}
    assert (model(IDS).logits - load_causal_lm(str(base), str(folder))(IDS).logits).abs().max() > 0.01


@NEEDS_GPU
def test_qlora_holds_the_linear_layers_of_the_base_in_4_bits(tiny_model: Path) -> None:
    model = load_trainable(str(tiny_model), AdapterSettings(method="qlora"))
    linear = {name: part for name, part in model.named_modules() if isinstance(part, torch.nn.Linear)}
    held = {type(part.weight).__name__ for name, part in linear.items() if ".layers." in name}
    assert held == {"Params4bit"}
    assert next(model.parameters()).device.type == "cuda"


def test_qlora_without_a_gpu_says_so_before_anything_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cs_assets.learning.models.device_name", lambda: "cpu")
    with pytest.raises(ValueError, match="qlora needs a GPU"):
        load_trainable(str(tmp_path / "nowhere"), AdapterSettings(method="qlora"))


def test_a_reward_model_has_no_prefix(tiny_model: Path) -> None:
    with pytest.raises(ValueError, match="take lora"):
        peft_config(load_reward_lm(str(tiny_model)), AdapterSettings(method="prefix"), "SEQ_CLS")
