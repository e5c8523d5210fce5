"""Rendering: templates times atoms, a fold at a time, with the rules checked at once.

Which template meets which atoms depends on ids and seed only; a changed template text therefore changes the samples of
that template and no others.
"""

import copy
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl

from cs_assets.families.base import SHOP, ColumnFamily, CopyingFamily, Family, Rendered, Sample, Scene
from cs_assets.families.definition import ScenarioError
from cs_assets.families.syntax import SentenceTemplate, boundary_is_lost, parse_template
from cs_assets.samples.columns import ColumnRenderer
from cs_assets.samples.folds import FOLDS, blocks_of, held_out_families
from cs_assets.samples.noise import (
    OPENING_NOISE,
    SPELLINGS,
    TEST_NOISE,
    TRAINING_NOISE,
    NoiseFunction,
    apply_noise,
)
from cs_assets.scenario import SCENARIO_FILE, Scenario

SCHEMA: Final[dict[str, Any]] = {
    "sample_id": pl.String,
    "fold": pl.String,
    "message": pl.String,  # what the customer typed
    "answer": pl.String,  # the exact text the model shall return
    "tools": pl.String,  # the functions on offer, as JSON; empty where there are none
    "messages": pl.List(pl.Struct({"role": pl.String, "content": pl.String})),
    "tags": pl.List(pl.String),  # names of the noise functions applied
    "template_id": pl.String,
    "unit": pl.String,  # of the template that the sample begins with
    "template_family": pl.String,  # likewise
    "unit_families": pl.List(pl.String),  # of every template in it, in the order in which they were drawn
    "template_ids": pl.List(pl.String),  # likewise
    "template_origin": pl.String,
    "atom_id": pl.UInt32,
    "entity_block": pl.UInt8,
}


def render_samples(scenario: Scenario, variants: pl.DataFrame, atoms: pl.DataFrame) -> pl.DataFrame:
    """Render every fold of the scenario.

    Args:
        scenario: counts, seed, noise share and family come from it.
        variants: the table of `template_variants`; rejected rows are passed over.
        atoms: the table of `atomic_table`; each row serves one sample at most.

    Raises:
        ScenarioError: `noise_excluded` names a noise or a unit that there is not.
        ValueError: there are too few atoms or template families, or none that a sample may begin with.
    """
    accepted = variants.filter("accepted").sort("template_id")
    units = dict(accepted.select("family", "unit").iter_rows())
    _check_excluded_noises(scenario, set(units.values()))
    held_out = held_out_families(units, scenario.spec.holdout_templates, scenario.spec.seed)
    atoms = atoms.sort("atom_id")
    pools = _pools(scenario, atoms)
    unseen = pl.col("family").is_in(list(held_out))
    known, new = Repertoire.of(accepted.filter(~unseen)), Repertoire.of(accepted.filter(unseen))
    rows: list[dict[str, Any]] = []
    for fold in FOLDS:
        repertoire = new if fold == "test_template_ood" else known
        rows += _render_fold(scenario, fold, repertoire, atoms, pools[fold])
    return pl.DataFrame(rows, schema=SCHEMA)


def _check_excluded_noises(scenario: Scenario, units: set[str]) -> None:
    excluded = scenario.spec.noise_excluded
    named = excluded if isinstance(excluded, list) else [name for names in excluded.values() for name in names]
    for found, allowed in ((named, {*TRAINING_NOISE, *TEST_NOISE}), ([] if named is excluded else excluded, units)):
        if unknown := sorted(set(found) - allowed):
            raise ScenarioError(
                f"{scenario.folder / SCENARIO_FILE}: key 'noise_excluded': found {', '.join(unknown)}; "
                f"allowed are {', '.join(sorted(allowed))}."
            )


@dataclass(frozen=True)
class Variant:
    """A template with what the sample's row says of it."""

    template: SentenceTemplate
    template_id: str
    family: str
    origin: str


