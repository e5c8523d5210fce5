"""The judge against what else could do its work: rules, the untuned base, its implicit reward, a reward head.

    python -m benchmarks.judge --labelled 600 --json --output benchmarks/results/judge.json

`--labelled` rendered samples of a scenario and their corrupted twins are labelled as `labelled_samples` does. The judge
is trained by KTO, and a reward head on the same labels, as pairs of twins, with as many sequences a step, as many
steps; the learning rate is that of each in the profile, as a new head takes another, unless one is given for both. All
are measured on the same test part, in which half of the pairs are of corruption families that nobody was trained on.
Its messages are new, its templates are not, as in the filter; the judge is measured besides on samples of templates
that were held out (`--new-templates`).
What was trained or read is kept in `--work`, each in a folder for what it depends on: a run that was killed goes on
where it was, and one with other settings takes of it what is the same.

The last line of `--json` is one object. Figures with `_seen` and `_unseen` are by corruption family:

- judge: the figures of `kto_judge` (see `judging.judge_metrics`), the bins of its reliability, the threshold and what
  it adds to the rules. scaling: the weights of its two figures.
- new_templates: the figures of `judging.judge_metrics` on samples of templates that the judge has not learnt.
- verdict, surprise: AUC of each of the two alone.
- base: AUC of the same question to the base model without training.
- implicit: AUC of the implicit reward of 正确 less that of 错误; see `implicit_rewards`.
- reward_head: AUC of its reward over all answers, and the share of pairs whose good answer has the higher one. It
  starts at the adapter that has learnt the task, where there is one.
- settings: of the judge, and of the reward head where it was trained.

With `--output` the reliability is drawn as well, beside the JSON file, with the ending .svg.
"""

import argparse
import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl
from upath import UPath

from benchmarks.outcome import LEARNING, add_result_options, add_work_option, circumstances, kept, tell, work_folder
from cs_assets import plots
from cs_assets.families.base import Sample
from cs_assets.learning.inference import rewards, verdict_log_odds
from cs_assets.learning.kto import TASK, JudgeSettings, train_judge
from cs_assets.learning.models import load_causal_lm, load_reward_lm, load_tokenizer, precision
from cs_assets.learning.reward import Preference, RewardSettings, train_reward_model
from cs_assets.learning.training import TrainingLog
from cs_assets.quality.judging import (
    VERSION,
    WORDS,
    Calibration,
    CalibrationSettings,
    added_to_rules,
    after_rules,
    auc_by_family,
    calibrated,
    judge_metrics,
    judge_prompt,
    read_samples,
    task_to_learn,
    verdicts_to_learn,
    with_unseen,
)
from cs_assets.quality.labelling import ALONE
from cs_assets.quality.reliability import reliability
from cs_assets.scenario import Scenario, load_scenario
from resources.base_model import BaseModelFolder
from resources.files import write_whole
from resources.store import fingerprint

_BATCH: Final = 16
NEW_TEMPLATES: Final = "new_templates"  # the part beside train, calibration and test


def labelled_by(scenario_name: str, labelled: int, new_templates: int) -> tuple[Scenario, pl.DataFrame]:
    """Return the scenario and the judge's labelled samples: so many good ones of each kind, and their twins.

    Of the pairs of new templates about a seventh are of unseen corruption families, of the test part a half: compare
    what is `_seen` with what is `_seen`.
    """
    from cs_assets.quality.labelling import label_samples
    from cs_assets.samples.twin import make_twin

    counts = {"judge": labelled, "train": 4, "test_template_ood": new_templates}
    nothing_else = dict.fromkeys(("test_iid", "test_entity_ood", "test_noise", "validation"), 0)
    scenario = load_scenario(scenario_name).with_counts(**counts, **nothing_else)
    samples = make_twin(scenario).samples
    table = label_samples(scenario, samples).filter(pl.col("part") != "")
    new = samples.filter(fold="test_template_ood").with_columns(fold=pl.lit("judge"))
    new = label_samples(scenario, new).with_columns(part=pl.lit(NEW_TEMPLATES))
    return scenario, with_unseen(pl.concat([table, new]), scenario.spec.holdout_corruptions)


def read_once(file: Path, rows: pl.DataFrame, read: Callable[[], pl.DataFrame]) -> pl.DataFrame:
    """Return rows with what a judge reads off them, from a file; read and written first if it is not there."""
    if not file.is_file():
        found = read().select("log_odds", "surprise")
        write_whole(UPath(file), found.write_parquet)
    return pl.concat([rows, pl.read_parquet(file)], how="horizontal")


