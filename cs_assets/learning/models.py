"""Loading base models, adapters and heads, on the device that is there.

Numbers: bfloat16 where a GPU has it, or an x86 CPU (AVX512-BF16, AMX); float32 elsewhere, where bfloat16 would be
emulated and several times slower. `CS_PRECISION=float32` asks for float32 everywhere.
"""

import ctypes
import gc
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from upath import UPath

from cs_assets.learning.adapters import AdapterSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Form = Literal["lora", "prefix", "full"]
_ADAPTER_CONFIG: Final = "adapter_config.json"
_PRECISIONS: Final = ("auto", "float32")


def device_name() -> str:
    """Return `cuda` where a GPU is visible, else `cpu`."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def precision() -> Literal["bfloat16", "float32"]:
    """Return what models compute in: bfloat16 where the device has it and `CS_PRECISION` does not forbid it.

    Raises:
        ValueError: `CS_PRECISION` holds another word than those allowed.
    """
    import torch

    asked = os.environ.get("CS_PRECISION") or "auto"
    if asked not in _PRECISIONS:
        raise ValueError(f"CS_PRECISION is {asked!r}; allowed are {', '.join(_PRECISIONS)}. Set it to one of them.")
    if torch.cuda.is_available():
        has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        has = torch.cpu.get_capabilities()
        has_bf16 = has.get("avx512_bf16", False) or has.get("amx_bf16", False)
    return "bfloat16" if has_bf16 and asked == "auto" else "float32"


def _dtype() -> Any:
    import torch

    return getattr(torch, precision())


def load_tokenizer(path: str) -> "PreTrainedTokenizerBase":
    """Load the tokenizer beside a model; left padding, so that generation continues the prompt."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(path, padding_side="left")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def release_memory() -> None:
    """Free what a finished trainer or model held. It is full of cycles, and the next model needs the room.

    Where blocks are kept for the next step (`KEEP_MEMORY` in resources/lease.py), they go back to the system here.
    """
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):  # glibc has it
        trim(0)


def _loaded(kind: Any, path: str, **how: Any) -> Any:
    release_memory()
    model = kind.from_pretrained(path, **how)
    if head := model.get_output_embeddings():
        head.register_forward_pre_hook(_in_one_piece)
    return model


