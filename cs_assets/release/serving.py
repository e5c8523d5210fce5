"""How released models are served: the Modelfile of Ollama, and vLLM's command for all scenarios on one base.

Here belong the two texts and what they must know of a model. Where the folders lie, and which of them is champion, is
told by the caller.

    modelfile(Path("merged"), "你是电商客服助手。")         # FROM ./merged, TEMPLATE, SYSTEM, PARAMETER ...
    vllm_script("intent_routing", folder, base, champions)    # one `--lora-modules` entry a scenario
"""

import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from upath import UPath

from cs_assets.learning.models import trained_form

ADAPTER: Final = "adapter"
MERGED: Final = "merged"
VLLM_SCRIPT: Final = "vllm.sh"
# What vLLM takes as --max-lora-rank: MaxLoRARanks in its vllm/config/lora.py, v0.27.
_LORA_RANKS: Final = (8, 16, 32, 64, 128, 256, 320, 512)
_NEXT_LINE: Final = " \\\n    "

# Ollama puts a SYSTEM before the messages where they begin with none.
_CHATML: Final = """\
{{- range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
"""


def modelfile(merged: Path, system: str) -> str:
    """Return the Modelfile beside a merged model.

    The template is written where the tokenizer's own is ChatML; any other Ollama finds by itself. The model answers as
    it was tested, greedily and with no penalty on repetitions; Ollama's own default, 1.1, spoils what must be copied.

    Args:
        merged: the model's folder.
        system: the scenario's system message; empty: the template's own, if it has one.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(merged)
    default = chatml_system(tokenizer)
    lines = [f"FROM ./{merged.name}"]
    if default is not None:
        lines.append(f'TEMPLATE """{_CHATML}"""')
    if system or default:
        lines.append(f'SYSTEM """{system or default}"""')
    lines += ["PARAMETER temperature 0", "PARAMETER repeat_penalty 1.0"]
    lines.append(f'PARAMETER stop "{tokenizer.eos_token if default is None else "<|im_end|>"}"')
    return "\n".join(lines) + "\n"


def chatml_system(tokenizer: Any) -> str | None:
    """Return the system message that a ChatML template adds where there is none; None where it is no ChatML."""
    if not tokenizer.chat_template:
        return None
    said = [{"role": role, "content": f"{role} {n}"} for n, role in enumerate(("system", "user", "assistant", "user"))]
    alone = tokenizer.apply_chat_template(said[1:2], tokenize=False, add_generation_prompt=True)
    if tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True) != _chatml(said):
        return None
    added = alone.removesuffix(_chatml(said[1:2]))
    return added.removeprefix("<|im_start|>system\n").removesuffix("<|im_end|>\n")


def _chatml(messages: list[dict[str, str]]) -> str:
    turns = [f"<|im_start|>{message['role']}\n{message['content']}<|im_end|>\n" for message in messages]
    return "".join([*turns, "<|im_start|>assistant\n"])


def is_lora_module(folder: UPath) -> bool:
    """Tell whether vLLM serves the adapter of a released folder beside others: low-rank updates, and no DoRA."""
    adapter = folder / ADAPTER
    return adapter.is_dir() and trained_form(adapter) == "lora" and not _adapter_config(folder)["use_dora"]


def _adapter_config(folder: UPath) -> dict[str, Any]:
    return json.loads((folder / ADAPTER / "adapter_config.json").read_text(encoding="utf-8"))


def vllm_script(name: str, folder: UPath, base: str, champions: Mapping[str, UPath]) -> str | None:
    """Return the script that serves a release and, on the same base, the champions of other scenarios.

    What is no LoRA module is served alone, as the merged model. Paths are relative to the script: the store may move.
    The base's generation config, with its penalty on repetitions, is left alone: what is served was tested without.

    Args:
        name: the scenario of the release, and the name under which it is served.
        folder: the released folder, in which the script will lie.
        base: folder or hub id of the base model.
        champions: scenario -> released folder; that of the release itself is not taken.

    Returns:
        The script; None where vLLM cannot serve the release: a prefix, or DoRA that was not merged.
    """
    if is_lora_module(folder):
        modules = {other: path for other, path in champions.items() if is_lora_module(path)} | {name: folder}
        served = _lora_modules(modules, folder, base)
    elif (folder / MERGED).is_dir():
        served = f'"$here"/{MERGED} --served-model-name {shlex.quote(name)} '
    else:
        return None
    return f"""#!/bin/sh
# OpenAI's API at http://127.0.0.1:8000/v1; the scenario's name is the model's. Options of vLLM's may follow.
here=$(cd "$(dirname "$0")" && pwd)
exec vllm serve {served}--host 127.0.0.1 --generation-config vllm "$@"
"""


def _lora_modules(modules: Mapping[str, UPath], folder: UPath, base: str) -> str:
    rank = max(_adapter_config(path)["r"] for path in modules.values())
    allowed = next((limit for limit in _LORA_RANKS if limit >= rank), rank)
    entries = [
        f'{shlex.quote(name)}="$here"/{shlex.quote(os.path.relpath(str(path / ADAPTER), str(folder)))}'
        for name, path in sorted(modules.items())
    ]
    options = f"--enable-lora --max-loras {len(entries)} --max-lora-rank {allowed} --lora-modules"
    return _NEXT_LINE.join([f'"${{BASE:-{base}}}"', options, *entries, ""])
