"""A release: its model card, and the folder that goes out."""

import shutil
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from cs_assets.evaluation.reporting import EvaluationReport, markdown
from cs_assets.profiles import by_profile


class ReleaseSettings(BaseModel):
    """What a release holds."""

    merge: bool = by_profile(
        demo=False, full=True, description="Write the merged model too (the size of the base), not the adapter alone."
    )
    minimum_exact: float = Field(default=0.0, description="Exact match that the tuned model must reach.", ge=0, le=1)


class Release(BaseModel):
    """What was decided. `version` is the MLflow model version; `champion` says whether it has the alias."""

    model_config = ConfigDict(frozen=True)

    passed: bool
    reasons: list[str]
    folder: str = ""
    registered_model: str = ""
    version: str = ""
    champion: bool = False


def model_card(report: EvaluationReport, title: str, base: str, licence: str, samples: int) -> str:
    """Return the model card as Markdown."""
    return f"""# {title} (`{report.scenario}`)

A LoRA adapter on `{base}` ({licence}), trained by cs-assets on {samples} synthetic samples whose ground truth comes
from their atoms.

{markdown(report)}

Intervals: 95 % bootstrap. The test messages are synthetic as well; try real ones before relying on it.

Use: load the base with `transformers`, then `peft.PeftModel.from_pretrained(base, <this folder>)`. With vLLM:
`vllm serve <base> --enable-lora --lora-modules {report.scenario}=<this folder>`.
"""


def pack(adapter: str, card: str, folder: Path) -> None:
    """Copy the adapter's files and write the card into `folder`."""
    for path in sorted(Path(adapter).iterdir()):
        if path.is_file() and path.name != "manifest.json":
            shutil.copy2(path, folder / path.name)
    (folder / "README.md").write_text(card, encoding="utf-8")


def merge(base: str, adapter: str, folder: Path) -> None:
    """Write base and adapter as one model into `folder`."""
    from cs_assets.learning.models import load_causal_lm, load_tokenizer

    load_causal_lm(base, adapter).save_pretrained(folder)
    load_tokenizer(base).save_pretrained(folder)
