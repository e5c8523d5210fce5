"""What the judge is asked, how its scores become a decision, and how good they are.

Training and scoring with the model stand in `cs_assets.learning`; here is what surrounds them.
"""

import math
from collections.abc import Sequence
from typing import Final

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from cs_assets.families.base import Sample
from cs_assets.learning.kto import Verdict
from cs_assets.profiles import by_profile
from cs_assets.quality.reliability import calibration_error, reliability
from cs_assets.scenario import Scenario

WORDS: Final = ("正确", "错误")
_QUESTION: Final = "以上结果正确还是错误？"
_CHANCE: Final = 0.05  # the usual level of significance
CALIBRATION_FILE: Final = "calibration.json"


def judge_prompt(scenario: Scenario, sample: Sample) -> list[dict[str, str]]:
    """Return what the judge reads: instruction, input and answer, and the question."""
    *system, user = scenario.prompt(sample.message, sample.tools)
    return [*system, {"role": "user", "content": f"{user['content']}\n{sample.answer}\n{_QUESTION}"}]


class Scaling(BaseModel):
    """Platt's scaling: the probability is sigmoid(slope * log-odds + intercept). Without figures it changes nothing.

    (Platt 1999, Probabilistic Outputs for Support Vector Machines.)
    """

    model_config = ConfigDict(frozen=True)

    slope: float = Field(default=1.0, gt=0)
    intercept: float = 0.0

    def probabilities(self, scores: Sequence[float]) -> list[float]:
        """Return the probability that each answer is right, where good and corrupted ones are as many as measured."""
        return [1 / (1 + math.exp(-self.slope * _log_odds(score) - self.intercept)) for score in scores]


def _log_odds(score: float) -> float:
    # A float32 softmax rounds to 0 and 1 from about 16 on.
    clipped = min(max(score, 1e-7), 1 - 1e-7)
    return math.log(clipped / (1 - clipped))


def fit_scaling(labels: Sequence[bool], scores: Sequence[float]) -> Scaling:
    """Fit the scaling on labelled scores; where one label is missing, or it would turn the ranking around: none."""
    if len(set(labels)) < 2:
        return Scaling()
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression().fit([[_log_odds(score)] for score in scores], list(labels))
    slope = float(fitted.coef_[0, 0])
    return Scaling(slope=slope, intercept=float(fitted.intercept_[0])) if slope > 0 else Scaling()


class Calibration(BaseModel):
    """How a score becomes a decision.

    threshold: at or above it a sample is kept. precision, recall: on the calibration part at that threshold. p_value:
    the chance that a judge that knows nothing ranks the calibration part as well as this one. scaling: what the scores
    have been through.
    """

    model_config = ConfigDict(frozen=True)

    threshold: float
    precision: float
    recall: float
    p_value: float
    scaling: Scaling = Scaling()


class CalibrationSettings(BaseModel):
    """What the judge's threshold is chosen for."""

    wanted_precision: float = Field(default=0.95, description="Share of good samples among those kept.", gt=0, le=1)
    minimum_recall: float = Field(default=0.9, description="Share of good samples that must be kept.", gt=0, le=1)


class ScoringSettings(BaseModel):
    """How fast the judge reads; no result depends on it."""

    score_batch_size: int = by_profile(demo=8, full=64, description="Samples per forward pass.", ge=1)


def calibration_cases(scored: pl.DataFrame) -> pl.DataFrame:
    """Return the calibration part without what breaks a rule: in the filter the judge sees nothing of that kind."""
    return scored.filter((pl.col("part") == "calibration") & (pl.col("violations").list.len() == 0))


def calibrate(labels: Sequence[bool], scores: Sequence[float], settings: CalibrationSettings) -> Calibration:
    """Choose the threshold on labelled scores, those of `calibration_cases`.

    It is the lowest score at which precision is as wanted. Where that would throw away more good samples than
    `minimum_recall` allows, or no score reaches it, it is the most precise of those that do not. A judge whose ranking
    of good before bad may be chance (one-sided Mann-Whitney test), or was not put to the test because one label is
    missing, rejects nothing: its threshold is 0.
    """
    import numpy as np
    from scipy.stats import mannwhitneyu

    truth, raw = np.asarray(labels, dtype=bool), np.asarray(scores, dtype=np.float64)
    both = bool(truth.any() and not truth.all())
    p_value = float(mannwhitneyu(raw[truth], raw[~truth], alternative="greater").pvalue) if both else 1.0
    if p_value > _CHANCE:
        precision = float(truth.mean()) if len(truth) else 0.0
        return Calibration(threshold=0.0, precision=precision, recall=1.0, p_value=p_value)
    points = []
    for threshold in sorted(set(raw.tolist())):
        kept = raw >= threshold
        points.append((threshold, float(truth[kept].mean()), float((kept & truth).sum() / truth.sum())))
    allowed = [point for point in points if point[2] >= settings.minimum_recall]
    precise = [point for point in allowed if point[1] >= settings.wanted_precision]
    threshold, precision, recall = precise[0] if precise else max(allowed, key=lambda point: (point[1], -point[0]))
    return Calibration(threshold=threshold, precision=precision, recall=recall, p_value=p_value)


