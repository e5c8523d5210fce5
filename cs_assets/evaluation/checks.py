"""Check after the evaluation: tuning helped."""

from typing import Final

import dagster as dg

from cs_assets.check_results import check_result
from cs_assets.evaluation.assets import evaluation_report
from cs_assets.evaluation.gate import GATE_SPLIT, gate
from cs_assets.evaluation.reporting import EvaluationReport
from cs_assets.partitions import scenario_partitions

_WHAT_TO_DO: Final = (
    "Nothing is released. More test cases narrow the intervals (`counts` in scenario.yaml), more training samples or "
    "epochs raise the tuned model (run config of lora_adapter); worst_failures shows what it gets wrong."
)


@dg.asset_check(asset=evaluation_report, partitions_def=scenario_partitions)
def tuned_beats_base(
    context: dg.AssetCheckExecutionContext, evaluation_report: EvaluationReport
) -> dg.AssetCheckResult:
    """On unseen templates the lower end of the tuned model's interval lies above the upper end of the base's."""
    reasons = gate(evaluation_report, minimum_exact=0.0)
    complaints = [*reasons, _WHAT_TO_DO] if reasons else []
    metadata = {"split": GATE_SPLIT, "reasons": "; ".join(reasons) or "none"}
    return check_result(context, complaints, metadata, dg.AssetCheckSeverity.WARN)