def _in_one_piece(head: Any, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Hand the head a copy of what is a view: transformers cuts out the last positions.

    In bfloat16 on a CPU the product of such a view with a vocabulary of 152,000 took half a minute, of a copy a
    twentieth of a second (torch 2.13, one thread, 16 rows).
    """
    return (given[0].contiguous(),)


def load_causal_lm(path: str, adapter: str | None = None) -> "PreTrainedModel":
    """Load a causal LM for inference, or to train an adapter of it.

    Args:
        path: folder of the base model.
        adapter: folder of what was trained. What can be merged into the weights is, which makes it faster; where every
            weight was trained, the folder is the model.
    """
    from transformers import AutoModelForCausalLM

    if adapter is not None and not _is_peft(adapter):
        path, adapter = adapter, None
    model = _loaded(AutoModelForCausalLM, path, dtype=_dtype()).to(device_name())
    return model if adapter is None else _with_adapter(model, adapter)


def load_trainable(path: str, settings: AdapterSettings) -> "PreTrainedModel":
    """Load a causal LM as the method trains it: in 4 bits for qlora, in float32 where every weight moves.

    Raises:
        ValueError: qlora without a GPU.
    """
    from transformers import AutoModelForCausalLM

    return _on_device(_loaded(AutoModelForCausalLM, path, **_trained_as(settings)))


def load_trainable_reward_lm(path: str, settings: AdapterSettings) -> "PreTrainedModel":
    """Load a base with a one-number head as the method trains it; see `load_trainable`."""
    from transformers import AutoModelForSequenceClassification

    model = _loaded(AutoModelForSequenceClassification, path, num_labels=1, **_trained_as(settings))
    return _with_exact_head(_on_device(model), path)


def _trained_as(settings: AdapterSettings) -> dict[str, Any]:
    """Return how `from_pretrained` loads the weights that a method trains, or trains an adapter of."""
    import torch
    from transformers import BitsAndBytesConfig

    if settings.method != "qlora":
        return {"dtype": torch.float32 if settings.method == "full" else _dtype()}
    if device_name() != "cuda":
        raise ValueError("method: qlora needs a GPU (bitsandbytes holds the base in 4 bits there); take lora on a CPU.")
    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=_dtype(),
    )
    return {"dtype": _dtype(), "quantization_config": quantization}


def _on_device(model: Any) -> Any:
    """Put a model where it is trained; one in 4 bits is there already."""
    return model if getattr(model, "is_quantized", False) else model.to(device_name())


def _with_exact_head(model: Any, path: str) -> Any:
    """Tell the head which token is padding, for it reads the last one that is not, and let it compute in float32.

    In bfloat16 rewards of about 4 lie 0.03 apart, so that different answers tie. A training in bfloat16 computes every
    linear layer in it, whatever the type of its weights; so it is switched off here.
    """
    import torch

    class ExactHead(torch.nn.Linear):
        def forward(self, states: Any) -> Any:
            with torch.autocast(states.device.type, enabled=False):
                return torch.nn.functional.linear(states.float(), self.weight.float())

    model.config.pad_token_id = load_tokenizer(path).pad_token_id
    # Not a wrapper: its weights keep their name, and the copy that PEFT trains is as exact.
    model.score.float().__class__ = ExactHead
    return model


def _is_peft(folder: str | Path | UPath) -> bool:
    return (UPath(folder) / _ADAPTER_CONFIG).is_file()


def _with_adapter(model: Any, adapter: str) -> Any:
    """Put an adapter on a model; a prefix stays beside it, everything else goes into its weights."""
    from peft import LoraConfig, PeftModel

    adapted = PeftModel.from_pretrained(model, adapter)
    mergeable = isinstance(adapted.peft_config["default"], LoraConfig)
    return adapted.merge_and_unload() if mergeable else adapted


def trained_form(folder: str | Path | UPath) -> Form:
    """Return what the folder of something trained holds: low-rank updates, a prefix, or every weight."""
    if not _is_peft(folder):
        return "full"
    config = json.loads((UPath(folder) / _ADAPTER_CONFIG).read_text(encoding="utf-8"))
    return "lora" if config["peft_type"] == "LORA" else "prefix"


def save_merged(base: str, adapter: str, folder: Path) -> None:
    """Save base and low-rank updates as one plain model, with the tokenizer and chat template of the base.

    They are added in float32, so that a small update to a large weight is rounded once, at the end, and saved in the
    type of the base. That takes 4 bytes a parameter of memory (2 GB for 0.5B), and the size of the base on the disk.

    Args:
        base: folder of the base model.
        adapter: folder whose `trained_form` is lora.
        folder: receives the model.
    """
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = _loaded(AutoModelForCausalLM, base, dtype="auto")
    kept_as = model.dtype
    merged = PeftModel.from_pretrained(model.to(torch.float32), adapter).merge_and_unload(safe_merge=True)
    merged.to(kept_as).save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)


def load_reward_lm(path: str, adapter: str | None = None) -> "PreTrainedModel":
    """Load a base with a one-number head; with `adapter`, what was trained of head and base."""
    from transformers import AutoModelForSequenceClassification

    base = path
    if adapter is not None and not _is_peft(adapter):
        path, adapter = adapter, None
    model = _loaded(AutoModelForSequenceClassification, path, num_labels=1, dtype=_dtype()).to(device_name())
    model = _with_exact_head(model, base)
    return model if adapter is None else _with_adapter(model, adapter)


def save_adapter(model: Any, tokenizer: Any, folder: Path) -> None:
    """Save adapter and tokenizer into `folder`; not the reference, which TRL adds as a second adapter."""
    from peft import PeftModel

    model.save_pretrained(folder, **({"selected_adapters": ["default"]} if isinstance(model, PeftModel) else {}))
    tokenizer.save_pretrained(folder)
