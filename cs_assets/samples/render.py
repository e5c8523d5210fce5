"""Rendering: templates times atoms, a fold at a time, with the rules checked at once.

Which template meets which atoms depends on ids and seed only; a changed template text therefore changes the samples of
that template and no others.
"""

import random
from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from cs_assets.families.base import Rendered
from cs_assets.families.syntax import SentenceTemplate, parse_template
from cs_assets.samples.folds import FOLDS, blocks_of, held_out_families
from cs_assets.samples.noise import TEST_NOISE, TRAINING_NOISE, Segments, boundary_is_lost
from cs_assets.scenario import Scenario

SCHEMA: Final = {
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
_ATTEMPTS: Final = 20


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
    rows: list[dict[str, Any]] = []
    used: set[int] = set()
    for fold in FOLDS:
        usable = pl.col("family").is_in(list(held_out))
        templates = accepted.filter(usable if fold == "test_template_ood" else ~usable)
        pool = atoms.filter(pl.col("entity_block").is_in(list(blocks_of(fold, block_count))))
        pool = pool.filter(~pl.col("atom_id").is_in(list(used)))
        made = _render_fold(scenario, fold, templates, pool)
        used.update(row["atom_id"] for row in made)
        rows += made
    return pl.DataFrame(rows, schema=SCHEMA)


def _render_fold(scenario: Scenario, fold: str, templates: pl.DataFrame, atoms: pl.DataFrame) -> list[dict[str, Any]]:
    wanted = getattr(scenario.counts, fold)
    rng = random.Random(f"{scenario.spec.seed}:{fold}")
    by_family = {key[0]: group.to_dicts() for key, group in templates.group_by("family", maintain_order=True)}
    parsed = {
        row["template_id"]: parse_template(row["text"], row["template_id"])
        for group in by_family.values()
        for row in group
    }
    families = sorted(by_family)
    queue = atoms.iter_rows(named=True)
    rows: list[dict[str, Any]] = []
    for number in range(wanted):
        # Every family gets its turn, so that a family with many variants does not crowd out the others.
        if number % len(families) == 0:
            rng.shuffle(families)
        variant = rng.choice(by_family[families[number % len(families)]])
        rendered, row, tag = _render_one(scenario, fold, parsed[variant["template_id"]], queue, rng)
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
    scenario: Scenario, fold: str, template: SentenceTemplate, queue: Any, rng: random.Random
) -> tuple[Rendered, Mapping[str, Any], str]:
    """Render with the next atoms that suit the template: all its rules hold and no boundary is lost."""
    for _ in range(_ATTEMPTS):
        row = next(queue, None)
        if row is None:
            raise ValueError(f"too few atoms for the fold {fold}: raise `rows` of atomic_table in the run config.")
        rendered = scenario.family.render(template, row)
        if boundary_is_lost(rendered.segments) or scenario.family.verify(rendered.message, rendered.answer):
            continue
        segments, tag = _with_noise(scenario, fold, rendered.segments, rng)
        return Rendered(segments=segments, answer=rendered.answer), row, tag
    raise ValueError(f"{template.source}: no atoms among {_ATTEMPTS} give a sample that keeps the rules.")


def _with_noise(scenario: Scenario, fold: str, segments: Segments, rng: random.Random) -> tuple[Segments, str]:
    """Apply one noise function and return its name as tag, or leave the sentence as it is."""
    functions = TEST_NOISE if fold == "test_noise" else TRAINING_NOISE
    if fold != "test_noise" and rng.random() >= scenario.spec.noise_share:
        return segments, ""
    name = rng.choice(sorted(functions))
    noisy = functions[name](segments, rng)
    # Without the punctuation two numbers may run into each other; no reader could tell the truth from that.
    return (segments, "") if boundary_is_lost(noisy) else (noisy, name)
