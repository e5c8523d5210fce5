"""The Modelfile of Ollama, and vLLM's command: read as the programs read them."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from cs_assets.learning.models import load_tokenizer
from cs_assets.release.serving import chatml_system, modelfile, vllm_script
from cs_assets_tests.release.conftest import Train
from cs_assets_tests.tiny_model import CHAT_TEMPLATE

CHATML = "{% if messages[0]['role'] != 'system' %}<|im_start|>system\n你是助手。<|im_end|>\n{% endif %}" + CHAT_TEMPLATE
# The base's generation config, with its penalty on repetitions, is not asked.
GREEDY = ["--host", "127.0.0.1", "--generation-config", "vllm"]
OTHER = "{% for message in messages %}[{{ message['role'] }}] {{ message['content'] }}\n{% endfor %}"


def test_a_chatml_model_has_template_system_and_stop_and_answers_greedily(base: Path) -> None:
    assert modelfile(base, "你是电商客服助手。") == (
        "FROM ./model\n"
        'TEMPLATE """{{- range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n'
        '{{ end }}<|im_start|>assistant\n"""\n'
        'SYSTEM """你是电商客服助手。"""\n'
        "PARAMETER temperature 0\n"
        "PARAMETER repeat_penalty 1.0\n"
        'PARAMETER stop "<|im_end|>"\n'
    )


@pytest.mark.parametrize(
    ("template", "system"),
    [(CHATML, "你是助手。"), (CHATML.partition("{% endif %}")[2], ""), (OTHER, None), (None, None)],
)
def test_a_template_is_taken_for_chatml_where_it_writes_chatml(
    base: Path, template: str | None, system: str | None
) -> None:
    tokenizer = load_tokenizer(str(base))
    tokenizer.chat_template = template
    assert chatml_system(tokenizer) == system


def test_another_template_is_left_to_ollama_and_ends_with_the_model_s_own_token(base: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(str(base))
    tokenizer.chat_template = OTHER
    tokenizer.eos_token = "<|endoftext|>"
    tokenizer.save_pretrained(tmp_path)
    text = modelfile(tmp_path, "")
    assert "TEMPLATE" not in text
    assert "SYSTEM" not in text
    assert 'PARAMETER stop "<|endoftext|>"\n' in text


def test_without_a_system_message_the_one_of_the_template_stands(base: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(str(base))
    tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(tmp_path)
    assert 'SYSTEM """你是助手。"""\n' in modelfile(tmp_path, "")
    assert 'SYSTEM """别的"""\n' in modelfile(tmp_path, "别的")


def released(root: Path, name: str, rank: int = 2, **config: Any) -> UPath:
    """Write a released folder as far as vLLM's command looks at it."""
    folder = UPath(root) / name / "0123456789abcdef"
    (folder / "adapter").mkdir(parents=True)
    kept = {"peft_type": "LORA", "use_dora": False, "r": rank} | config
    (folder / "adapter" / "adapter_config.json").write_text(json.dumps(kept), encoding="utf-8")
    return folder


def called(script: str | None, folder: UPath, tmp_path: Path, *arguments: str, **environment: str) -> list[str]:
    """Run a script from elsewhere with a `vllm` that tells its arguments; return them."""
    assert script is not None
    path = folder / "vllm.sh"
    path.write_text(script, encoding="utf-8")
    programs = tmp_path / "bin"
    programs.mkdir(exist_ok=True)
    (programs / "vllm").write_text('#!/bin/sh\nfor word in "$@"; do echo "$word"; done\n', encoding="utf-8")
    (programs / "vllm").chmod(0o755)
    known = {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", **environment}
    told = subprocess.run(["sh", str(path), *arguments], env=known, cwd="/", capture_output=True, text=True, check=True)
    return told.stdout.splitlines()


def test_vllm_serves_the_release_and_the_champions_of_the_other_scenarios(tmp_path: Path) -> None:
    folder, older = released(tmp_path, "intent_routing"), released(tmp_path / "older", "intent_routing")
    champions = {
        "ticket_tools": released(tmp_path / "with space", "ticket_tools", rank=24),
        "intent_routing": older,
        "self_identity": released(tmp_path, "self_identity", use_dora=True),
        "shop_knowledge": released(tmp_path, "shop_knowledge", peft_type="PREFIX_TUNING"),
    }
    script = vllm_script("intent_routing", folder, "/models/base", champions)
    words = called(script, folder, tmp_path, "--port", "8001")
    modules = words[words.index("--lora-modules") + 1 : words.index("--host")]
    places = {name: Path(path) for name, _, path in (word.partition("=") for word in modules)}
    assert {name: path.resolve() for name, path in places.items()} == {
        "intent_routing": folder / "adapter",
        "ticket_tools": champions["ticket_tools"] / "adapter",
    }
    others = [word for word in words if word not in modules]
    assert others == [
        *("serve", "/models/base", "--enable-lora", "--max-loras", "2", "--max-lora-rank", "32", "--lora-modules"),
        *("--host", "127.0.0.1", "--generation-config", "vllm", "--port", "8001"),
    ]


def test_the_base_may_be_another_copy(tmp_path: Path) -> None:
    folder = released(tmp_path, "intent_routing")
    script = vllm_script("intent_routing", folder, "/models/base", {})
    assert called(script, folder, tmp_path, BASE="owner/model")[1] == "owner/model"
    assert called(script, folder, tmp_path)[1] == "/models/base"


@pytest.mark.parametrize("config", [{"use_dora": True}, {"peft_type": "PREFIX_TUNING"}])
def test_what_is_no_lora_module_is_served_merged_or_not_at_all(tmp_path: Path, config: dict[str, Any]) -> None:
    folder = released(tmp_path, "intent_routing", **config)
    champions = {"ticket_tools": released(tmp_path, "ticket_tools")}
    assert vllm_script("intent_routing", folder, "/models/base", champions) is None
    (folder / "merged").mkdir()
    words = called(vllm_script("intent_routing", folder, "/models/base", champions), folder, tmp_path)
    assert words[:4] == ["serve", str(folder / "merged"), "--served-model-name", "intent_routing"]
    assert words[4:] == GREEDY


def test_an_adapter_as_peft_writes_it_is_served(train: Train, tmp_path: Path) -> None:
    folder = UPath(tmp_path) / "released"
    train().rename(tmp_path / "adapter")
    folder.mkdir()
    (tmp_path / "adapter").rename(tmp_path / "released" / "adapter")
    words = called(vllm_script("s", folder, "base", {}), folder, tmp_path)
    assert words[-5:] == [f"s={folder / 'adapter'}", *GREEDY]
