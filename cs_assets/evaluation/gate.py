"""The gate of a release: what a tuned model must have shown before it goes out.

Each rule returns the reasons against a release, in words. The checks of this stage tell two of them as soon as they can
be told; `gate` asks for all.

    gate(report, adapter="c0ffee...", splits=training_splits, filtered=filtered_samples, minimum=0.0)    # [] or reasons
"""

from collections.abc import Mapping
from typing import Final

import polars as pl

from cs_assets.evaluation.reporting import EvaluationReport, base_metric
from cs_assets.evaluation.retention import Retention
from cs_assets.quality.filtering import too_few_kept
from cs_assets.statistics import SIGNIFICANT
from cs_assets.training.splits import REAL_STYLE, leakage_proof, leaks

GATE_SPLIT: Final = "test_template_ood"
_CHANCE: Final = 0.5  # AUC of a judge that knows nothing
# Were all of so few lost, the interval of the drop would still reach zero: (1 - 3/n)^n of the resamples hold none.
_TOO_FEW_KNOWN: Final = 3


def gate(
    report: EvaluationReport, *, adapter: str, splits: pl.DataFrame, filtered: pl.DataFrame, minimum: float
) -> list[str]:
    """Return why the tuned model may not go out; empty when it may.

    Args:
        report: what was measured.
        adapter: the fingerprint of what would go out.
        splits: what it was trained and tested on.
        filtered: what rules and judge made of the samples.
        minimum: what the mean of the headline figure must reach.
    """
    return [
        *same_adapter(report, adapter),
        *gain(report, minimum),
        *kept(report.retention),
        *judged(report.judge, filtered),
        *leaks(leakage_proof(splits)),
    ]


def same_adapter(report: EvaluationReport, adapter: str) -> list[str]:
    """Return why the report says nothing of this adapter; empty where its figures are of it."""
    if report.adapter == adapter:
        return []
    whose = f"of the adapter {report.adapter[:16]}" if report.adapter else "of no adapter, or of several"
    return [
        f"the report is {whose}, not of {adapter[:16]}; materialize predictions, retention and evaluation_report again"
    ]


def gain(report: EvaluationReport, minimum: float) -> list[str]:
    """Return why the tuned model may not go out for what it has learnt; empty when it may.

    On unseen templates, in the headline metric of its family: the lower end of the tuned model's interval must lie
    above the upper end of the base's, the paired test of the same figures must tell the two apart (the bootstrap has no
    width where all cases agree), and the mean must reach `minimum`. What people have written must not be answered worse
    than by the base, however well the twin's messages are. What is compared of the base, `base_metric` says.
    """
    base, tuned = report.cell(GATE_SPLIT, "base"), report.cell(GATE_SPLIT, "tuned")
    if base is None or tuned is None:
        return [f"no base or tuned figures on {GATE_SPLIT}"]
    title, after = report.headline_title, tuned.figure(report.headline)
    before, p = base.figure(base_metric(report.headline)), report.gain_p_values.get(GATE_SPLIT)
    reasons = []
    if after.low <= before.high:
        reasons.append(f"{title} on {GATE_SPLIT}: tuned {after} does not clear base {before}")
    if p is None:
        reasons.append(f"the report has no p-value of the gain on {GATE_SPLIT}; materialize evaluation_report again")
    elif p >= SIGNIFICANT:
        reasons.append(f"{title} on {GATE_SPLIT}: {after.n} cases do not tell tuned from base, p = {p:.2g}")
    if after.mean < minimum:
        reasons.append(f"{title} on {GATE_SPLIT}: {after.mean:.3f} is below the wanted {minimum}")
    return reasons + _worse_on_what_people_wrote(report)


def _worse_on_what_people_wrote(report: EvaluationReport) -> list[str]:
    base, tuned = report.cell(REAL_STYLE, "base"), report.cell(REAL_STYLE, "tuned")
    if base is None or tuned is None:
        return []
    before, after = base.figure(base_metric(report.headline)), tuned.figure(report.headline)
    worse = after.mean < before.mean
    return [f"{report.headline_title} on {REAL_STYLE}: tuned {after}, below base {before}"] if worse else []


def kept(retention: Retention | None) -> list[str]:
    """Return why the tuned model may not go out for what it has forgotten; empty when it may.

    On general questions it must not have dropped beyond the interval of the drop, and the base must know enough for a
    drop to be seen.
    """
    if retention is None:
        return ["no figures on general questions; materialize `retention`"]
    known = round(retention.base.mean * retention.base.n)
    if known <= _TOO_FEW_KNOWN:
        return [f"general questions: the base answers {known} of {retention.base.n}, too few to see a drop; ask more"]
    return [f"general questions: the tuned model dropped: {retention}"] if retention.dropped else []


def judged(judge: Mapping[str, float], filtered: pl.DataFrame) -> list[str]:
    """Return why what the judge chose is no ground to train on; empty where it is.

    A judge whose threshold is 0 chooses nothing, and the rules alone do. One that chooses must rank what the rules let
    through, for it decides on nothing else.
    """
    reasons = too_few_kept(filtered)
    measured, p = judge.get("auc_after_rules", 0.0), judge.get("p_value_after_rules", 1.0)
    if judge.get("threshold", 0.0) > 0 and (measured <= _CHANCE or p >= SIGNIFICANT):
        reasons.append(
            "the judge rejects samples, and on those of its test that break no rule it cannot be told from chance: "
            f"AUC {measured:.3f}, p = {p:.2g}"
        )
    return reasons
