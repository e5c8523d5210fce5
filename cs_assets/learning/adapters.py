"""What is trained of a base model: a LoRA adapter in one of its forms, a prefix, or every weight.

Here belong the choice of the method, its PEFT config, and an adapter that goes on under another head. Loading and
saving stand in `models.py`.

    AdapterSettings(method="dora", rank=8)
    peft_config(model, AdapterSettings(), "CAUSAL_LM")    # LoraConfig(r=16, lora_alpha=32, ...)
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, Field

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Method = Literal["lora", "dora", "rslora", "qlora", "prefix", "full"]
# Their change can be added to the weights of the base, so that the result is a plain model; and they can be trained on.
LOW_RANK: Final = ("lora", "dora", "rslora", "qlora")


class AdapterSettings(BaseModel):
    """The method, and the adapter's shape."""

    method: Method = Field(
        default="lora",
        description="lora; dora (magnitude and direction apart: a little better, a third slower); rslora (scaled by "
        "alpha / sqrt(rank), for ranks above 32); qlora (base in 4 bits, needs a GPU and bitsandbytes); prefix "
        "(P-tuning v2: trained keys and values before the prompt); full (every weight; wants a tenth of the rate).",
    )
    rank: int = Field(default=16, description="LoRA rank.", ge=1)
    alpha: int = Field(default=32, description="LoRA alpha; the update is scaled by alpha / rank.", ge=1)
    dropout: float = Field(default=0.0, description="LoRA dropout.", ge=0, lt=1)
    top_layers: float = Field(
        default=1.0,
        description="Share of the layers, from the top, that carry an adapter. The backward pass stops below them, "
        "so half the layers train faster, and learn less.",
        gt=0,
        le=1,
    )
    prefix_tokens: int = Field(default=32, description="Virtual tokens of the method prefix.", ge=1)


def peft_config(model: "PreTrainedModel", settings: AdapterSettings, task: str) -> Any:
    """Return the PEFT config of the method, None where every weight is trained.

    Args:
        model: the model to adapt; its number of layers and the names of its linear modules are read.
        settings: method and shape.
        task: `CAUSAL_LM` or `SEQ_CLS`.

    Raises:
        ValueError: the method does not fit the task.
    """
    if settings.method == "full":
        return None
    if settings.method == "prefix":
        return _prefix_config(settings, task)
    return _lora_config(model, settings, task)


def _prefix_config(settings: AdapterSettings, task: str) -> Any:
    from peft import PrefixTuningConfig

    if task != "CAUSAL_LM":
        raise ValueError("method: prefix trains no head; for a reward model take lora, dora, rslora, qlora or full.")
    return PrefixTuningConfig(task_type=task, num_virtual_tokens=settings.prefix_tokens)


def _lora_config(model: "PreTrainedModel", settings: AdapterSettings, task: str) -> Any:
    """Adapt every linear layer of the top layers, the output head left out."""
    import torch
    from peft import LoraConfig

    count = model.config.num_hidden_layers
    first = count - max(1, round(count * settings.top_layers))
    linear = {
        name.rsplit(".", 1)[-1]
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and ".layers." in f".{name}"
    }
    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        use_dora=settings.method == "dora",
        use_rslora=settings.method == "rslora",
        target_modules=sorted(linear),
        layers_to_transform=list(range(first, count)),
        task_type=task,
        modules_to_save=["score"] if task == "SEQ_CLS" else None,
    )


def with_head_on(model: "PreTrainedModel", adapter: str | Path) -> Any:
    """Return a base with a one-number head, adapted as a causal LM was; the adapter is trained on, the head with it.

    Args:
        model: the base of the adapter, with a head named `score`.
        adapter: folder of a low-rank adapter; its form, rank and layers stay as they are.

    Raises:
        ValueError: the base has no place for the adapter's weights.
    """
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
    from peft.utils import load_peft_weights

    config = LoraConfig.from_pretrained(str(adapter))
    config.task_type, config.modules_to_save, config.inference_mode = "SEQ_CLS", ["score"], False
    adapted = get_peft_model(model, config)
    weights, places = load_peft_weights(str(adapter), device="cpu"), get_peft_model_state_dict(adapted)
    strange = [name for name in weights if name not in places or places[name].shape != weights[name].shape]
    if strange:
        raise ValueError(f"{adapter}: {strange[0]} has no place in the base, so the adapter is of another one.")
    set_peft_model_state_dict(adapted, places | weights)  # the head is asked for as well
    return adapted


def shape_of(adapter: str | Path) -> dict[str, Any]:
    """Return the shape of a low-rank adapter: the fields of `AdapterSettings` that say it."""
    config = json.loads((Path(adapter) / "adapter_config.json").read_text(encoding="utf-8"))
    layers = config["layers_to_transform"]
    return {
        "method": "dora" if config["use_dora"] else "rslora" if config["use_rslora"] else "lora",
        "rank": config["r"],
        "alpha": config["lora_alpha"],
        "dropout": config["lora_dropout"],
        "top_layers": len(layers) / (max(layers) + 1) if layers else 1.0,
    }