def implicit_rewards(reference: Iterable[float], judge: Iterable[float], beta: float) -> list[float]:
    """Return the implicit reward of 正确 less that of 错误 for each case, from the log-odds of reference and judge.

    The reward of a reply is beta * log(p / p_reference) (KTO, arXiv 2402.01306); of the difference the log-odds remain.
    """
    return [beta * (after - before) for before, after in zip(reference, judge, strict=True)]


def judged(
    scenario: Scenario, table: pl.DataFrame, base: BaseModelFolder, settings: JudgeSettings, work: Path
) -> dict[str, Any]:
    """Train the judge and measure it, the untrained base and the implicit reward."""
    place = _judge_place(scenario, table, base, settings, work)
    held_back, tested = table.filter(pl.col("part") != "train"), table.filter(part="test")

    def trained() -> pl.DataFrame:
        model = place / "model"
        cases, task = verdicts_to_learn(scenario, table), task_to_learn(table)
        train_judge(base.path, cases, task, WORDS, settings, model, place, print)
        return read_samples(scenario, held_back, base.path, str(model), batch_size=_BATCH)

    def untrained() -> list[float]:
        asked = [judge_prompt(scenario, Sample.model_validate(row)) for row in tested.iter_rows(named=True)]
        return verdict_log_odds(load_causal_lm(base.path), load_tokenizer(base.path), asked, WORDS, batch_size=_BATCH)

    calibration, scored = calibrated(read_once(place / "read.parquet", held_back, trained), CalibrationSettings())
    before = kept(work / f"base-{_key(scenario, table, base)}.json", untrained)
    tested = scored.filter(part="test").with_columns(before=pl.Series(before))
    implicit = implicit_rewards(tested["before"], tested["log_odds"], settings.beta)
    ways = {"verdict": tested["log_odds"], "base": tested["before"], "implicit": pl.Series(implicit)}
    if settings.task_epochs:
        ways["surprise"] = -tested["surprise"]
    return {
        "judge": _judge_figures(tested, calibration),
        NEW_TEMPLATES: judge_metrics(scored.filter(part=NEW_TEMPLATES), calibration.threshold),
        **{way: auc_by_family(tested.with_columns(score=values)) for way, values in ways.items()},
    }


def _judge_figures(tested: pl.DataFrame, calibration: Calibration) -> dict[str, Any]:
    metrics = judge_metrics(tested, calibration.threshold) | {"threshold": calibration.threshold}
    passed = after_rules(tested)
    return {
        **metrics,
        "added_to_rules": added_to_rules(metrics),
        "reliability": reliability(passed["score"].to_list(), passed["label"].to_list()).to_dicts(),
        "calibration_precision": calibration.precision,
        "calibration_recall": calibration.recall,
        "scaling": calibration.scaling.model_dump(),
    }


def reward_head(
    scenario: Scenario,
    table: pl.DataFrame,
    base: BaseModelFolder,
    settings: RewardSettings,
    start: str | None,
    work: Path,
) -> dict[str, Any]:
    """Train a reward head on the pairs of twins and measure it; `start` is where it starts, None for the base."""
    tested = table.filter(part="test")
    place = work / f"reward_head-{_key(scenario, table, base, [settings, start and TrainingLog.load(start)])}"

    def trained() -> Sequence[float]:
        model = place / "model"
        train_reward_model(base.path, twins(scenario, table.filter(part="train")), settings, model, place, print, start)
        loaded = load_reward_lm(base.path, str(model))
        conversations = [
            [*scenario.prompt(message, tools), {"role": "assistant", "content": answer}]
            for message, tools, answer in tested.select("message", "tools", "answer").iter_rows()
        ]
        return rewards(loaded, load_tokenizer(base.path), conversations, batch_size=_BATCH)

    scored = tested.with_columns(score=pl.Series(kept(place / "rewards.json", trained)))
    good, bad = scored.filter("label"), scored.filter(~pl.col("label"))
    pairs = good.with_columns(hit=(good["score"] > bad["score"]).cast(pl.Float64))
    accuracy = {
        "pairs": pairs["hit"].mean(),
        "pairs_seen": pairs.filter(~pl.col("unseen"))["hit"].mean(),
        "pairs_unseen": pairs.filter("unseen")["hit"].mean(),
    }
    return {"reward_head": auc_by_family(scored) | accuracy}


