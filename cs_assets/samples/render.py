"""Rendering: templates times atoms, a fold at a time, with the rules checked at once.

Which template meets which atoms depends on ids and seed only; a changed template text therefore changes the samples of
that template and no others.
"""

import random
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from cs_assets.families.base import SHOP, Rendered, Scene
from cs_assets.families.syntax import SentenceTemplate, boundary_is_lost, parse_template
from cs_assets.samples.folds import FOLDS, blocks_of, held_out_families
from cs_assets.samples.noise import TEST_NOISE, TRAINING_NOISE, apply_noise
from cs_assets.scenario import Scenario

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
        ValueError: there are too few atoms or template families.
    """
    accepted = variants.filter("accepted").sort("template_id")
    units = dict(accepted.select("family", "unit").iter_rows())
    held_out = held_out_families(units, scenario.spec.holdout_templates, scenario.spec.seed)
    pools = _pools(scenario, atoms)
    rows: list[dict[str, Any]] = []
    for fold in FOLDS:
        usable = pl.col("family").is_in(list(held_out))
        templates = accepted.filter(usable if fold == "test_template_ood" else ~usable)
        rows += _render_fold(scenario, fold, Repertoire.of(templates), pools[fold])
    return pl.DataFrame(rows, schema=SCHEMA)


Atoms = dict[str, Any]


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
            template = parse_template(row["text"], row["template_id"], unit=row["unit"])
            variant = Variant(template, row["template_id"], row["family"], row["origin"])
            units.setdefault(row["unit"], {}).setdefault(row["family"], []).append(variant)
        return cls(units)

    def scene(self, rng: random.Random, used: list[str]) -> Scene:
        """Return the scene of one sample; the families of what it picks are added to `used`."""

        def pick(unit: str) -> SentenceTemplate:
            if unit not in self.units:
                raise ValueError(f"no template of unit {unit!r}; there are {', '.join(sorted(self.units)) or 'none'}.")
            family = rng.choice(sorted(self.units[unit]))
            used.append(family)
            return rng.choice(self.units[unit][family]).template

        return Scene(rng, pick)


def _pools(scenario: Scenario, atoms: pl.DataFrame) -> dict[str, list[list[Atoms]]]:
    """Deal the atoms out: for each fold, one short list of candidates a sample, no atom in two lists."""
    pools: dict[str, list[list[Atoms]]] = {}
    for blocks in sorted({blocks_of(fold) for fold in FOLDS}, key=sorted):
        folds = [fold for fold in FOLDS if blocks_of(fold) == blocks]
        wanted = sum(getattr(scenario.counts, fold) for fold in folds)
        rows = atoms.filter(pl.col("entity_block").is_in(list(blocks))).sort("atom_id").to_dicts()
        if len(rows) < wanted:
            raise ValueError(
                f"{len(rows)} atoms for the {wanted} samples of {', '.join(folds)}: raise `rows` of atomic_table."
            )
        hands = [rows[number::wanted] for number in range(wanted)]
        for fold in folds:
            count = getattr(scenario.counts, fold)
            pools[fold], hands = hands[:count], hands[count:]
    return pools


def _render_fold(
    scenario: Scenario, fold: str, repertoire: Repertoire, pool: list[list[Atoms]]
) -> list[dict[str, Any]]:
    order = random.Random(f"{scenario.spec.seed}:{fold}:order")
    families = sorted(
        family for unit, found in repertoire.units.items() if scenario.family.opens(unit) for family in found
    )
    rows: list[dict[str, Any]] = []
    for number, candidates in enumerate(pool):
        # Every family gets its turn, so that a family with many variants does not crowd out the others.
        if number % len(families) == 0:
            order.shuffle(families)
        # A generator a sample: what happens in one sample moves no other.
        rng = random.Random(f"{scenario.spec.seed}:{fold}:{number}")
        variant = rng.choice(repertoire.families[families[number % len(families)]])
        used = [variant.family]
        rendered, row, tag = _render_one(scenario, fold, variant.template, candidates, repertoire.scene(rng, used))
        rows.append(
            {
                "sample_id": f"{fold}-{number:05d}",
                "fold": fold,
                "message": rendered.message,
                "answer": rendered.answer,
                "tools": rendered.tools,
                "messages": scenario.conversation(rendered.sample),
                "tags": [tag] if tag else [],
                "template_id": variant.template_id,
                "unit": variant.template.unit,
                "template_family": variant.family,
                "unit_families": list(dict.fromkeys(used)),
                "template_origin": variant.origin,
                "atom_id": row["atom_id"],
                "entity_block": row["entity_block"],
            }
        )
    return rows


def _render_one(
    scenario: Scenario, fold: str, template: SentenceTemplate, candidates: list[Atoms], scene: Scene
) -> tuple[Rendered, Atoms, str]:
    """Render with the first atoms that suit the template: all its rules hold and no boundary is lost."""
    for row in candidates:
        rendered = scenario.family.render(template, row, scene)
        if any(boundary_is_lost(turn.segments) for turn in rendered.turns) or scenario.family.verify(rendered.sample):
            continue
        if fold != "test_noise" and scene.rng.random() >= scenario.spec.noise_share:
            return rendered, row, ""
        functions = TEST_NOISE if fold == "test_noise" else TRAINING_NOISE
        spoken = [number for number, turn in enumerate(rendered.turns) if turn.speaker != SHOP]
        place = scene.rng.choice(spoken) if len(spoken) > 1 else spoken[0]
        segments, tag = apply_noise(rendered.turns[place].segments, functions, scene.rng)
        turns = list(rendered.turns)
        turns[place] = turns[place].model_copy(update={"segments": segments})
        return rendered.model_copy(update={"turns": turns}), row, tag
    raise ValueError(
        f"{template.source}: none of {len(candidates)} atoms gives a sample that keeps the rules; mend the template, "
        "or raise `rows` of atomic_table."
    )
