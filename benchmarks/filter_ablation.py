"""Is the filter worth it? Adapters trained on what it kept, on that and what it rejected, and on everything unfiltered.

    python -m benchmarks.filter_ablation --base embedded --work /tmp/ablation --json

20 % of the template variants are damaged after the gates (see `damage.py`). From all variants come `POOL` times as many
samples as an adapter learns from, and those of the judge: what breaks a rule among these is a bad case to it, and of
the others nobody tells its training and calibration which ones are damaged. The test cases are undamaged. No message
has noise, so that nothing but the damage differs.

The arms, as in the ablation of APIGen (arXiv 2406.18518), which adds back what was rejected:

- kept: samples that rules and judge kept.
- kept_rejected: half of them kept, half rejected, or as many as there are. In the shares in which the filter finds
  them, these would be the unfiltered ones again; in equal parts they tell whether what it rejects does harm.
- unfiltered: samples as they come.

Each arm has `--train` samples, so that the steps are as many, and answers the same test. The seed decides which
samples, their order and the adapter's first weights; pool and judge are the same for all. What was trained or answered
is kept in `--work`, each in a folder for what it depends on: a run that was killed goes on where it was, and one with
other settings takes of it what is the same.

The last line of `--json` is one object:

- arms: exact match, a test case counting with its mean over the seeds, and the 95 % bootstrap interval over the cases;
  `seeds` has the same for each, with the steps and the shares of its training samples that are wrong and were rejected.
- differences: of two arms, case by case, the first less the second.
- caught: precision and recall in finding the wrong samples of the pool, by the rules, by the judge, and by either; null
  where nothing was rejected. `damage` has the recalls by kind; `judge_auc` is that of the judge's score on what the
  rules let through.
"""

import argparse
import random
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import polars as pl

from benchmarks.damage import with_damage
from benchmarks.judge import read_once
from benchmarks.outcome import LEARNING, add_result_options, add_work_option, circumstances, kept, tell, work_folder
from cs_assets.evaluation.predicting import Exam, PredictionSettings
from cs_assets.learning.inference import nobody
from cs_assets.learning.kto import JudgeSettings, train_judge
from cs_assets.learning.models import precision
from cs_assets.learning.sft import FineTuningSettings, train_adapter
from cs_assets.learning.training import TrainingLog
from cs_assets.quality.filtering import candidates, filter_samples
from cs_assets.quality.judging import (
    VERSION,
    WORDS,
    CalibrationSettings,
    auc,
    calibrated,
    read_samples,
    task_to_learn,
    verdicts_to_learn,
)
from cs_assets.quality.labelling import label_samples
from cs_assets.samples.twin import make_twin
from cs_assets.scenario import Scenario, load_scenario
from cs_assets.statistics import bootstrap
from cs_assets.templates.gates import rejected_by_gate
from cs_assets.training.splits import make_splits
from resources.base_model import BaseModelFolder
from resources.store import fingerprint

ARMS: Final = ("kept", "kept_rejected", "unfiltered")
TESTS: Final = ("test_iid", "test_template_ood")
POOL: Final = 3
_BATCH: Final = 16
# Of the rendered test samples some are near-duplicates: so many more are rendered.
SPARE: Final = 1.5


@dataclass(frozen=True)
class DamagedTwin:
    """A scenario's labelled samples, of which damaged variants made some wrong: `damage` is sample_id -> kind."""

    scenario: Scenario
    labelled: pl.DataFrame
    damage: dict[str, str]
    variants: dict[str, int]


def damaged_twin(scenario_name: str, train: int, test: int, judge: int) -> DamagedTwin:
    """Render and label the pool, the tests and the judge's samples."""
    a_test = round(SPARE * test / len(TESTS))
    nothing_else = dict.fromkeys(("validation", "test_entity_ood", "test_noise"), 0)
    counts = {"judge": judge, "train": POOL * train, **dict.fromkeys(TESTS, a_test), **nothing_else}
    scenario = load_scenario(scenario_name).with_counts(**counts)
    scenario = Scenario(scenario.folder, scenario.spec.model_copy(update={"noise_share": 0.0}))
    twin = make_twin(scenario)
    rendered, damage, damaged = with_damage(scenario, twin.variants, twin.samples, twin.atoms)
    figures = {"variants": twin.variants.height, "damaged_variants": len(damaged)}
    return DamagedTwin(scenario, label_samples(scenario, rendered), damage, figures)


