"""Rendering: templates times atoms, a fold at a time, with the rules checked at once.

Which template meets which atoms depends on ids and seed only; a changed template text therefore changes the samples of
that template and no others.
"""

import random
from typing import Any, Final

import polars as pl

from cs_assets.families.base import Rendered
from cs_assets.families.syntax import SentenceTemplate, boundary_is_lost, parse_template
from cs_assets.samples.folds import FOLDS, blocks_of, held_out_families
from cs_assets.samples.noise import TEST_NOISE, TRAINING_NOISE, apply_noise
from cs_assets.scenario import Scenario

SCHEMA: Final[dict[str, Any]] = {
    "sample_id": pl.String,
    "fold": pl.String,
    "message": pl.String,  # what the customer typed
    "answer": pl.String,  # the exact text the model shall return
    "messages": pl.List(pl.Struct({"role": pl.String, "content": pl.String})),
    "tags": pl.List(pl.String),  # names of the noise functions applied
    "template_id": pl.String,
    "template_family": pl.String,
    "template_origin": pl.String,
    "atom_id": pl.UInt32,
    "entity_block": pl.UInt8,
}


def render_samples(scenario: Scenario, variants: pl.DataFrame, atoms: pl.DataFrame, block_count: int) -> pl.DataFrame:
    """Render every fold of the scenario.

    Args:
        scenario: counts, seed, noise share and family come from it.
        variants: the table of `template_variants`; rejected rows are passed over.
        atoms: the table of `atomic_table`; each row serves one sample at most.
        block_count: into how many entity blocks the atoms are divided.

    Raises:
        ValueError: there are too few atoms or template families.
    """
    accepted = variants.filter("accepted").sort("template_id")
    held_out = held_out_families(accepted["family"], scenario.spec.holdout_templates, scenario.spec.seed)
    pools = _pools(scenario, atoms, block_count)
    rows: list[dict[str, Any]] = []
    for fold in FOLDS:
        usable = pl.col("family").is_in(list(held_out))
        templates = accepted.filter(usable if fold == "test_template_ood" else ~usable)
        rows += _render_fold(scenario, fold, templates, pools[fold])
    return pl.DataFrame(rows, schema=SCHEMA)


Atoms = dict[str, Any]


def _pools(scenario: Scenario, atoms: pl.DataFrame, block_count: int) -> dict[str, list[list[Atoms]]]:
    """Deal the atoms out: for each fold, one short list of candidates a sample, no atom in two lists."""
    pools: dict[str, list[list[Atoms]]] = {}
    for blocks in sorted({blocks_of(fold, block_count) for fold in FOLDS}, key=sorted):
        folds = [fold for fold in FOLDS if blocks_of(fold, block_count) == blocks]
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
    scenario: Scenario, fold: str, templates: pl.DataFrame, pool: list[list[Atoms]]
) -> list[dict[str, Any]]:
    by_family = {key[0]: group.to_dicts() for key, group in templates.group_by("family", maintain_order=True)}
    order = random.Random(f"{scenario.spec.seed}:{fold}:order")
    families = sorted(by_family)
    rows: list[dict[str, Any]] = []
    for number, candidates in enumerate(pool):
        # Every family gets its turn, so that a family with many variants does not crowd out the others.
        if number % len(families) == 0:
            order.shuffle(families)
        # A generator a sample: what happens in one sample moves no other.
        rng = random.Random(f"{scenario.spec.seed}:{fold}:{number}")
        variant = rng.choice(by_family[families[number % len(families)]])
        template = parse_template(variant["text"], variant["template_id"])
        rendered, row, tag = _render_one(scenario, fold, template, candidates, rng)
        rows.append(
            {
                "sample_id": f"{fold}-{number:05d}",
                "fold": fold,
                "message": rendered.message,
                "answer": rendered.answer,
                "messages": [*scenario.prompt(rendered.message), {"role": "assistant", "content": rendered.answer}],
                "tags": [tag] if tag else [],
                "template_id": variant["template_id"],
                "template_family": variant["family"],
                "template_origin": variant["origin"],
                "atom_id": row["atom_id"],
                "entity_block": row["entity_block"],
            }
        )
    return rows


def _render_one(
    scenario: Scenario, fold: str, template: SentenceTemplate, candidates: list[Atoms], rng: random.Random
) -> tuple[Rendered, Atoms, str]:
    """Render with the first atoms that suit the template: all its rules hold and no boundary is lost."""
    for row in candidates:
        rendered = scenario.family.render(template, row)
        if boundary_is_lost(rendered.segments) or scenario.family.verify(rendered.message, rendered.answer):
            continue
        segments, tag = rendered.segments, ""
        if fold == "test_noise" or rng.random() < scenario.spec.noise_share:
            segments, tag = apply_noise(segments, TEST_NOISE if fold == "test_noise" else TRAINING_NOISE, rng)
        return Rendered(segments=segments, answer=rendered.answer), row, tag
    raise ValueError(
        f"{template.source}: none of {len(candidates)} atoms gives a sample that keeps the rules; mend the template, "
        "or raise `rows` of atomic_table."
    )