class Repertoire:
    """The templates that a fold may use: unit -> template family -> variants."""

    def __init__(self, units: dict[str, dict[str, list[Variant]]]) -> None:
        self.units = units
        self.families = {family: variants for found in units.values() for family, variants in found.items()}

    @classmethod
    def of(cls, accepted: pl.DataFrame) -> "Repertoire":
        units: dict[str, dict[str, list[Variant]]] = {}
        for row in accepted.iter_rows(named=True):
            seed = row["seed_file"].removesuffix(".j2")
            template = parse_template(row["text"], row["template_id"], unit=row["unit"], seed=seed, answer=row["reply"])
            variant = Variant(template, row["template_id"], row["family"], row["origin"])
            units.setdefault(row["unit"], {}).setdefault(row["family"], []).append(variant)
        return cls(units)

    def scene(self, rng: random.Random, used: list[Variant]) -> Scene:
        """Return the scene of one sample; what it picks is added to `used`."""

        def pick(unit: str) -> SentenceTemplate:
            if unit not in self.units:
                raise ValueError(f"no template of unit {unit!r}; there are {', '.join(sorted(self.units)) or 'none'}.")
            used.append(rng.choice(self.units[unit][rng.choice(sorted(self.units[unit]))]))
            return used[-1].template

        return Scene(rng, pick)


def _pools(scenario: Scenario, atoms: pl.DataFrame) -> dict[str, list[list[int]]]:
    """Deal the atoms out: for each fold, the rows that each sample may try, no row in two lists."""
    pools: dict[str, list[list[int]]] = {}
    for blocks in sorted({blocks_of(fold) for fold in FOLDS}, key=sorted):
        folds = [fold for fold in FOLDS if blocks_of(fold) == blocks]
        wanted = sum(getattr(scenario.counts, fold) for fold in folds)
        rows = atoms["entity_block"].is_in(list(blocks)).arg_true().to_list()
        if len(rows) < wanted:
            raise ValueError(
                f"{len(rows)} atoms for the {wanted} samples of {', '.join(folds)}: raise `rows` of atomic_table."
            )
        hands = [rows[number::wanted] for number in range(wanted)]
        for fold in folds:
            count = getattr(scenario.counts, fold)
            pools[fold], hands = hands[:count], hands[count:]
    return pools


@dataclass(frozen=True)
class Plan:
    """What a sample is to be made of. Its generator depends on its number alone: no sample moves another."""

    number: int
    variant: Variant
    candidates: list[int]
    rng: random.Random


def _plans(scenario: Scenario, fold: str, repertoire: Repertoire, pool: list[list[int]]) -> list[Plan]:
    order = random.Random(f"{scenario.spec.seed}:{fold}:order")
    families = sorted(
        family for unit, found in repertoire.units.items() if scenario.family.opens(unit) for family in found
    )
    if pool and not families:
        raise ValueError(
            f"{fold}: no accepted template may begin a sample; there are units "
            f"{', '.join(sorted(repertoire.units)) or 'none'}. Write sentences that a customer begins with, in "
            f"{scenario.seeds_folder}."
        )
    plans = []
    for number, candidates in enumerate(pool):
        # Every family gets its turn, so that a family with many variants does not crowd out the others.
        if number % len(families) == 0:
            order.shuffle(families)
        rng = random.Random(f"{scenario.spec.seed}:{fold}:{number}")
        variant = rng.choice(repertoire.families[families[number % len(families)]])
        plans.append(Plan(number, variant, candidates, rng))
    return plans


class Made(NamedTuple):
    """A finished sample, the row of its atoms, its variation tag and the templates in it."""

    sample: Sample
    atom: int
    tag: str
    variants: list[Variant]


def _render_fold(
    scenario: Scenario, fold: str, repertoire: Repertoire, atoms: pl.DataFrame, pool: list[list[int]]
) -> list[dict[str, Any]]:
    plans = _plans(scenario, fold, repertoire, pool)
    by_column = _by_column(scenario, fold, plans, atoms)
    ids = atoms.select("atom_id", "entity_block").rows()
    rows: list[dict[str, Any]] = []
    for plan in plans:
        made = by_column.get(plan.number) or _render_one(scenario, fold, repertoire, plan, atoms)
        rows.append(
            {
                **made.sample.model_dump(),
                "sample_id": f"{fold}-{plan.number:05d}",
                "fold": fold,
                "messages": scenario.conversation(made.sample),
                "tags": [made.tag] if made.tag else [],
                "template_id": plan.variant.template_id,
                "unit": plan.variant.template.unit,
                "template_family": plan.variant.family,
                "unit_families": list(dict.fromkeys(variant.family for variant in made.variants)),
                "template_ids": list(dict.fromkeys(variant.template_id for variant in made.variants)),
                "template_origin": plan.variant.origin,
                "atom_id": ids[made.atom][0],
                "entity_block": ids[made.atom][1],
            }
        )
    return rows