def filtered_by_chain(
    twin: DamagedTwin, base: BaseModelFolder, settings: JudgeSettings, work: Path
) -> tuple[pl.DataFrame, float]:
    """Train and calibrate the judge; return what the filter makes of pool and tests, and the judge's threshold.

    The judge reads what the rules reject, too: it is to be measured alone as well.
    """
    held_back = twin.labelled.filter(~pl.col("part").is_in(["", "train"]))
    pool = candidates(twin.labelled).filter(fold="train")
    on = [base.identity, precision(), VERSION]
    key = fingerprint(spec=twin.scenario.spec, labelled=twin.labelled, on=on, settings=settings)
    place = work / f"judge-{key[:16]}"
    read_by_judge = pl.concat([held_back, pool])

    def read() -> pl.DataFrame:
        model, cases = place / "model", verdicts_to_learn(twin.scenario, twin.labelled)
        task = task_to_learn(twin.labelled)
        train_judge(base.path, cases, task, WORDS, settings, model, place, print)
        return read_samples(twin.scenario, read_by_judge, base.path, str(model), batch_size=_BATCH)

    found = read_once(place / "read.parquet", read_by_judge, read)
    calibration, scored = calibrated(found, CalibrationSettings())
    by_id = dict(scored.filter(pl.col("fold") == "train").select("sample_id", "score").iter_rows())
    return filter_samples(twin.labelled, by_id, calibration.threshold), calibration.threshold


