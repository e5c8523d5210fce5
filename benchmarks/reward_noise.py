"""Wrong labels in the preference pairs: how far does the reward model fall, and what does each remedy give back?

    python -m benchmarks.reward_noise --base embedded --json --output benchmarks/results/reward_noise.json

Of the training pairs of a scenario a share (0, 10, 20, 30 %) is given the wrong label; the test pairs stay right. On
each share a reward model is trained with each setting of `label_noise` (none, flip, smooth, margin), all else equal.
The margins of the pairs are left out: they are computed from the truth, and a label that is wrong has none.
The strengths that three of them rest on are computed once a share. Every model, cut or complete, is kept in `--work`,
in a folder for each base, settings and pairs: a run that was killed goes on where it was, and one with other settings
finds nothing of it.

The last line of `--json` is one object; `curve` has a cell for each share and setting:

- accuracy, accuracy_low, accuracy_high: pairs of the test whose chosen answer has the higher reward, and the 95 %
  bootstrap interval; with _seen and _unseen by whether the corruption family occurs in training. confidence and
  calibration_error: see `cs_assets/reward/calibration.py`.
- wrong: share of the training pairs whose label is wrong when the model is trained; flip may lower or raise it.
- found, rightly: of the planted wrong labels, the share with a negative strength, and of the negative strengths, the
  share that was planted; null for none, and where there is nothing to divide by.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Final, NamedTuple

from benchmarks.outcome import LEARNING, add_result_options, add_work_option, circumstances, kept, tell, work_folder
from cs_assets.learning.conversations import Message
from cs_assets.learning.label_noise import (
    REMEDIES,
    LabelNoise,
    NoiseSettings,
    out_of_fold_strengths,
    remedied,
    with_planted_noise,
)
from cs_assets.learning.models import precision
from cs_assets.learning.reward import Preference, RewardSettings, reward_differences, train_reward_model
from cs_assets.learning.sft import FineTuningSettings, train_adapter
from cs_assets.learning.training import TRAINING_LOG
from cs_assets.reward.calibration import calibration
from cs_assets.reward.pairs import PairSettings, make_pairs, pairwise_accuracy, preferences
from resources.store import fingerprint

SHARES: Final = (0.0, 0.1, 0.2, 0.3)
NOISE_SEED: Final = 11
# Of the rendered samples some are near-duplicates, or take no corruption: so many more are rendered.
SPARE: Final = 1.5


class Pairs(NamedTuple):
    """train: without margin. test_table: the table of the test pairs; test: the same as the trainers take them.
    conversations: samples of no pair."""

    train: list[Preference]
    test_table: Any
    test: list[Preference]
    conversations: list[list[Message]]


def pairs_of(scenario_name: str, train: int, test: int, tuned: int) -> Pairs:
    """Return so many pairs of a scenario, and so many samples that its adapter is tuned on."""
    import polars as pl

    from cs_assets.quality.filtering import filter_samples
    from cs_assets.quality.labelling import label_samples
    from cs_assets.samples.twin import make_twin
    from cs_assets.scenario import load_scenario
    from cs_assets.training.splits import make_splits

    scenario = load_scenario(scenario_name).with_counts(
        train=round(SPARE * (train + tuned)),
        test_template_ood=round(SPARE * test),
        judge=8,
        validation=0,
        test_iid=0,
        test_entity_ood=0,
        test_noise=0,
    )
    splits = make_splits(filter_samples(label_samples(scenario, make_twin(scenario).samples), {}, 0.0))
    table = make_pairs(scenario, splits, PairSettings(train_pairs=train, test_pairs=test))
    tested = table.filter(pl.col("part") != "train")
    trained = table.filter(pl.col("part") == "train").with_columns(margin=0.0)
    apart = splits.filter(pl.col("split") == "train", ~pl.col("sample_id").is_in(table["sample_id"].implode()))
    conversations = apart["messages"].head(tuned).to_list()
    return Pairs(preferences(scenario, trained), tested, preferences(scenario, tested), conversations)


def curve(
    base: str, given: Pairs, settings: RewardSettings, noise: NoiseSettings, start: str, work: Path
) -> list[dict[str, Any]]:
    """Train and test a reward model for each share and remedy; what `work` holds is not done again."""
    cells = []
    for share in SHARES:
        noisy, places = with_planted_noise(given.train, share, NOISE_SEED)
        place = work / f"flipped_{round(100 * share)}"
        strengths = out_of_fold_strengths(base, noisy, settings, noise, place, print, start)
        for remedy in REMEDIES:
            pairs = remedied(noisy, strengths, noise.model_copy(update={"label_noise": remedy}))
            differences = _tested(base, pairs, given.test, settings, start, place / remedy)
            cells.append(
                {
                    "flipped": share,
                    "remedy": remedy,
                    **pairwise_accuracy(given.test_table, differences),
                    **calibration(differences),
                    "wrong": fmean(now.chosen != was.chosen for now, was in zip(pairs, given.train, strict=True)),
                    **_detection(remedy, strengths, places),
                }
            )
            print(f"{share:.0%} flipped, {remedy:<7} accuracy {cells[-1]['accuracy']:.3f}", flush=True)
    return cells


def _tested(
    base: str, pairs: list[Preference], test: Sequence[Preference], settings: RewardSettings, start: str, work: Path
) -> list[float]:
    def trained() -> list[float]:
        train_reward_model(base, pairs, settings, work / "model", work, print, start)
        return reward_differences(base, str(work / "model"), test, batch_size=2 * settings.batch_size)

    return kept(work / "differences.json", trained)


def tuned(base: str, conversations: list[list[Message]], settings: FineTuningSettings, work: Path) -> str:
    """Return the folder of an adapter that has learnt the conversations; one that is there is taken."""
    folder = work / "tuned"
    if not (folder / TRAINING_LOG).is_file():
        train_adapter(base, conversations, [], settings, folder, work / "tuned_work", print)
    return str(folder)


def _detection(remedy: LabelNoise, strengths: Sequence[float], planted: set[int]) -> dict[str, float | None]:
    """Return how well a negative strength tells the planted wrong labels."""
    negative = {place for place, strength in enumerate(strengths) if strength < 0}
    if remedy == "none":
        return {"found": None, "rightly": None}
    both = len(negative & planted)
    return {"found": both / len(planted) if planted else None, "rightly": both / len(negative) if negative else None}


def measure(arguments: argparse.Namespace, work: Path) -> dict[str, Any]:
    """Make the pairs, resolve the base and draw the curve."""
    from resources.base_model import resolve_base_model

    base = resolve_base_model(arguments.base, report=print)
    changed = {name: value for name in ("epochs", "batch_size") if (value := getattr(arguments, name)) is not None}
    settings = RewardSettings(base_model=arguments.base, **changed)
    noise = NoiseSettings()
    tuning = FineTuningSettings(base_model=arguments.base)
    pairs = pairs_of(arguments.scenario, arguments.pairs, arguments.test_pairs, arguments.tuned)
    numbers = [settings, tuning, noise, NOISE_SEED, precision()]
    key = fingerprint(base=base.identity, numbers=numbers, tables=[pairs.train, pairs.conversations], test=pairs.test)
    place = work / key[:16]
    start = tuned(base.path, pairs.conversations, tuning, place)
    return {
        "base": base.name,
        "scenario": arguments.scenario,
        "pairs": len(pairs.train),
        "test_pairs": len(pairs.test),
        "tuned": len(pairs.conversations),
        "curve": curve(base.path, pairs, settings, noise, start, place),
        "settings": settings.model_dump(),
        "tuning": tuning.model_dump(),
        "noise": noise.model_dump(exclude={"label_noise"}),  # each of these is a cell
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="embedded", help="a name of data/base_models.yaml, a folder, or a hub id")
    parser.add_argument("--scenario", default="address_extraction")
    parser.add_argument("--pairs", type=int, default=240, help="training pairs")
    parser.add_argument("--test-pairs", type=int, default=120, help="half of them of unseen corruption families")
    parser.add_argument("--tuned", type=int, default=240, help="samples that the adapter is tuned on first")
    parser.add_argument("--epochs", type=float, help="passes over the pairs; the profile's if not given")
    parser.add_argument("--batch-size", type=int, help="pairs per step; the profile's if not given")
    add_work_option(parser)
    add_result_options(parser)
    arguments = parser.parse_args()
    told = circumstances("reward_noise", *LEARNING)
    with work_folder(arguments.work) as work:
        tell(measure(arguments, work) | told, arguments)


if __name__ == "__main__":
    main()
