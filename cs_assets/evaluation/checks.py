"""Checks after the evaluation: tuning helped, and cost nothing that the base could do."""

from typing import Final

import dagster as dg
import polars as pl

from cs_assets.check_results import check_result
from cs_assets.evaluation.assets import evaluation_report, retention
from cs_assets.evaluation.gate import GATE_SPLIT, gain, kept
from cs_assets.evaluation.reporting import EvaluationReport
from cs_assets.evaluation.retention import summarise
from cs_assets.partitions import scenario_partitions

_WHAT_TO_DO: Final = (
    "Nothing is released. More test cases narrow the intervals (`counts` in scenario.yaml), more training samples or "
    "epochs raise the tuned model (run config of lora_adapter); worst_failures shows what it gets wrong."
)


@dg.asset_check(asset=evaluation_report, partitions_def=scenario_partitions)
def tuned_beats_base(
    context: dg.AssetCheckExecutionContext, evaluation_report: EvaluationReport
) -> dg.AssetCheckResult:
    """On unseen templates the tuned model's headline figure beats the base's: the intervals do not touch."""
    reasons = gain(evaluation_report, minimum=0.0)
    complaints = [*reasons, _WHAT_TO_DO] if reasons else []
    metadata = {"split": GATE_SPLIT, "reasons": "; ".join(reasons) or "none"}
    return check_result(context, complaints, metadata, dg.AssetCheckSeverity.WARN)


_WHAT_TO_KEEP: Final = (
    "Nothing is released. A lower learning rate, fewer epochs or a smaller rank (run config of lora_adapter) change "
    "the base less; metadata `forgotten` of retention shows what was lost; more `questions` narrow the interval."
)


@dg.asset_check(asset=retention, partitions_def=scenario_partitions)
def general_ability_is_kept(context: dg.AssetCheckExecutionContext, retention: pl.DataFrame) -> dg.AssetCheckResult:
    """On general questions the tuned model does not drop below the base beyond the interval of the difference."""
    summary = summarise(retention)
    reasons = kept(summary)
    complaints = [*reasons, _WHAT_TO_KEEP] if reasons else []
    return check_result(context, complaints, {"figures": str(summary)}, dg.AssetCheckSeverity.WARN)
