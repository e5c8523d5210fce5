"""Folds: which template families and entity blocks each may use."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.samples.folds import FOLDS, HELD_OUT_BLOCKS, TEST_FOLDS, blocks_of, held_out_families

FAMILIES = st.sets(st.text(min_size=1), min_size=2, max_size=40)
SHARES = st.floats(0.01, 0.99)


@given(families=FAMILIES, share=SHARES, seed=st.integers())
def test_some_families_are_held_out_and_never_all(families: set[str], share: float, seed: int) -> None:
    held_out = held_out_families(dict.fromkeys(families, ""), share, seed)
    assert held_out < families
    assert len(held_out) >= 1
    assert abs(len(held_out) - share * len(families)) <= 1


@given(families=FAMILIES, share=SHARES, seed=st.integers())
def test_the_order_of_the_families_does_not_matter(families: set[str], share: float, seed: int) -> None:
    there, back = dict.fromkeys(sorted(families), ""), dict.fromkeys(sorted(families, reverse=True), "")
    assert held_out_families(there, share, seed) == held_out_families(back, share, seed)


@given(units=st.lists(st.integers(2, 9), min_size=1, max_size=6), share=SHARES, seed=st.integers())
def test_every_unit_is_trained_on_and_tested(units: list[int], share: float, seed: int) -> None:
    families = {f"{unit}/{number}": str(unit) for unit, size in enumerate(units) for number in range(size)}
    held_out = held_out_families(families, share, seed)
    assert {families[family] for family in held_out} == set(families.values())
    assert {unit for family, unit in families.items() if family not in held_out} == set(families.values())


def test_another_seed_holds_out_others() -> None:
    families = {f"family {number}": "" for number in range(40)}
    assert held_out_families(families, 0.25, 1) != held_out_families(families, 0.25, 2)


@pytest.mark.parametrize("families", [{"only": ""}, {"refund/1": "refund", "late/1": "late", "late/2": "late"}])
def test_fewer_than_two_families_are_refused_with_what_to_do(families: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"at least two are needed.*Write a second template") as caught:
        held_out_families(families, 0.25, 1)
    assert ("in unit refund" in str(caught.value)) == ("refund/1" in families)


@pytest.mark.parametrize("fold", FOLDS)
def test_only_the_entity_test_sees_the_held_out_blocks(fold: str) -> None:
    blocks = blocks_of(fold)
    assert blocks
    assert (blocks == HELD_OUT_BLOCKS) == (fold == "test_entity_ood")
    assert bool(blocks & HELD_OUT_BLOCKS) == (fold == "test_entity_ood")


def test_the_tests_are_the_folds_named_so() -> None:
    assert set(TEST_FOLDS) == {fold for fold in FOLDS if fold.startswith("test_")}
