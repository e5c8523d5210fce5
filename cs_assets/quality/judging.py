"""What the judge is asked, how its scores become a decision, and how good they are.

Training and scoring with the model stand in `cs_assets.learning`; here is what surrounds them.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from cs_assets.families.base import Sample
from cs_assets.learning.conversations import Message
from cs_assets.learning.inference import answer_surprises, verdict_log_odds, verdict_probability
from cs_assets.learning.kto import TASK, Verdict
from cs_assets.profiles import by_profile
from cs_assets.quality.labelling import GATE
from cs_assets.quality.reliability import calibration_error, reliability
from cs_assets.scenario import Scenario
from cs_assets.statistics import SIGNIFICANT

WORDS: Final = ("正确", "错误")
_QUESTION: Final = "以上结果正确还是错误？"
CALIBRATION_FILE: Final = "calibration.json"
EVIDENCE: Final = ("verdict", "surprise")
_NO_SURPRISE: Final = 1e-4  # nats a token: below, an answer is as likely as can be


def judge_prompt(scenario: Scenario, sample: Sample) -> list[dict[str, str]]:
    """Return what the judge reads: instruction, input and answer, and the question."""
    *system, user = scenario.prompt(sample.message, sample.tools)
    return [*system, {"role": "user", "content": f"{user['content']}\n{sample.answer}\n{_QUESTION}"}]


class Scaling(BaseModel):
    """How what the judge reads off a sample becomes the probability that its answer is right.

    sigmoid(verdict * log-odds - surprise * log(surprise in nats) + intercept): Platt's scaling (Platt 1999,
    Probabilistic Outputs for Support Vector Machines) of two figures. Without cases to fit it to, the verdict stands as
    it is.
    """

    model_config = ConfigDict(frozen=True)

    verdict: float = Field(default=1.0, ge=0)
    surprise: float = Field(default=0.0, ge=0)
    intercept: float = 0.0

    def probabilities(self, read: pl.DataFrame) -> list[float]:
        """Return the probability that each answer is right, where good and corrupted ones are as many as measured.

        Args:
            read: columns `log_odds` and `surprise`, as `read_samples` returns them.
        """
        verdict, surprise = (evidence(read)[name].to_list() for name in EVIDENCE)
        return [
            verdict_probability(self.verdict * v + self.surprise * s + self.intercept)
            for v, s in zip(verdict, surprise, strict=True)
        ]


def evidence(read: pl.DataFrame) -> pl.DataFrame:
    """Return the figures that are weighed, each higher for a better answer; a surprise that was not read is 0."""
    # Surprises of good answers lie near zero, those of bad ones ten or a hundred times as high: the logarithm parts
    # them evenly.
    familiar = -(pl.col("surprise") + _NO_SURPRISE).log()
    return read.select(verdict="log_odds", surprise=familiar.fill_null(0.0))


def fit_scaling(labels: Sequence[bool], read: pl.DataFrame) -> Scaling:
    """Fit the scaling on labelled samples; what would turn the ranking around is left out.

    Where one label is missing, or nothing is left: none.
    """
    if len(set(labels)) < 2:
        return Scaling()
    from sklearn.linear_model import LogisticRegression

    figures, names = evidence(read), list(EVIDENCE)
    while names:
        fitted = LogisticRegression().fit(figures.select(names).to_numpy(), list(labels))
        slopes = dict(zip(names, fitted.coef_[0].tolist(), strict=True))
        if all(slope >= 0 for slope in slopes.values()) and any(slopes.values()):
            return Scaling(**{"verdict": 0.0} | slopes, intercept=float(fitted.intercept_[0]))
        names.remove(min(slopes, key=slopes.__getitem__))
    return Scaling()


class Calibration(BaseModel):
    """How a score becomes a decision.

    threshold: at or above it a sample is kept. precision, recall: on the calibration part at that threshold. p_value:
    the chance that a judge that knows nothing ranks the calibration part as well as this one. scaling: how what the
    judge reads becomes the score.
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


