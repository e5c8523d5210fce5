"""Whether what the gate looked at belongs to the model that would go out.

Any asset may be materialized alone, so report, answers, splits and base in the store need not be those of the model,
nor scenario.yaml the one it was trained with. Here they are compared with each other and with what is kept of its
training; whether its figures are good is the business of the gate.

    mismatches(scenario, lora_adapter, base, report, predictions, Path("address_extraction.parquet"))    # []
"""

import sys
from pathlib import Path
from typing import Final

import polars as pl

from cs_assets.evaluation.predicting import test_cases
from cs_assets.evaluation.reporting import EvaluationReport, answered_by, base_metric
from cs_assets.scenario import Scenario
from cs_assets.training.training_data import training_data
from resources.base_model import BaseModelFolder
from resources.store import ModelFolder, fingerprint

_CASE: Final = ("split", "sample_id", "message", "answer")
_COMPARED: Final = ("base", "tuned")
_ASK_AGAIN: Final = "materialize predictions and evaluation_report again"


def mismatches(
    scenario: Scenario,
    model: ModelFolder,
    base: BaseModelFolder,
    report: EvaluationReport,
    predictions: pl.DataFrame,
    splits: Path,
) -> list[str]:
    """Return what does not belong to a model; empty where all does. Whose the report is, the gate asks.

    What was not kept at its training (see `ModelFolder`) is not compared.

    Args:
        scenario: as it is today; card, Modelfile and clients take its prompt.
        model: what would go out.
        base: what its base's name stands for today.
        report: what was measured.
        predictions: the table of `predictions`.
        splits: the Parquet file of `training_splits`.
    """
    reasons, data = [], pl.read_parquet(splits)
    tuned = predictions.filter(pl.col("model") == "tuned").sort("split", "sample_id")
    if (answered := answered_by(predictions)) != model.fingerprint:
        whose = f"of the adapter {answered[:16]}" if answered else "of no adapter, or of several"
        reasons.append(f"the predictions are {whose}, not of {model.fingerprint[:16]}; {_ASK_AGAIN}")
    if not _reports(report, predictions):
        reasons.append("the report is of other answers than predictions holds; materialize evaluation_report again")
    if not tuned.select(_CASE).equals(test_cases(data).select(_CASE)):
        reasons.append(f"the predictions are not of the test messages that training_splits holds; {_ASK_AGAIN}")
    if model.data and not _learned(model.data, splits):
        reasons.append("it learned from other samples than training_splits holds; materialize lora_adapter again")
    if model.base_identity and model.base_identity != base.identity:
        reasons.append(
            f"the base {base.name} is {base.identity} now, and it was trained on {model.base_identity}; bring that one "
            "back, or materialize lora_adapter again"
        )
    if other := _with_another_prompt(scenario, data):
        reasons.append(
            "scenario.yaml gives another prompt (`system`, `instruction`) than training_splits holds in "
            f"{', '.join(other)}; undo the change, or materialize rendered_samples and all that follows again"
        )
    return reasons


def _reports(report: EvaluationReport, predictions: pl.DataFrame) -> bool:
    """Tell whether what a report says of base and tuned model are the figures of these answers."""
    metrics = sorted({report.headline, base_metric(report.headline)})
    told = {
        (cell.model, cell.split): [(figure.n, round(figure.mean, 9)) for figure in map(cell.figure, metrics)]
        for cell in report.cells
        if cell.model in _COMPARED
    }
    answered = predictions.filter(pl.col("model").is_in(_COMPARED)).group_by("model", "split")
    means = answered.agg(pl.len(), pl.col(metrics).mean().round(9))
    return told == {(model, split): [(n, mean) for mean in found] for model, split, n, *found in means.iter_rows()}


def _with_another_prompt(scenario: Scenario, splits: pl.DataFrame) -> list[str]:
    """Return the splits whose conversations do not begin as the scenario asks today, by the first case of each."""
    first = splits.unique("split", keep="first", maintain_order=True).sort("split")
    found = []
    for split, message, tools, messages in first.select("split", "message", "tools", "messages").iter_rows():
        prompt = scenario.prompt(message, tools)
        if messages[: len(prompt)] != prompt:
            found.append(split)
    return found


def _learned(data: str, splits: Path) -> bool:
    """Tell whether a model whose `data` this is learned from these splits, from a stream of them or from memory."""
    return any(data == fingerprint(data=training_data(splits, most=most).content) for most in (0, sys.maxsize))
