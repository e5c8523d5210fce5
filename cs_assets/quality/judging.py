"""What the judge is asked, how its scores become a decision, and how good they are.

Training and scoring with the model stand in `cs_assets.learning`; here is what surrounds them.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from cs_assets.families.base import Sample
from cs_assets.learning.conversations import Message, prompt_completion_pairs
from cs_assets.learning.inference import ReportBatch, answer_surprises, verdict_log_odds, verdict_probability
from cs_assets.learning.kto import TASK, Verdict
from cs_assets.profiles import by_profile
from cs_assets.quality.labelling import ALONE
from cs_assets.quality.reliability import calibration_error, reliability
from cs_assets.scenario import Scenario
from cs_assets.statistics import SIGNIFICANT, area_under_curve

WORDS: Final = ("正确", "错误")
_QUESTION: Final = "以上结果正确还是错误？"
CALIBRATION_FILE: Final = "calibration.json"
# Of what a judge reads and how; raised where a scaling and a threshold no longer fit what is read.
VERSION: Final = 2
EVIDENCE: Final = ("verdict", "surprise")
# How figures by corruption family end, and whose they are.
FAMILIES: Final = {"": pl.lit(True), "_seen": ~pl.col("unseen"), "_unseen": pl.col("unseen")}
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

    @property
    def weighed(self) -> list[str]:
        """Names of the `EVIDENCE` that has a weight; the other need not be read."""
        return [name for name in EVIDENCE if getattr(self, name)]

    def probabilities(self, readings: pl.DataFrame) -> list[float]:
        """Return the probability that each answer is right, where good and corrupted ones are as many as measured.

        Args:
            readings: columns `log_odds` and `surprise`, as `read_samples` returns them.
        """
        verdict, surprise = (evidence(readings)[name].to_list() for name in EVIDENCE)
        return [
            verdict_probability(self.verdict * v + self.surprise * s + self.intercept)
            for v, s in zip(verdict, surprise, strict=True)
        ]


def evidence(readings: pl.DataFrame) -> pl.DataFrame:
    """Return the figures that are weighed, each higher for a better answer; one that was not read is 0."""
    # Surprises of good answers lie near zero, those of bad ones ten or a hundred times as high: the logarithm parts
    # them evenly.
    familiar = -(pl.col("surprise") + _NO_SURPRISE).log()
    return readings.select(verdict=pl.col("log_odds").fill_null(0.0), surprise=familiar.fill_null(0.0))


def fit_scaling(labels: Sequence[bool], readings: pl.DataFrame, figures: Sequence[str] = EVIDENCE) -> Scaling:
    """Fit the scaling on labelled samples; what would turn the ranking around is left out.

    The figures are standardised first, so that the penalty that keeps a fit to few cases finite is the same for both.
    Where one label is missing, or nothing is left: no scaling.

    Args:
        labels: whether each answer is right.
        readings: as `read_samples` returns them.
        figures: names of the `EVIDENCE` that may get a weight.
    """
    if len(set(labels)) < 2:
        return Scaling()
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    values, names = evidence(readings), list(figures)
    while names:
        scaler = StandardScaler().fit(values.select(names).to_numpy())
        fitted = LogisticRegression().fit(scaler.transform(values.select(names).to_numpy()), list(labels))
        slopes = dict(zip(names, fitted.coef_[0].tolist(), strict=True))
        if all(slope >= 0 for slope in slopes.values()) and any(slopes.values()):
            raw = dict(zip(names, (fitted.coef_[0] / scaler.scale_).tolist(), strict=True))
            intercept = fitted.intercept_[0] - sum(
                raw[name] * mean for name, mean in zip(names, scaler.mean_, strict=True)
            )
            return Scaling(**{"verdict": 0.0} | raw, intercept=float(intercept))
        names.remove(min(slopes, key=slopes.__getitem__))
    return Scaling()


class Calibration(BaseModel):
    """How a score becomes a decision.

    threshold: at or above it a sample is kept. precision, recall: on the calibration part at that threshold. p_value:
    the chance that figures that know nothing rank the calibration part as well as those of this judge. scaling: how
    what the judge reads becomes the score.
    """

    model_config = ConfigDict(frozen=True)

    threshold: float
    precision: float
    recall: float
    p_value: float
    scaling: Scaling = Scaling()

    def save(self, folder: Path) -> None:
        """Write it into the judge's folder."""
        told = {"version": VERSION} | self.model_dump()
        (folder / CALIBRATION_FILE).write_text(json.dumps(told, indent=2), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Calibration":
        """Read that of a judge.

        Raises:
            ValueError: the judge was made by code that reads samples in another way.
        """
        told = json.loads((folder / CALIBRATION_FILE).read_text(encoding="utf-8"))
        if (version := told.pop("version", 1)) != VERSION:
            raise ValueError(
                f"{folder / CALIBRATION_FILE}: version {version}, wanted is {VERSION}: this judge was made by other "
                "code, and what it says would be taken for something else. Materialize kto_judge again."
            )
        return cls.model_validate(told)


class CalibrationSettings(BaseModel):
    """What the judge's threshold is chosen for."""

    wanted_precision: float = Field(default=0.95, description="Share of good samples among those kept.", gt=0, le=1)
    minimum_recall: float = Field(
        default=0.9,
        description="Share of good samples that must be kept; a judge whose calibration part holds too few to show it "
        "(0.9: 29) rejects nothing.",
        gt=0,
        lt=1,
    )


class ScoringSettings(BaseModel):
    """How fast the judge reads; no result depends on it."""

    score_batch_size: int = by_profile(demo=8, full=64, description="Samples per forward pass.", ge=1)


def after_rules(labelled: pl.DataFrame) -> pl.DataFrame:
    """Return what breaks no rule: in the filter the judge sees nothing else."""
    return labelled.filter(pl.col("violations").list.len() == 0)


def calibration_cases(scored: pl.DataFrame) -> pl.DataFrame:
    """Return the calibration part without what breaks a rule."""
    return after_rules(scored.filter(pl.col("part") == "calibration"))


def calibrate(
    labels: Sequence[bool], scores: Sequence[float], p_value: float, settings: CalibrationSettings
) -> Calibration:
    """Choose the threshold on labelled scores, those of `calibration_cases`.

    It is the lowest score at which precision is as wanted. Where that would throw away more good samples than
    `minimum_recall` allows, or no score reaches it, it is the most precise of those that do not. A judge rejects
    nothing (its threshold is 0) where its figures may be chance (`chances`), or where so few cases are good
    (`cases_to_show`) that it may take more than `minimum_recall` allows from others though it keeps all of these.
    """
    import numpy as np

    truth, raw = np.asarray(labels, dtype=bool), np.asarray(scores, dtype=np.float64)
    if p_value > SIGNIFICANT or truth.sum() < cases_to_show(settings.minimum_recall):
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


def chances(labels: Sequence[bool], readings: pl.DataFrame) -> dict[str, float]:
    """Return the `chance_of` each figure that was read, times their number: so the least is that of any (Bonferroni).

    The score cannot be tested on the cases that its weights were fitted to: it ranks them better than others.
    """
    figures = {column.name: column.to_list() for column in evidence(readings) if column.n_unique() > 1}
    return {name: min(1.0, len(figures) * chance_of(labels, figure)) for name, figure in figures.items()}


def cases_to_show(share: float) -> int:
    """Return how many cases, all of them kept, show that more than a share below 1 of such cases is kept.

    Were it just that share, fewer would all be kept by a chance above `SIGNIFICANT`: share^n. 0.9 needs 29.
    """
    return math.ceil(math.log(SIGNIFICANT) / math.log(share))


def read_samples(
    scenario: Scenario,
    samples: pl.DataFrame,
    base: str,
    judge: str,
    *,
    batch_size: int,
    wanted: Sequence[str] = EVIDENCE,
    report: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> pl.DataFrame:
    """Return the samples with what the judge reads off them.

    Args:
        scenario: of the samples.
        samples: columns message, tools, answer, messages.
        base: folder of the base model.
        judge: folder of the judge.
        batch_size: samples at a time.
        wanted: which of the `EVIDENCE` is read; each is a pass over the samples.
        report: is told what is being read, and (done, total) samples, or messages of the assistant.

    Returns:
        Two more columns, null where they were not read: `log_odds` of 正确 against 错误, and `surprise` of the answer
        in nats a token, which a judge that has not learnt the task cannot tell.
    """
    from cs_assets.learning.models import load_causal_lm, load_tokenizer

    tokenizer, task = load_tokenizer(base), Path(judge) / TASK
    found: dict[str, list[float]] = {}
    if "verdict" in wanted:
        asked = [judge_prompt(scenario, Sample.model_validate(row)) for row in samples.iter_rows(named=True)]
        model, told = load_causal_lm(base, judge), partial(report, "verdicts")
        found["log_odds"] = verdict_log_odds(model, tokenizer, asked, WORDS, batch_size=batch_size, report=told)
        del model
    if "surprise" in wanted and task.is_dir():
        model, told = load_causal_lm(base, str(task)), partial(report, "surprises")
        found["surprise"] = conversation_surprises(samples["messages"].to_list(), model, tokenizer, batch_size, told)
    figures = {name: found.get(name, [None] * samples.height) for name in ("log_odds", "surprise")}
    return samples.with_columns(**{name: pl.Series(values, dtype=pl.Float64) for name, values in figures.items()})


def conversation_surprises(
    conversations: Sequence[list[Message]], model: Any, tokenizer: Any, batch_size: int, report: ReportBatch
) -> list[float]:
    """Return how surprising each conversation is: the mean over the assistant's messages, each given all before it."""
    turns = [
        (number, [*pair["prompt"], *pair["completion"]])
        for number, messages in enumerate(conversations)
        for pair in prompt_completion_pairs(messages)
    ]
    told = answer_surprises(model, tokenizer, [said for _, said in turns], batch_size=batch_size, report=report)
    of: list[list[float]] = [[] for _ in conversations]
    for (number, _), surprise in zip(turns, told, strict=True):
        of[number].append(surprise)
    return [fmean(values) for values in of]


def calibrated(readings: pl.DataFrame, settings: CalibrationSettings) -> tuple[Calibration, pl.DataFrame]:
    """Fit scaling and threshold on the calibration part, and return them with the `score` of all parts.

    A figure that alone may be chance has no weight: what it adds to the fit is of these cases, and reading it in the
    filter is a forward pass a sample.

    Args:
        readings: labelled samples as `read_samples` returns them.
        settings: what the threshold is chosen for.
    """
    cases = calibration_cases(readings)
    labels = cases["label"].to_list()
    chance = chances(labels, cases)
    telling = [name for name, p_value in chance.items() if p_value <= SIGNIFICANT]
    scaling = fit_scaling(labels, cases, telling or EVIDENCE)
    found = calibrate(labels, scaling.probabilities(cases), min(chance.values(), default=1.0), settings)
    scored = readings.with_columns(score=pl.Series(scaling.probabilities(readings), dtype=pl.Float64))
    return found.model_copy(update={"scaling": scaling}), scored


def judge_of(
    readings: pl.DataFrame, wanted: CalibrationSettings, held_out: Sequence[str], folder: Path
) -> tuple[dict[str, float], pl.DataFrame]:
    """Calibrate a judge, write that into its folder, and measure it.

    Args:
        readings: calibration and test part as `read_samples` returns them.
        wanted: what the threshold is chosen for.
        held_out: corruption families that it was not trained on.
        folder: of the judge.

    Returns:
        Its figures, and the scores of the test samples that break no rule: label, score, corruption_family, unseen.
    """
    calibration, scored = calibrated(readings, wanted)
    calibration.save(folder)
    tested = with_unseen(scored.filter(pl.col("part") == "test"), held_out)
    chosen = {
        "threshold": calibration.threshold,
        "weight_verdict": calibration.scaling.verdict,
        "weight_surprise": calibration.scaling.surprise,
        "calibration_p_value": calibration.p_value,
        "calibration_good": float(calibration_cases(readings)["label"].sum()),
        "calibration_precision": calibration.precision,
        "calibration_recall": calibration.recall,
    }
    shown = after_rules(tested).select("label", "score", "corruption_family", "unseen")
    return judge_metrics(tested, calibration.threshold) | chosen, shown


def verdicts_to_learn(scenario: Scenario, labelled: pl.DataFrame) -> list[Verdict]:
    """Return the training part of the judge's labelled samples as it is trained on them."""
    return [
        Verdict(
            prompt=judge_prompt(scenario, Sample.model_validate(row)),
            correct=row["label"],
            twins=row["sample_id"].removesuffix("-bad") if row["corruption_family"] not in ALONE else "",
        )
        for row in labelled.filter(pl.col("part") == "train").iter_rows(named=True)
    ]


def task_to_learn(labelled: pl.DataFrame) -> list[list[Message]]:
    """Return the good samples of the training part as the judge learns the task from them."""
    return labelled.filter(pl.col("label"), part="train")["messages"].to_list()


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
        Over all: auc with its 95 % bootstrap interval (see `auc_by_family`), auc_rules (rules alone: broken or not),
        auc_with_rules (rules first, then the judge), n. On what the rules let through, which is what the judge decides
        on: auc_after_rules, precision, recall, n_after_rules. All of these also with _seen and _unseen. And on what the
        rules let through p_value_after_rules (see `chance_of`) and calibration_error. A figure that cannot be
        measured, because a label is missing, is left out.
    """
    passed = after_rules(tested)
    figures: dict[str, float | None] = {**auc_by_family(tested)}
    for of, family in FAMILIES.items():
        found = _figures(tested.filter(family), passed.filter(family), threshold)
        figures |= {f"{name}{of}": value for name, value in found.items()}
    labels, scores = passed["label"].to_list(), passed["score"].to_list()
    figures |= {
        "calibration_error": calibration_error(reliability(scores, labels)),
        "p_value_after_rules": chance_of(labels, scores),
    }
    return {name: float(value) for name, value in figures.items() if value is not None}


def auc_by_family(tested: pl.DataFrame) -> dict[str, float]:
    """Return the AUC of `score` with its interval (auc, auc_low, auc_high), over all, and with _seen and _unseen.

    Args:
        tested: columns label, score, unseen. Where one label is missing, a figure is left out.
    """
    figures: dict[str, float] = {}
    for of, family in FAMILIES.items():
        cases = tested.filter(family)
        good, bad = (cases.filter(pl.col("label") == label)["score"].to_list() for label in (True, False))
        if good and bad:
            area = area_under_curve(good, bad)
            figures |= {f"auc{of}": area.mean, f"auc{of}_low": area.low, f"auc{of}_high": area.high}
    return figures


def _figures(tested: pl.DataFrame, passed: pl.DataFrame, threshold: float) -> dict[str, float | None]:
    rules = tested.with_columns(score=(pl.col("violations").list.len() == 0).cast(pl.Float64))
    kept, right = passed.filter(pl.col("score") >= threshold)["label"].to_list(), sum(passed["label"].to_list())
    return {
        "auc_rules": auc(rules),
        # As the filter uses it: the rules first, the judge on what they let through.
        "auc_with_rules": auc(tested.with_columns(score=pl.col("score") * rules["score"])),
        "auc_after_rules": auc(passed),
        "precision": sum(kept) / len(kept) if kept else None,
        "recall": sum(kept) / right if right else None,
        "n": tested.height,
        "n_after_rules": passed.height,
    }


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
