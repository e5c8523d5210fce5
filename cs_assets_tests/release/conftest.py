"""What the tests of the release share: a base whose answers depend on the question, and what may be trained of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cs_assets_tests.tiny_model import write_tiny_model

Train = Callable[..., Path]


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model with weights so large that what it says depends on the question."""
    return write_loud_model(tmp_path_factory.mktemp("loud") / "model")


def write_loud_model(folder: Path, dtype: str = "float32") -> Path:
    """Write a tiny model with large weights, kept in the given type."""
    import torch
    from transformers import AutoModelForCausalLM

    write_tiny_model(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(12)
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    return folder


@pytest.fixture
def train(base: Path, tmp_path: Path) -> Train:
    """Write what a training of some method leaves, with weights that chance chose, and return its folder."""

    def write(method: str = "lora", name: str = "trained", of: Path = base, seed: int = 5) -> Path:
        import torch
        from peft import get_peft_model
        from transformers import AutoModelForCausalLM

        from cs_assets.learning.adapters import AdapterSettings, peft_config
        from cs_assets.learning.models import load_tokenizer, save_adapter

        folder = tmp_path / name
        model: Any = AutoModelForCausalLM.from_pretrained(of, dtype=torch.float32)
        torch.manual_seed(seed)
        settings = AdapterSettings(method=method, rank=2, prefix_tokens=3)  # type: ignore[arg-type]
        config = peft_config(model, settings, "CAUSAL_LM")
        model = get_peft_model(model, config) if config else model
        with torch.no_grad():
            for parameter in (p for p in model.parameters() if p.requires_grad):
                parameter.add_(torch.randn_like(parameter), alpha=0.3)
        save_adapter(model, load_tokenizer(str(of)), folder)
        (folder / "manifest.json").write_text("{}", encoding="utf-8")
        return folder

    return write
