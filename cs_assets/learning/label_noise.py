"""What is done about preference pairs whose label may be wrong, before the reward model is trained on them.

The strength of a preference is the mean difference of the rewards that models give which were not trained on the pair
(after Secrets of RLHF II, arXiv 2401.06080, which averages models of several seeds). Below zero, the other
answer is probably the better one; near zero, nobody knows. Here belong strengths, remedies, and noise planted to
measure them. The loss that the remedies rely on stands in `reward.py`.

    strengths = out_of_fold_strengths(base, pairs, settings, NoiseSettings(), work)
    remedied(pairs, strengths, NoiseSettings(label_noise="flip"))
"""

import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Final, Literal, get_args

from pydantic import BaseModel, Field

from cs_assets.learning.conversations import Message
from cs_assets.learning.progress import Report, silent
from cs_assets.learning.reward import Preference, RewardSettings, reward_differences, train_reward_model
from cs_assets.profiles import by_profile
from cs_assets.statistics import SIGNIFICANT

LabelNoise = Literal["none", "flip", "smooth", "margin"]
REMEDIES: Final[tuple[LabelNoise, ...]] = get_args(LabelNoise)
# Reward differences have no unit of their own, so they are told apart in medians of their absolute values. Half the
# median is a choice: nothing measured here asks for another.
_AMBIGUOUS: Final = 0.5


class NoiseSettings(BaseModel):
    """What is done about wrong labels."""

    label_noise: LabelNoise = Field(
        default="none",
        description="none; flip (swap the answers of pairs that models trained on other pairs judge the other way); "
        "smooth (give the labels of those, and of the ambiguous, their probability to be wrong); margin (ask for as "
        "wide a gap as those models see). All but none train the reward model once more for each strength repeat.",
    )
    strength_repeats: int = by_profile(
        demo=1, full=2, description="Two-fold splits whose models say how strong a preference is.", ge=1
    )


def out_of_fold_strengths(
    base: str,
    pairs: Sequence[Preference],
    settings: RewardSettings,
    noise: NoiseSettings,
    work: Path,
    report: Report = silent,
    start: str | None = None,
) -> list[float]:
    """Return the strength of each pair, in reward units: no model judges a prompt that it was trained on.

    Args:
        base: folder of the base model.
        pairs: of two prompts at least.
        settings: numbers of the trainings.
        noise: how many two-fold splits are averaged; each costs about one training on all pairs.
        work: receives models and strengths; a second call with the same folder goes on where the first was cut.
        report: is told the progress of each training.
        start: where each training starts (see `train_reward_model`): an adapter that has seen none of these prompts,
            or it would have learnt their labels. None: the base.

    Raises:
        ValueError: all pairs have the same prompt.
    """
    rounds = []
    for repeat in range(noise.strength_repeats):
        seeded = settings.model_copy(update={"seed": settings.seed + repeat})
        folds = _folds([pair.prompt for pair in pairs], seeded.seed)
        judged = [0.0] * len(pairs)
        for fold in (0, 1):
            seen = [pair for pair, own in zip(pairs, folds, strict=True) if own != fold]
            unseen = [place for place, own in enumerate(folds) if own == fold]
            place = work / f"strength_{repeat}_{fold}"
            for at, strength in zip(
                unseen, _strengths(base, seen, [pairs[i] for i in unseen], seeded, place, report, start), strict=True
            ):
                judged[at] = strength
        rounds.append(judged)
    return [fmean(strengths) for strengths in zip(*rounds, strict=True)]


def _folds(prompts: Sequence[list[Message]], seed: int) -> list[int]:
    """Return 0 or 1 for each prompt: halves at random, equal prompts in the same."""
    keys = [json.dumps(prompt, sort_keys=True) for prompt in prompts]
    distinct = sorted(set(keys))
    if len(distinct) < 2:
        raise ValueError("all pairs have the same prompt: no model can judge what another was trained on.")
    random.Random(seed).shuffle(distinct)
    half = {key: place % 2 for place, key in enumerate(distinct)}
    return [half[key] for key in keys]


def _strengths(
    base: str,
    seen: list[Preference],
    unseen: list[Preference],
    settings: RewardSettings,
    work: Path,
    report: Report,
    start: str | None,
) -> list[float]:
    """Return the reward differences of `unseen` by a model trained on `seen`, from `work` where they stand already."""
    kept = work / "strengths.json"
    if kept.is_file():
        return [float(value) for value in json.loads(kept.read_text(encoding="utf-8"))]
    train_reward_model(base, seen, settings, work / "model", work, report, start)
    found = reward_differences(base, str(work / "model"), unseen, batch_size=2 * settings.batch_size)
    beside = kept.with_suffix(".tmp")
    beside.write_text(json.dumps(found), encoding="utf-8")
    beside.replace(kept)
    return found


def remedied(pairs: Sequence[Preference], strengths: Sequence[float], noise: NoiseSettings) -> list[Preference]:
    """Return the pairs as the reward model shall be trained on them.

    - flip: the answers of a pair of clearly negative strength are swapped.
    - smooth: the label of a pair whose strength is not clearly positive is wrong with the probability
      sigmoid(-strength), at most 1/2, where it says nothing.
    - margin: the strength is the margin. It asks for a wide gap where the models saw one, and for none where they saw
      the opposite.

    Clearly means: by more than half the median of the absolute strengths. Where the strengths agree with the labels no
    more often than chance, they know nothing, and the pairs are returned as they are.
    """
    if noise.label_noise == "none" or not _better_than_chance(strengths):
        return list(pairs)
    clearly = _AMBIGUOUS * median(abs(strength) for strength in strengths)
    remedy = {"flip": _flipped, "smooth": _smoothed, "margin": _with_margin}[noise.label_noise]
    return [remedy(pair, strength, clearly) for pair, strength in zip(pairs, strengths, strict=True)]


def _flipped(pair: Preference, strength: float, clearly: float) -> Preference:
    return swapped(pair) if strength < -clearly else pair


def _smoothed(pair: Preference, strength: float, clearly: float) -> Preference:
    if strength > clearly:
        return pair
    # sigmoid(-strength); a negative strength would give more than 1/2, and is not asked.
    return pair.model_copy(update={"smoothing": 1 / (1 + math.exp(max(strength, 0.0)))})


def _with_margin(pair: Preference, strength: float, _: float) -> Preference:
    return pair.model_copy(update={"margin": strength})


def _better_than_chance(strengths: Sequence[float]) -> bool:
    from scipy.stats import binomtest

    agreeing = sum(strength > 0 for strength in strengths)
    return bool(binomtest(agreeing, len(strengths), alternative="greater").pvalue <= SIGNIFICANT)


def swapped(pair: Preference) -> Preference:
    """Return the pair with the opposite label."""
    return pair.model_copy(update={"chosen": pair.rejected, "rejected": pair.chosen})


def with_planted_noise(pairs: Sequence[Preference], share: float, seed: int) -> tuple[list[Preference], set[int]]:
    """Return the pairs with a share of their labels wrong, and the places of those.

    Args:
        pairs: with right labels.
        share: in [0, 1]; of n pairs, round(share * n) are swapped.
        seed: with the same one, a smaller share's places are among those of a larger one.

    Raises:
        ValueError: the share is not in [0, 1].
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share {share}: it must lie between 0 and 1.")
    order = list(range(len(pairs)))
    random.Random(seed).shuffle(order)
    places = set(order[: round(share * len(pairs))])
    return [swapped(pair) if place in places else pair for place, pair in enumerate(pairs)], places
