"""The gate of a release: what a tuned model must have shown before it goes out."""

from typing import Final

from cs_assets.evaluation.reporting import EvaluationReport
from cs_assets.evaluation.retention import Retention

GATE_SPLIT: Final = "test_template_ood"


def gate(report: EvaluationReport, minimum_exact: float) -> list[str]:
    """Return why the tuned model may not go out; empty when it may.

    On unseen templates: the lower end of the tuned model's interval must lie above the upper end of the base's, and its
    mean must reach `minimum_exact`. On general questions it must not have dropped beyond the interval of the drop.
    """
    return [*gain(report, minimum_exact), *kept(report.retention)]


def kept(retention: Retention | None) -> list[str]:
    """Return why the tuned model may not go out for what it has forgotten; empty when it may."""
    if retention is None:
        return ["no figures on general questions; materialize `retention`"]
    return [f"general questions: the tuned model dropped: {retention}"] if retention.dropped else []


def gain(report: EvaluationReport, minimum_exact: float) -> list[str]:
    """Return why the tuned model may not go out for what it has learnt; empty when it may."""
    base, tuned = report.cell(GATE_SPLIT, "base"), report.cell(GATE_SPLIT, "tuned")
    if base is None or tuned is None:
        return [f"no base or tuned figures on {GATE_SPLIT}"]
    reasons = []
    if tuned.exact.low <= base.exact.high:
        reasons.append(f"exact match on {GATE_SPLIT}: tuned {tuned.exact} does not clear base {base.exact}")
    if tuned.exact.mean < minimum_exact:
        reasons.append(f"exact match on {GATE_SPLIT}: {tuned.exact.mean:.3f} is below the wanted {minimum_exact}")
    return reasons
