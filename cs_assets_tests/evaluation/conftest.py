"""What the tests of the evaluation share: models that answer different questions differently."""

from pathlib import Path

import pytest

from cs_assets_tests.tiny_model import write_tiny_model


@pytest.fixture(scope="session")
def talkative(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny model with weights so large that what it says depends on the question, and an adapter of it: folders."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("talkative")
    base, adapter = write_tiny_model(folder / "base"), folder / "adapter"
    model = AutoModelForCausalLM.from_pretrained(base)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(12)
    model.save_pretrained(base)
    torch.manual_seed(5)
    get_peft_model(model, LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False)).save_pretrained(
        adapter
    )
    return base, adapter