def after_rules(labelled: pl.DataFrame) -> pl.DataFrame:
    """Return what breaks no rule: in the filter the judge sees nothing else."""
    return labelled.filter(pl.col("violations").list.len() == 0)


def calibration_cases(scored: pl.DataFrame) -> pl.DataFrame:
    """Return the calibration part without what breaks a rule."""
    return after_rules(scored.filter(pl.col("part") == "calibration"))


def calibrate(labels: Sequence[bool], scores: Sequence[float], settings: CalibrationSettings) -> Calibration:
    """Choose the threshold on labelled scores, those of `calibration_cases`.

    It is the lowest score at which precision is as wanted. Where that would throw away more good samples than
    `minimum_recall` allows, or no score reaches it, it is the most precise of those that do not. A judge whose ranking
    of good before bad may be chance (one-sided Mann-Whitney test), or was not put to the test because one label is
    missing, rejects nothing: its threshold is 0.
    """
    import numpy as np

    truth, raw = np.asarray(labels, dtype=bool), np.asarray(scores, dtype=np.float64)
    p_value = chance_of(labels, scores)
    if p_value > SIGNIFICANT:
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


def chance_of(labels: Sequence[bool], scores: Sequence[float]) -> float:
    """Return the chance that scores that know nothing rank good before bad as well (Mann-Whitney, one-sided).

    Where one label is missing it is 1.
    """
    from scipy.stats import mannwhitneyu

    good, bad = ([x for label, x in zip(labels, scores, strict=True) if label is wanted] for wanted in (True, False))
    return float(mannwhitneyu(good, bad, alternative="greater").pvalue) if good and bad else 1.0


