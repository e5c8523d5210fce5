"""The folder that goes out.

    adapter/             what was trained: LoRA weights or a prefix, with tokenizer and chat template
    merged/              base and adapter as one model that transformers, vLLM and Ollama load by itself
    README.md            the model card
    Modelfile            for `ollama create`, where there is `merged/`
    vllm.sh              serves it, and the champions of other scenarios on the same base
    test_cases.parquet   what it answered on the test cases, for the comparison with the next release

Where every weight was trained there is nothing to merge: `merged/` is what was trained, and `adapter/` is missing. A
prefix cannot be merged. The card and `vllm.sh` tell what is known today, so they are written into the finished folder,
in the place of older ones. That the rest appears whole or not at all is the store's business.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl
from pydantic import BaseModel, ConfigDict, Field
from upath import UPath

from cs_assets.learning.models import save_merged
from cs_assets.profiles import by_profile
from cs_assets.release.champion import CASES_FILE
from cs_assets.release.model_card import Origin
from cs_assets.release.serving import ADAPTER, MERGED, VLLM_SCRIPT, modelfile, vllm_script
from resources.files import write_whole
from resources.model_folders import MANIFEST

CARD: Final = "README.md"
# What a base's generation config sets besides the greedy choice that a model was tested with.
_SAMPLING: Final = ("temperature", "top_p", "top_k", "min_p")
# What lies beside trained weights and is of no use elsewhere; README.md is PEFT's empty card.
_STAYS: Final = (MANIFEST, "mlflow_run.txt", "README.md")


class ReleaseSettings(BaseModel):
    """What a release must reach, and holds."""

    minimum: float = Field(
        default=0.0,
        description="What the headline figure on unseen templates must reach, besides beating the base's.",
        ge=0,
        le=1,
    )
    merge: bool = by_profile(
        demo=False,
        full=True,
        description="Write the merged model and its Modelfile too. For each release that is kept, a 0.5B model takes "
        "1 GB of disk (2 GB if the base is in float32), and 2 GB of memory while it is made; the adapter alone 35 MB.",
    )


class Release(BaseModel):
    """What was decided.

    passed: the gate is open. champion: it has the alias. reasons: why the gate is closed, or why the alias stays where
    it was. version: the MLflow model version.
    """

    model_config = ConfigDict(frozen=True)

    passed: bool
    reasons: list[str]
    folder: str = ""
    registered_model: str = ""
    version: str = ""
    champion: bool = False


@dataclass(frozen=True)
class Package:
    """What a released folder is made of.

    Attributes:
        system: its system message.
        trained: folder of what was trained.
        base: folder of the base model.
        origin: what is known of these two.
        cases: the test cases with answers and scores.
    """

    system: str
    trained: Path
    base: str
    origin: Origin
    cases: pl.DataFrame

    def fill(self, folder: Path) -> None:
        """Write all of it into `folder`."""
        adapter, merged = folder / ADAPTER, folder / MERGED
        whole = self.origin.form == "full"
        shutil.copytree(self.trained, merged if whole else adapter, ignore=shutil.ignore_patterns(*_STAYS))
        if not whole:
            _rename_base(adapter, self.origin.base)
            if self.origin.merged:
                save_merged(self.base, str(self.trained), merged)
        if self.origin.merged:
            _make_greedy(merged)
            (folder / "Modelfile").write_text(modelfile(merged, self.system), encoding="utf-8")
        for weights in folder.rglob("*.safetensors"):
            weights.chmod(0o644)  # as safetensors writes them, nobody else can read them, and a server is somebody else
        self.cases.write_parquet(folder / CASES_FILE)


def base_identity_of(folder: UPath) -> str:
    """Return which base a released folder was made on, empty where the folder is gone or does not tell."""
    path = folder / MANIFEST
    return json.loads(path.read_text(encoding="utf-8")).get("base_identity", "") if path.is_file() else ""


def write_card(folder: UPath, card: str) -> None:
    """Write the model card into a released folder, in the place of an older one."""
    write_whole(folder / CARD, lambda path: path.write_text(card, encoding="utf-8"))


def write_vllm_script(name: str, folder: UPath, base: str, champions: Mapping[str, UPath]) -> None:
    """Write `vllm.sh` into a released folder, in the place of an older one, where vLLM can serve it."""
    script = vllm_script(name, folder, base, champions)
    if script is None:
        return

    def write(path: Path) -> None:
        path.write_text(script, encoding="utf-8")
        path.chmod(0o755)

    write_whole(folder / VLLM_SCRIPT, write)


def _make_greedy(merged: Path) -> None:
    """Let a merged model answer as it was tested, without the penalty on repetitions that many bases ship."""
    path = merged / "generation_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    kept = {name: value for name, value in config.items() if name not in _SAMPLING}
    greedy = kept | {"do_sample": False, "repetition_penalty": 1.0}
    path.write_text(json.dumps(greedy, indent=2) + "\n", encoding="utf-8")


def _rename_base(adapter: Path, known_as: str) -> None:
    """Put the name of the base that others know in the place of a path of this machine."""
    path = adapter / "adapter_config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | {"base_model_name_or_path": known_as}
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False), encoding="utf-8")
