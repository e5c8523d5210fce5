"""The definitions load quickly: they are complete, valid, and import none of the heavy libraries."""

import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from cs_assets.definitions import build_defs, defs
from resources.llm import LLM

ROOT = Path(__file__).resolve().parent.parent
CHAIN = {
    "atomic_table": "atoms",
    "template_variants": "templates",
    "rendered_samples": "samples",
    "labelled_samples": "quality",
    "kto_judge": "quality",
    "filtered_samples": "quality",
    "training_splits": "training",
    "dataset_exports": "training",
    "lora_adapter": "training",
    "lora_sweep": "training",
    "joint_adapter": "training",
    "preference_pairs": "reward",
    "reward_model": "reward",
    "aligned_adapter": "alignment",
    "predictions": "evaluation",
    "retention": "evaluation",
    "evaluation_report": "evaluation",
    "release": "release",
    "leaderboard": "evaluation",
    "joint_comparison": "evaluation",
}


def test_every_asset_of_the_chain_has_group_kinds_owner_and_description() -> None:
    graph = defs.resolve_asset_graph()
    assert {key.to_user_string(): graph.get(key).group_name for key in graph.get_all_asset_keys()} == CHAIN
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.owners, key
        # Both names of a stage: what the code calls it, and what the field says in Chinese.
        assert re.match(r"\w*[\u4e00-\u9fff]+: \S", node.description or ""), key
        assert node.kinds, key


def test_all_partitioned_assets_share_one_partitions_definition() -> None:
    graph = defs.resolve_asset_graph()
    found = {graph.get(key).partitions_def for key in graph.get_all_asset_keys()} - {None}
    assert len(found) == 1


def test_the_budget_and_the_cache_of_the_llm_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"OPENAI_MODEL": "m", "OPENAI_API_KEY": "key-of-mine", "CS_LLM_MAX_CALLS": "7"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CS_LLM_CACHE", str(tmp_path / "answers.sqlite"))
    monkeypatch.delenv("CS_LLM_MAX_TOKENS", raising=False)
    seen: dict[str, int | None] = {}

    @dg.asset
    def asking(llm: LLM) -> None:
        llm.client()
        seen.update(max_calls=llm.max_calls, max_tokens=llm.max_tokens)

    resources = build_defs().resources or {}
    assert dg.materialize([asking], resources={"llm": resources["llm"]}).success
    assert seen == {"max_calls": 7, "max_tokens": None}
    assert (tmp_path / "answers.sqlite").exists()


def test_importing_the_definitions_loads_no_heavy_library() -> None:
    code = (
        "import sys, cs_assets.definitions; "
        "heavy = {'torch', 'transformers', 'trl', 'peft', 'mlflow', 'datasets', 'openai', 'optuna'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "[]"


def test_dagster_finds_the_definitions_valid() -> None:
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-m", "cs_assets.definitions"]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