def _judge_place(
    scenario: Scenario, table: pl.DataFrame, base: BaseModelFolder, settings: JudgeSettings, work: Path
) -> Path:
    return work / f"judge-{_key(scenario, table, base, settings)}"


def _key(scenario: Scenario, table: pl.DataFrame, base: BaseModelFolder, settings: Any = None) -> str:
    """Return a name for what is read or trained: by whom, of what, and how."""
    told = {"spec": scenario.spec, "table": table, "base": base.identity, "precision": precision(), "reads": VERSION}
    return fingerprint(**told, settings=settings)[:16]


def twins(scenario: Scenario, labelled: pl.DataFrame) -> list[Preference]:
    """Return each good sample with its corrupted twin, which follows it in the table."""
    good, bad = labelled.filter("label"), labelled.filter(~pl.col("label") & ~pl.col("corruption_family").is_in(ALONE))
    return [
        Preference(prompt=scenario.prompt(message, tools), chosen=chosen, rejected=rejected)
        for (message, tools, chosen), rejected in zip(
            good.select("message", "tools", "answer").iter_rows(), bad["answer"], strict=True
        )
    ]


def trained_alike(judge: JudgeSettings, learning_rate: float | None) -> RewardSettings:
    """Return the judge's settings for the reward head: a pair is two sequences, so that half as many make a step."""
    shared = judge.model_dump(include=set(RewardSettings.model_fields) - {"learning_rate"})
    shared["batch_size"] = max(judge.batch_size // 2, 1)
    if learning_rate is not None:
        shared["learning_rate"] = learning_rate
    return RewardSettings(**shared)


def measure(arguments: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Label, train and measure."""
    from resources.base_model import resolve_base_model

    base = resolve_base_model(arguments.base, report=print)
    scenario, table = labelled_by(arguments.scenario, arguments.labelled, arguments.new_templates)
    given = {
        name: value
        for name in ("epochs", "task_epochs", "batch_size", "learning_rate", "top_layers", "beta")
        if (value := getattr(arguments, name)) is not None
    }
    settings = JudgeSettings(base_model=arguments.base, **given)
    found = judged(scenario, table, base, settings, work)
    used: dict[str, Any] = {"judge": settings.model_dump()}
    if arguments.reward_head:
        alike = trained_alike(settings, arguments.learning_rate)
        task = _judge_place(scenario, table, base, settings, work) / "model" / TASK
        found |= reward_head(scenario, table, base, alike, str(task) if settings.task_epochs else None, work)
        used["reward_head"] = alike.model_dump()
    return {
        "base_model": base.name,
        "scenario": arguments.scenario,
        "labelled": table.filter(pl.col("part") != NEW_TEMPLATES).height,
        **{part: table.filter(part=part).height for part in ("train", "calibration", "test")},
        "templates": table.filter(part="train")["template_family"].n_unique(),
        **found,
        "settings": used,
    }


def draw_reliability(found: Mapping[str, Any], path: Path) -> None:
    """Write the reliability of a result as a picture."""
    bins = [(point["confidence"], point["accuracy"], point["n"]) for point in found["judge"]["reliability"]]
    picture = base64.b64decode(plots.reliability_diagram(bins).partition(",")[2])
    write_whole(UPath(path), lambda beside: beside.write_bytes(picture))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="embedded", help="a name of data/base_models.yaml, a folder, or a hub id")
    parser.add_argument("--scenario", default="address_extraction")
    parser.add_argument("--labelled", type=int, default=600, help="good samples; each has a corrupted twin")
    parser.add_argument("--new-templates", type=int, default=180, help="good samples of templates that are held out")
    parser.add_argument("--epochs", type=float, help="of judge and reward head; if not given, the profile's, as below")
    parser.add_argument("--task-epochs", type=float, help="over the good samples, by the adapter that learns the task")
    parser.add_argument("--batch-size", type=int, help="samples, or half as many pairs")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--top-layers", type=float)
    parser.add_argument("--beta", type=float, help="of the judge alone")
    parser.add_argument("--reward-head", action="store_true", help="train the reward head as well")
    add_work_option(parser)
    add_result_options(parser)
    arguments = parser.parse_args()
    told = circumstances("judge", *LEARNING)
    with work_folder(arguments.work) as work:
        found = measure(arguments, work)
    tell(found | told, arguments)
    if arguments.output:
        draw_reliability(found, arguments.output.with_suffix(".svg"))


if __name__ == "__main__":
    main()