def _by_column(scenario: Scenario, fold: str, plans: list[Plan], atoms: pl.DataFrame) -> dict[int, Made]:
    """Render by column what needs neither noise nor a second choice of atoms: sample number -> sample."""
    family = scenario.family
    if not isinstance(family, ColumnFamily) or fold == "test_noise":
        return {}
    plain = [plan for plan in plans if plan.candidates and not _is_noisy(scenario, fold, copy.copy(plan.rng))]
    if not plain:
        return {}
    templates = {plan.variant.template_id: plan.variant.template for plan in plain}
    numbers = {template_id: number for number, template_id in enumerate(templates)}
    picks = np.array([numbers[plan.variant.template_id] for plan in plain], dtype=np.int64)
    rows = [plan.candidates[0] for plan in plain]
    table = ColumnRenderer(family, list(templates.values())).render(picks, atoms[rows])
    return {
        plan.number: Made(Sample(message=message, answer=answer), row, "", [plan.variant])
        for plan, row, (message, answer, good) in zip(plain, rows, table.iter_rows(), strict=True)
        if good
    }


def _is_noisy(scenario: Scenario, fold: str, rng: random.Random) -> bool:
    return fold == "test_noise" or rng.random() < scenario.spec.noise_share


def _render_one(scenario: Scenario, fold: str, repertoire: Repertoire, plan: Plan, atoms: pl.DataFrame) -> Made:
    """Render with the first atoms that suit the template: all its rules hold and no boundary is lost."""
    rng, template = plan.rng, plan.variant.template
    for row in plan.candidates:
        used = [plan.variant]
        rendered = scenario.family.render(template, atoms.row(row, named=True), repertoire.scene(rng, used))
        if any(boundary_is_lost(turn.segments) for turn in rendered.turns) or scenario.family.verify(rendered.sample):
            continue
        tag = ""
        if _is_noisy(scenario, fold, rng):
            rendered, tag = _with_noise(scenario.family, rendered, _suitable_noises(scenario, fold, template.unit), rng)
        return Made(rendered.sample, row, tag, used)
    raise ValueError(
        f"{template.source}: none of {len(plan.candidates)} atoms gives a sample that keeps the rules; mend the "
        "template, or raise `rows` of atomic_table."
    )


def _suitable_noises(scenario: Scenario, fold: str, unit: str) -> dict[str, NoiseFunction]:
    """Return the fold's noises without those that the scenario excludes; a spelling needs answers that are copied."""
    excluded = set(scenario.spec.noise_excluded_from(unit))
    if not isinstance(scenario.family, CopyingFamily):
        excluded |= set(SPELLINGS)
    functions = TEST_NOISE if fold == "test_noise" else TRAINING_NOISE
    return {name: function for name, function in functions.items() if name not in excluded}


def _with_noise(
    family: Family, rendered: Rendered, functions: Mapping[str, NoiseFunction], rng: random.Random
) -> tuple[Rendered, str]:
    """Apply noise to what the customer says once, and return its tag; none where a rule no longer finds its words."""
    spoken = [number for number, turn in enumerate(rendered.turns) if turn.speaker != SHOP]
    place = rng.choice(spoken) if len(spoken) > 1 else spoken[0]
    if place != spoken[0]:
        functions = {name: function for name, function in functions.items() if name not in OPENING_NOISE}
    segments, tag = apply_noise(rendered.turns[place].segments, functions, rng)
    answer = family.copied_answer(segments) if isinstance(family, CopyingFamily) else rendered.answer
    turns = list(rendered.turns)
    turns[place] = turns[place].model_copy(update={"segments": segments})
    noisy = rendered.model_copy(update={"turns": turns, "answer": answer})
    return (rendered, "") if family.verify(noisy.sample) else (noisy, tag)