def arms(pool: pl.DataFrame, train: int, seed: int) -> dict[str, pl.DataFrame]:
    """Draw the training samples of each arm; what two arms can share, they share.

    Raises:
        ValueError: the filter has kept fewer than are wanted.
    """
    order = pool[random.Random(seed).sample(range(pool.height), pool.height)]
    good, bad = order.filter("kept"), order.filter(~pl.col("kept"))
    if good.height < train:
        raise ValueError(
            f"the filter kept {good.height} of {pool.height} samples, an arm needs {train}; it rejected for: "
            f"{rejected_by_gate(pool, 'kept')}. Give the judge more samples (--judge)."
        )
    added = bad.head(train // 2)
    mixed = pl.concat([good.head(train - added.height), added])
    return dict(zip(ARMS, (good.head(train), mixed, order.head(train)), strict=True))


def examined(exam: Exam, base: str, samples: pl.DataFrame, settings: FineTuningSettings, place: Path) -> list[float]:
    """Train an adapter and return, of each case of the exam, whether its answer is right; done once for a folder."""

    def trained() -> list[float]:
        train_adapter(base, samples["messages"].to_list(), [], settings, place / "model", place, print)
        return exam.scored(exam.said(base, str(place / "model"), nobody))["exact"].to_list()

    return kept(place / "exact.json", trained)


def compared(
    twin: DamagedTwin, filtered: pl.DataFrame, base: BaseModelFolder, arguments: argparse.Namespace, work: Path
) -> dict[str, Any]:
    """Train and examine every arm with every seed."""
    settings = FineTuningSettings(base_model=arguments.base)
    splits = make_splits(filtered).sort("sample_id")
    tests = pl.concat([splits.filter(split=name).head(arguments.test // len(TESTS)) for name in TESTS])
    exam = Exam.of(twin.scenario, "tuned", tests, PredictionSettings())
    found: dict[str, list[dict[str, Any]]] = {arm: [] for arm in ARMS}
    exact: dict[str, list[list[float]]] = {arm: [] for arm in ARMS}
    for seed in range(settings.seed, settings.seed + arguments.seeds):
        for arm, samples in arms(filtered.filter(fold="train"), arguments.train, seed).items():
            seeded = settings.model_copy(update={"seed": seed})
            learnt = samples["messages"].to_list()
            key = fingerprint(on=[base.identity, precision()], settings=seeded, learnt=learnt, tests=tests)
            place = work / f"{arm}-{seed}-{key[:16]}"
            right = examined(exam, base.path, samples, seeded, place)
            learned = {
                "steps": TrainingLog.load(place / "model").steps,
                "wrong": fmean(name in twin.damage for name in samples["sample_id"]),
                "rejected": 1 - fmean(samples["kept"]),
            }
            exact[arm].append(right)
            found[arm].append({"seed": seed, **learned, **bootstrap(right).model_dump()})
            print(f"{arm}, seed {seed}: exact match {bootstrap(right)}", flush=True)
    mean = {arm: [fmean(case) for case in zip(*of_seeds, strict=True)] for arm, of_seeds in exact.items()}
    less = {f"{a} - {b}": [x - y for x, y in zip(mean[a], mean[b], strict=True)] for a, b in combinations(ARMS, 2)}
    return {
        "arms": {arm: bootstrap(mean[arm]).model_dump() | {"seeds": found[arm]} for arm in ARMS},
        "differences": {pair: bootstrap(values).model_dump() for pair, values in less.items()},
        "settings": settings.model_dump(),
    }


def catches(filtered: pl.DataFrame, damage: dict[str, str], threshold: float) -> dict[str, Any]:
    """Return how well rules and judge tell the wrong samples of the pool."""
    kind = pl.col("sample_id").replace_strict(damage, default="", return_dtype=pl.String)
    rules, judge = pl.col("violations").list.len() > 0, pl.col("score") < threshold
    pool = filtered.filter(fold="train").with_columns(damage=kind, rules=rules, judge=judge, either=rules | judge)
    wrong = pool.filter(pl.col("damage") != "")
    ways = ("rules", "judge", "either")
    return {
        "pool": pool.height,
        "wrong": wrong.height,
        "rejected_for": rejected_by_gate(pool, "kept"),
        "caught": {
            way: {"precision": pool.filter(way)["damage"].ne("").mean(), "recall": wrong[way].mean()} for way in ways
        },
        "judge_auc": auc(pool.filter(~pl.col("rules")).with_columns(label=pl.col("damage") == "")),
        "damage": wrong.group_by("damage").agg(pl.len().alias("wrong"), pl.col(ways).mean()).sort("damage").to_dicts(),
    }


def measure(arguments: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Damage, filter, train and compare."""
    from resources.base_model import resolve_base_model

    base = resolve_base_model(arguments.base, report=print)
    twin = damaged_twin(arguments.scenario, arguments.train, arguments.test, arguments.judge)
    names = ("task_epochs", "batch_size")
    given = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    judge = JudgeSettings(base_model=arguments.base, **given)
    filtered, threshold = filtered_by_chain(twin, base, judge, work)
    options = {name: getattr(arguments, name) for name in ("scenario", "train", "test", "judge", "seeds")}
    return {
        "base_model": base.name,
        **options,
        **twin.variants,
        "threshold": threshold,
        **catches(filtered, twin.damage, threshold),
        **compared(twin, filtered, base, arguments, work),
        "judge_settings": judge.model_dump(),
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="embedded", help="a name of data/base_models.yaml, a folder, or a hub id")
    parser.add_argument("--scenario", default="address_extraction", help="one with the atoms `shipping`")
    parser.add_argument("--train", type=int, default=160, help="samples that an adapter learns from")
    parser.add_argument("--test", type=int, default=60, help="test cases, half of them with unseen templates")
    parser.add_argument("--judge", type=int, default=160, help="good samples of the judge; each has a corrupted twin")
    parser.add_argument("--task-epochs", type=float, help="of the judge, over its good samples")
    parser.add_argument("--batch-size", type=int, help="of the judge")
    parser.add_argument("--seeds", type=int, default=3)
    add_work_option(parser)
    add_result_options(parser)
    arguments = parser.parse_args()
    told = circumstances("filter_ablation", *LEARNING)
    with work_folder(arguments.work) as work:
        tell(measure(arguments, work) | told, arguments)


if __name__ == "__main__":
    main()
