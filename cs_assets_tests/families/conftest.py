"""What the tests of several families share: the committed scenarios, samples drawn of one, counted corruptions."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import strategies as st

from cs_assets.families.base import Family, Sample
from cs_assets.families.identity import IdentityFamily
from cs_assets.families.reply.family import ReplyFamily
from cs_assets.families.syntax import SentenceTemplate
from cs_assets.scenario import Scenario, load_scenario
from cs_assets_tests.conftest import SCENARIOS, rendered_alone


def committed(name: str) -> Scenario:
    """Return a committed scenario, whatever the folder is that a test reads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CS_SCENARIOS", str(SCENARIOS))
        return load_scenario(name)


def drawn_samples(
    scenario: Scenario, templates: Sequence[SentenceTemplate], atoms: pl.DataFrame
) -> st.SearchStrategy[Sample]:
    """Return samples of any of the templates with any of the atoms."""
    drawn = st.tuples(st.sampled_from(templates), st.sampled_from(atoms.to_dicts()))
    return drawn.map(lambda pair: rendered_alone(scenario, *pair).sample)


def broken_rules(family: Family, answer: str, message: str) -> set[str]:
    """Return the rules that an answer breaks."""
    return {violation.rule for violation in family.verify(Sample(message=message, answer=answer))}


def counted_corruptions(
    family: IdentityFamily | ReplyFamily, samples: Iterable[Sample]
) -> tuple[Counter[str], Counter[str]]:
    """Corrupt each sample in every way; return how often each kind applied, and how often a rule caught it."""
    made: Counter[str] = Counter()
    caught: Counter[str] = Counter()
    for number, sample in enumerate(samples):
        for kind, make in [pair for kinds in family.corruptions.values() for pair in kinds.items()]:
            worse = make(sample, random.Random(number))
            if worse is not None:
                made[kind] += 1
                caught[kind] += bool(family.verify(sample.model_copy(update={"answer": worse})))
                assert family.score(worse, sample.answer).exact == 0
    return made, caught


def replace_once(path: Path, old: str, new: str) -> None:
    """Replace a text that stands once in a file."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")
