"""Folds: which template families and entity blocks a sample of each fold may use.

The fold is fixed before a sample is rendered, by template family times entity block, so that nothing can leak later:

    fold               template families   entity blocks
    train, validation  trained on          trained on
    judge              trained on          trained on     (the judge's own labelled samples)
    test_iid           trained on          trained on
    test_template_ood  held out            trained on
    test_entity_ood    trained on          held out
    test_noise         trained on          trained on     (noise functions that training never applies)
"""

import random
from collections.abc import Mapping
from typing import Final

from cs_assets.atoms.blocks import BLOCK_COUNT

FOLDS: Final = (
    "train",
    "validation",
    "judge",
    "test_iid",
    "test_template_ood",
    "test_entity_ood",
    "test_noise",
)
TEST_FOLDS: Final = FOLDS[3:]
HELD_OUT_BLOCKS: Final = frozenset({9})


def held_out_families(units: Mapping[str, str], share: float, seed: int) -> frozenset[str]:
    """Choose the template families that only `test_template_ood` sees; of each unit at least one, and never all.

    Args:
        units: template family -> the unit it belongs to.
        share: wanted share in (0, 1).
        seed: the scenario's seed.

    Raises:
        ValueError: a unit has fewer than two families.
    """
    held_out: list[str] = []
    for unit in sorted(set(units.values())):
        ordered = sorted(family for family in units if units[family] == unit)
        if len(ordered) < 2:
            raise ValueError(
                f"{len(ordered)} template family{f' in unit {unit}' if unit else ''}: at least two are needed, one to "
                "train on and one to hold out. Write a second template that differs in more than punctuation."
            )
        count = min(len(ordered) - 1, max(1, round(share * len(ordered))))
        held_out += random.Random(f"{seed}:held-out families{unit}").sample(ordered, count)
    return frozenset(held_out)


def blocks_of(fold: str) -> frozenset[int]:
    """Return the entity blocks that a fold may draw atoms from."""
    every = frozenset(range(BLOCK_COUNT))
    return HELD_OUT_BLOCKS if fold == "test_entity_ood" else every - HELD_OUT_BLOCKS


def spaced_evenly(length: int, count: int | None) -> list[int]:
    """Return `count` places of a list of `length` at even distances; None: all."""
    wanted = length if count is None else min(count, length)
    return [place * length // wanted for place in range(wanted)]