def read_samples(
    scenario: Scenario,
    samples: pl.DataFrame,
    base: str,
    judge: str,
    *,
    batch_size: int,
    report: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> pl.DataFrame:
    """Return the samples with what the judge reads off them.

    Args:
        scenario: of the samples.
        samples: columns message, tools, answer.
        base: folder of the base model.
        judge: folder of the judge.
        batch_size: samples at a time.
        report: is told what is being read, and (done, total) samples.

    Returns:
        Two more columns: `log_odds` of 正确 against 错误, and `surprise` of the answer in nats a token, null where the
        judge has not learnt the task.
    """
    from cs_assets.learning.models import load_causal_lm, load_tokenizer

    tokenizer = load_tokenizer(base)
    asked = [judge_prompt(scenario, Sample.model_validate(row)) for row in samples.iter_rows(named=True)]
    log_odds = verdict_log_odds(
        load_causal_lm(base, judge), tokenizer, asked, WORDS, batch_size=batch_size, report=partial(report, "verdicts")
    )
    task = Path(judge) / TASK
    surprises: list[float] | None = None
    if task.is_dir():
        model, told = load_causal_lm(base, str(task)), answered(scenario, samples)
        surprises = answer_surprises(model, tokenizer, told, batch_size=batch_size, report=partial(report, "surprises"))
    return samples.with_columns(
        log_odds=pl.Series(log_odds, dtype=pl.Float64),
        surprise=pl.Series(surprises, dtype=pl.Float64) if surprises else pl.lit(None, dtype=pl.Float64),
    )


def calibrated(read: pl.DataFrame, settings: CalibrationSettings) -> tuple[Calibration, pl.DataFrame]:
    """Fit scaling and threshold on the calibration part, and return them with the `score` of all parts.

    Args:
        read: labelled samples as `read_samples` returns them.
        settings: what the threshold is chosen for.
    """
    cases = calibration_cases(read)
    scaling = fit_scaling(cases["label"].to_list(), cases)
    scored = read.with_columns(score=pl.Series(scaling.probabilities(read), dtype=pl.Float64))
    cases = calibration_cases(scored)
    found = calibrate(cases["label"].to_list(), cases["score"].to_list(), settings)
    return found.model_copy(update={"scaling": scaling}), scored


def verdicts_to_learn(scenario: Scenario, labelled: pl.DataFrame) -> list[Verdict]:
    """Return the training part of the judge's labelled samples as it is trained on them."""
    return [
        Verdict(
            prompt=judge_prompt(scenario, Sample.model_validate(row)),
            correct=row["label"],
            twins=row["sample_id"].removesuffix("-bad") if row["corruption_family"] != GATE else "",
        )
        for row in labelled.filter(pl.col("part") == "train").iter_rows(named=True)
    ]


def task_to_learn(scenario: Scenario, labelled: pl.DataFrame) -> list[list[Message]]:
    """Return the good samples of the training part as the judge learns the task from them."""
    return answered(scenario, labelled.filter(pl.col("label"), part="train"))


def answered(scenario: Scenario, samples: pl.DataFrame) -> list[list[Message]]:
    """Return each sample's prompt with its answer as one message, right or wrong, whole or broken."""
    return [
        [*scenario.prompt(message, tools), {"role": "assistant", "content": answer}]
        for message, tools, answer in samples.select("message", "tools", "answer").iter_rows()
    ]


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
        Over all: auc, auc_seen, auc_unseen, auc_rules (rules alone: broken or not), auc_with_rules (rules first, then
        the judge), n. On what the rules let through, which is what the judge decides on: auc_after_rules,
        p_value_after_rules (see `chance_of`), n_after_rules, precision, recall, each also with _seen and _unseen, and
        calibration_error. A figure that cannot be measured, because a label is missing, is left out.
    """
    passed = after_rules(tested)
    rules = tested.with_columns(score=(pl.col("violations").list.len() == 0).cast(pl.Float64))
    figures = {
        "auc": auc(tested),
        "auc_seen": auc(tested.filter(~pl.col("unseen"))),
        "auc_unseen": auc(tested.filter("unseen")),
        "auc_rules": auc(rules),
        # As the filter uses it: the rules first, the judge on what they let through.
        "auc_with_rules": auc(tested.with_columns(score=pl.col("score") * rules["score"])),
        "auc_after_rules": auc(passed),
    }
    families = {"": passed, "_seen": passed.filter(~pl.col("unseen")), "_unseen": passed.filter("unseen")}
    for name, cases in families.items():
        kept, good = cases.filter(pl.col("score") >= threshold)["label"].to_list(), sum(cases["label"].to_list())
        figures[f"precision{name}"] = sum(kept) / len(kept) if kept else None
        figures[f"recall{name}"] = sum(kept) / good if good else None
    labels, scores = passed["label"].to_list(), passed["score"].to_list()
    figures |= {
        "calibration_error": calibration_error(reliability(scores, labels)),
        "p_value_after_rules": chance_of(labels, scores),
        "n": tested.height,
        "n_after_rules": passed.height,
    }
    return {name: float(value) for name, value in figures.items() if value is not None}


def added_to_rules(metrics: Mapping[str, float]) -> str:
    """Say in one sentence what the judge adds to the rules.

    Args:
        metrics: those of `judge_metrics`, and the threshold.
    """
    if not {"auc_rules", "auc_with_rules"} <= metrics.keys():
        return "What the judge adds to the rules was not measured: its test part has samples of one label only."
    alone, both, chance = (metrics[name] for name in ("auc_rules", "auc_with_rules", "p_value_after_rules"))
    figures = f"on {metrics['n']:.0f} test samples the rules alone reach AUC {alone:.3f}, rules and judge {both:.3f}"
    if metrics["threshold"] == 0:
        return f"The judge adds nothing to the rules, for it rejects nothing: {figures}."
    if both <= alone:
        return f"The judge adds nothing to the rules: {figures}."
    if chance > SIGNIFICANT:
        return f"The judge adds nothing to the rules that could not be chance (p = {chance:.2f}): {figures}."
    return f"The judge adds {both - alone:.3f} to the rules: {figures}."


def auc(table: pl.DataFrame) -> float | None:
    """Return the area under the ROC curve of `score` for `label`; None where only one label occurs."""
    from sklearn.metrics import roc_auc_score

    if table["label"].n_unique() < 2:
        return None
    return float(roc_auc_score(table["label"].to_list(), table["score"].to_list()))
