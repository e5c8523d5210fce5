"""Models of a known shape with random weights: what speed and memory are measured on where no hub can be reached.

A training step costs the same whatever the weights are; only what is learned says nothing.

    write_random_model(SHAPES["0.5b"], "models/qwen-0.5b", Path("work/base"))
    multiplied_parameters("work/base")    # Multiplied(layers=357898112, head=136134656)
"""

from pathlib import Path
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict

# Largest file of weights, in transformers' notation; a second copy of one is in memory while it is written.
_FILE_SIZE: Final = "1GB"
_SEED: Final = 17


class Shape(BaseModel):
    """The numbers of a Qwen2 model that decide its size and speed, by their names in transformers' `Qwen2Config`."""

    model_config = ConfigDict(frozen=True)

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    tie_word_embeddings: bool


# From config.json of Qwen/Qwen2.5-0.5B-Instruct and Qwen/Qwen2.5-7B-Instruct on the Hugging Face hub; layers, heads and
# tied embeddings also in table 1 of the Qwen2.5 technical report (arXiv 2412.15115).
SHAPES: Final[dict[str, Shape]] = {
    "0.5b": Shape(
        vocab_size=151_936,
        hidden_size=896,
        intermediate_size=4_864,
        num_hidden_layers=24,
        num_attention_heads=14,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    ),
    "7b": Shape(
        vocab_size=152_064,
        hidden_size=3_584,
        intermediate_size=18_944,
        num_hidden_layers=28,
        num_attention_heads=28,
        num_key_value_heads=4,
        tie_word_embeddings=False,
    ),
}


class Multiplied(NamedTuple):
    """How many parameters each token is multiplied with: in the layers, and in the head."""

    layers: int
    head: int


def write_random_model(shape: Shape, tokenizer: str, folder: Path) -> Path:
    """Write a Qwen2 model with random weights in bfloat16, 2 bytes a parameter, and return its folder.

    It is made on the GPU where there is one, and takes no more memory than its weights and one file of them.

    Args:
        shape: its numbers; positions are those of Qwen2.5 (32,768, base of the rotation 1,000,000).
        tokenizer: a folder with a tokenizer and its chat template; no weights need to be there.
        folder: receives the model and the tokenizer.

    Raises:
        ValueError: the tokenizer has more tokens than the shape.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, Qwen2Config

    from cs_assets.learning.models import device_name, release_memory

    words = AutoTokenizer.from_pretrained(tokenizer)
    if len(words) > shape.vocab_size:
        raise ValueError(f"{tokenizer}: its tokenizer has {len(words):,} tokens, the shape {shape.vocab_size:,}.")
    config = Qwen2Config(
        **shape.model_dump(),
        max_position_embeddings=32_768,
        rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    torch.manual_seed(_SEED)
    with torch.device(device_name()):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder, max_shard_size=_FILE_SIZE)
    words.save_pretrained(folder)
    del model
    release_memory()
    return folder


def multiplied_parameters(base: str) -> Multiplied:
    """Count the parameters of a base model from its configuration alone; no weights are made or read.

    The embedding table is looked up, not multiplied with, and counts only where it is the head as well.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base))
    table, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    layers = sum(part.numel() for part in model.parameters() if part is not table and part is not head)
    return Multiplied(layers=layers, head=head.numel())
