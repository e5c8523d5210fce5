"""Check after the evaluation: tuning helped."""

import dagster as dg

from cs_assets.evaluation.assets import evaluation_report
from cs_assets.evaluation.gate import GATE_SPLIT, gate
from cs_assets.evaluation.reporting import Report
from cs_assets.partitions import scenario_partitions


@dg.asset_check(asset=evaluation_report, partitions_def=scenario_partitions)
def tuned_beats_base(evaluation_report: Report) -> dg.AssetCheckResult:
    """On unseen templates the tuned model is better than the base by more than the intervals overlap."""
    reasons = gate(evaluation_report, minimum_exact=0.0)
    return dg.AssetCheckResult(
        passed=not reasons,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"split": GATE_SPLIT, "reasons": reasons},
    )
