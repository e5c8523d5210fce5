"""A release folder holds what its method allows, under names that mean something elsewhere."""

import json
from pathlib import Path

import polars as pl
import pytest
from pydantic import ValidationError
from upath import UPath

from cs_assets.learning.models import Form, trained_form
from cs_assets.release.champion import CASES_FILE
from cs_assets.release.model_card import Origin
from cs_assets.release.packaging import (
    Package,
    Release,
    ReleaseSettings,
    base_identity_of,
    write_card,
    write_vllm_script,
)
from cs_assets_tests.release.conftest import Train, write_loud_model

CASES = pl.DataFrame({"split": ["test_iid"], "exact": [1.0]})
EVERY = {"README.md", "test_cases.parquet"}


def filled(trained: Path, base: Path, folder: Path, form: Form, merged: bool) -> Path:
    """Return the folder, filled and with what is written into it later."""
    folder.mkdir()
    origin = Origin(
        base="owner/base", on_hub=True, quantised=False, licence="MIT", form=form, merged=merged, training={}
    )
    Package("你是助手。", trained, str(base), origin, CASES).fill(folder)
    write_card(UPath(folder), "卡片")
    write_vllm_script("address_extraction", UPath(folder), str(base), {})
    return folder


@pytest.mark.parametrize(
    ("method", "form", "merged", "holds"),
    [
        ("lora", "lora", True, {"adapter", "merged", "Modelfile", "vllm.sh"}),
        ("lora", "lora", False, {"adapter", "vllm.sh"}),
        ("dora", "lora", False, {"adapter"}),
        ("prefix", "prefix", False, {"adapter"}),
        ("full", "full", True, {"merged", "Modelfile", "vllm.sh"}),
    ],
)
def test_a_folder_holds_what_its_method_allows(
    base: Path, train: Train, tmp_path: Path, method: str, form: Form, merged: bool, holds: set[str]
) -> None:
    folder = filled(train(method), base, tmp_path / "released", form, merged)
    assert {path.name for path in folder.iterdir()} == EVERY | holds
    assert (folder / "README.md").read_text(encoding="utf-8") == "卡片"
    assert all(path.stat().st_mode & 0o004 for path in folder.rglob("*"))
    assert pl.read_parquet(folder / CASES_FILE).equals(CASES)
    if "adapter" in holds:
        assert trained_form(folder / "adapter") == form
    if "merged" in holds:
        from transformers import AutoModelForCausalLM

        assert AutoModelForCausalLM.from_pretrained(folder / "merged").config.model_type == "qwen2"
        assert (folder / "Modelfile").read_text(encoding="utf-8").startswith("FROM ./merged\n")
    if "vllm.sh" in holds:
        assert (folder / "vllm.sh").stat().st_mode & 0o111


def test_what_was_trained_goes_out_without_the_store_s_own_files_and_names_the_base_as_others_know_it(
    base: Path, train: Train, tmp_path: Path
) -> None:
    trained = train()
    (trained / "mlflow_run.txt").write_text("http://127.0.0.1:5000/#/runs/1", encoding="utf-8")
    adapter = filled(trained, base, tmp_path / "released", "lora", False) / "adapter"
    assert {path.name for path in trained.iterdir()} - {path.name for path in adapter.iterdir()} == {
        *("manifest.json", "mlflow_run.txt", "README.md")
    }
    weights = "adapter_model.safetensors"
    assert (adapter / weights).read_bytes() == (trained / weights).read_bytes()
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] == "owner/base"
    assert str(tmp_path) not in json.dumps(config)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_merged_model_answers_greedily_whatever_the_base_ships(train: Train, tmp_path: Path, method: str) -> None:
    from transformers import GenerationConfig

    of = write_loud_model(tmp_path / "base")
    shipped = {"do_sample": True, "temperature": 0.7, "top_p": 0.8, "top_k": 20, "repetition_penalty": 1.1}
    GenerationConfig(**shipped, eos_token_id=2, pad_token_id=0).save_pretrained(of)
    form: Form = "full" if method == "full" else "lora"
    folder = filled(train(method, of=of), of, tmp_path / "released", form, True)
    config = json.loads((folder / "merged" / "generation_config.json").read_text(encoding="utf-8"))
    assert {name: config[name] for name in ("do_sample", "repetition_penalty", "eos_token_id", "pad_token_id")} == {
        **{"do_sample": False, "repetition_penalty": 1.0},
        **{"eos_token_id": 2, "pad_token_id": 0},
    }
    assert not {"temperature", "top_p", "top_k"} & set(config)


def test_which_base_a_released_folder_was_made_on_is_read_from_its_manifest(tmp_path: Path) -> None:
    assert base_identity_of(UPath(tmp_path)) == ""
    manifest = {"base": "owner/model", "fingerprint": "f", "metrics": {}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert base_identity_of(UPath(tmp_path)) == ""
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"base_identity": "owner/model@1"}), encoding="utf-8")
    assert base_identity_of(UPath(tmp_path)) == "owner/model@1"


def test_a_decision_cannot_be_changed_afterwards() -> None:
    release = Release(passed=False, reasons=["no gain"])
    with pytest.raises(ValidationError, match="frozen"):
        release.passed = True


@pytest.mark.parametrize("minimum", [-0.1, 1.1])
def test_the_wanted_figure_is_a_share(minimum: float) -> None:
    with pytest.raises(ValidationError, match="minimum"):
        ReleaseSettings(minimum=minimum)