def calibrated(scored: pl.DataFrame, settings: CalibrationSettings) -> tuple[Calibration, pl.DataFrame]:
    """Fit scaling and threshold on the calibration part, and return them with the scores of all parts scaled.

    Args:
        scored: labelled samples with the judge's raw `score`.
        settings: what the threshold is chosen for.
    """
    cases = calibration_cases(scored)
    scaling = fit_scaling(cases["label"].to_list(), cases["score"].to_list())
    scaled = scored.with_columns(score=pl.Series(scaling.probabilities(scored["score"].to_list()), dtype=pl.Float64))
    cases = calibration_cases(scaled)
    found = calibrate(cases["label"].to_list(), cases["score"].to_list(), settings)
    return found.model_copy(update={"scaling": scaling}), scaled


def verdicts_to_learn(scenario: Scenario, labelled: pl.DataFrame) -> list[Verdict]:
    """Return the training part of the judge's labelled samples as it is trained on them."""
    rows = labelled.filter(pl.col("part") == "train").iter_rows(named=True)
    return [Verdict(prompt=judge_prompt(scenario, Sample.model_validate(r)), correct=r["label"]) for r in rows]


def with_unseen(tested: pl.DataFrame, held_out: Sequence[str]) -> pl.DataFrame:
    """Say in `unseen` whether the corruption family was held out; a good sample counts with its bad twin."""
    pair = pl.col("sample_id").str.strip_suffix("-bad")
    unseen = tested.filter(pl.col("corruption_family").is_in(list(held_out))).select(pair).to_series()
    return tested.with_columns(unseen=pair.is_in(unseen.implode()))


def judge_metrics(tested: pl.DataFrame, threshold: float) -> dict[str, float]:
    """Measure the judge on its test part.

    Args:
        tested: columns label, score, violations, corruption_family, unseen (bool: the family was held out; for a good
            sample that of its twin).
        threshold: from the calibration.

    Returns:
        auc, auc_seen, auc_unseen, auc_rules (rules alone: broken or not), auc_with_rules (rules first, then the judge),
        auc_after_rules (on what the rules let through), precision, recall, calibration_error, n. A figure that cannot
        be measured, because one label is missing, is left out.
    """
    rules = tested.with_columns(score=(pl.col("violations").list.len() == 0).cast(pl.Float64))
    figures = {
        "auc": auc(tested),
        "auc_seen": auc(tested.filter(~pl.col("unseen"))),
        "auc_unseen": auc(tested.filter("unseen")),
        "auc_rules": auc(rules),
        # As the filter uses it: the rules first, the judge on what they let through.
        "auc_with_rules": auc(tested.with_columns(score=pl.col("score") * rules["score"])),
        "auc_after_rules": auc(tested.filter(pl.col("violations").list.len() == 0)),
    }
    kept = tested.filter(pl.col("score") >= threshold)
    if kept.height:
        figures["precision"] = float(kept["label"].cast(pl.Float64).mean() or 0.0)  # type: ignore[arg-type]
    figures["recall"] = float(kept["label"].sum()) / max(float(tested["label"].sum()), 1.0)
    bins = reliability(tested["score"].to_list(), tested["label"].to_list())
    figures |= {"calibration_error": calibration_error(bins), "n": float(tested.height)}
    return {name: float(value) for name, value in figures.items() if value is not None}


def auc(table: pl.DataFrame) -> float | None:
    """Return the area under the ROC curve of `score` for `label`; None where only one label occurs."""
    from sklearn.metrics import roc_auc_score

    if table["label"].n_unique() < 2:
        return None
    return float(roc_auc_score(table["label"].to_list(), table["score"].to_list()))
