"""Loading base models, adapters and heads, on the device that is there.

Numbers: float32 on a CPU (without bf16 instructions bfloat16 is several times slower there), bfloat16 on a GPU that
has it.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# One turn of a chat, as chat templates take it: `role` and `content`.
Message = dict[str, str]


class LoraSettings(BaseModel):
    """The adapter's shape."""

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


def device_name() -> str:
    """Return `cuda` where a GPU is visible, else `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def has_bf16() -> bool:
    """Tell whether a GPU with bfloat16 is visible."""
    import torch

    return torch.cuda.is_available() and torch.cuda.is_bf16_supported()


def _dtype() -> Any:
    import torch

    return torch.bfloat16 if has_bf16() else torch.float32


def load_tokenizer(path: str) -> "PreTrainedTokenizerBase":
    """Load the tokenizer beside a model; left padding, so that generation continues the prompt."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path, padding_side="left")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_causal_lm(path: str, adapter: str | None = None) -> "PreTrainedModel":
    """Load a causal LM for inference or training; an adapter is merged into the weights, which makes it faster."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(path, dtype=_dtype()).to(device_name())
    if adapter is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    return model


def load_reward_lm(path: str, adapter: str | None = None) -> "PreTrainedModel":
    """Load a base with a one-number head; with `adapter`, the trained head and adapter on top of it."""
    from transformers import AutoModelForSequenceClassification

    tokenizer = load_tokenizer(path)
    model = AutoModelForSequenceClassification.from_pretrained(path, num_labels=1, dtype=_dtype()).to(device_name())
    model.config.pad_token_id = tokenizer.pad_token_id
    if adapter is not None:
        from peft import PeftModel

        return PeftModel.from_pretrained(model, adapter).merge_and_unload()
    return model


def lora_config(model: "PreTrainedModel", settings: LoraSettings, task: str) -> Any:
    """Return the PEFT config: every linear layer of the top layers, the output head left out.

    Args:
        model: the model to adapt; its number of layers and the names of its linear modules are read.
        settings: the adapter's shape.
        task: `CAUSAL_LM` or `SEQ_CLS`.
    """
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
        target_modules=sorted(linear),
        layers_to_transform=list(range(first, count)),
        task_type=task,
        modules_to_save=["score"] if task == "SEQ_CLS" else None,
    )


def save_adapter(model: Any, tokenizer: Any, folder: Path) -> None:
    """Save adapter and tokenizer into `folder`."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
