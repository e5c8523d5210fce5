"""The table of template variants: seeds, rewrites and what an LLM wrote, each with verdict and reason.

Rejected rows stay, marked: they are negatives for the judge, and a person can see what was thrown away.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import polars as pl

from cs_assets.families.syntax import TemplateError, parse_template
from cs_assets.scenario import Scenario
from cs_assets.templates.gates import family_ids, rejection, signature
from cs_assets.templates.rewrite import rewrite

SCHEMA: Final[dict[str, Any]] = {
    "template_id": pl.String,
    "family": pl.String,
    "unit": pl.String,  # the folder of the seed: class, tool or step; empty where there are none
    "origin": pl.String,  # seed, rewrite or llm
    "seed_file": pl.String,
    "text": pl.String,
    "slots": pl.List(pl.String),
    "accepted": pl.Boolean,
    "reason": pl.String,
    "cost": pl.Float64,  # money of the LLM call, shared among its variants
}


def template_variants(
    scenario: Scenario,
    probes: Sequence[Mapping[str, Any]],
    llm_texts: Mapping[str, list[tuple[str, float]]] | None = None,
) -> pl.DataFrame:
    """Make the table of a scenario's templates.

    Args:
        scenario: the scenario; `counts.variants_per_seed` says how many rewrites a seed gets.
        probes: atom rows for the slot round-trip.
        llm_texts: per seed name, what an LLM wrote with its cost; empty without an endpoint.

    Raises:
        TemplateError: a seed is bad, with file and line. A seed is a person's work: it is mended, not skipped.
    """
    seeds = scenario.seeds()
    families = family_ids(seeds)
    owner = {signature(seed): families[name] for name, seed in seeds.items()}
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    for name, seed in seeds.items():
        rng = random.Random(f"{scenario.spec.seed}:{name}")
        rewrites = rewrite(seed.text, scenario.counts.variants_per_seed, rng)
        candidates: Iterable[tuple[str, str, float]] = [
            ("seed", seed.text, 0.0),
            *(("rewrite", text, 0.0) for text in rewrites),
            *(("llm", text, cost) for text, cost in (llm_texts or {}).get(name, [])),
        ]
        for number, (origin, text, cost) in enumerate(candidates):
            reason = rejection(text, seed, scenario.family, scenario.slots, probes) or _clash(
                text, families[name], owner, seen
            )
            if not reason:
                seen.add(text)
                owner.setdefault(signature(parse_template(text, "variant")), families[name])
            rows.append(
                {
                    "template_id": f"{name}-{number:02d}",
                    "family": families[name],
                    "unit": seed.unit,
                    "origin": origin,
                    "seed_file": f"{name}.j2",
                    "text": text,
                    "slots": _slots(text),
                    "accepted": not reason,
                    "reason": reason,
                    "cost": cost,
                }
            )
    return pl.DataFrame(rows, schema=SCHEMA)


def _slots(text: str) -> list[str]:
    """Return the slots of a variant, none where it does not parse."""
    try:
        return list(parse_template(text, "variant").slots)
    except TemplateError:
        return []


def _clash(text: str, family: str, owner: Mapping[str, str], seen: set[str]) -> str:
    """Return why a sound variant is still not wanted: it exists already, or belongs to another family.

    The second would leak: the family might be held out of training while its copy is trained on.
    """
    if text in seen:
        return "duplicate: the same sentence exists already"
    holder = owner.get(signature(parse_template(text, "variant")))
    if holder is not None and holder != family:
        return f"family: it is a sentence of the family {holder}"
    return ""
