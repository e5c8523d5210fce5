"""The table of template variants: seeds, rewrites, what an LLM wrote and what history says, with verdict and reason.

Rejected rows stay, marked: they are negatives for the judge, and a person can see what was thrown away.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import polars as pl

from cs_assets.families.syntax import SentenceTemplate, TemplateError, parse_template
from cs_assets.scenario import Scenario
from cs_assets.templates.gates import family_ids, literal_entity, rejected_by_gate, rejection, signature
from cs_assets.templates.rewrite import COURTESIES, rewrites
from cs_assets.templates.wording import copy_key

SCHEMA: Final[dict[str, Any]] = {
    "template_id": pl.String,
    "family": pl.String,
    "unit": pl.String,  # the folder of the seed: class, tool or step; empty where there are none
    "origin": pl.String,  # seed, rewrite, llm or history
    "seed_file": pl.String,  # below templates/human; of a template from history, its name
    "text": pl.String,
    "slots": pl.List(pl.String),
    "accepted": pl.Boolean,
    "reason": pl.String,
    "reply": pl.String,  # of a pair that an LLM wrote: the answer's template; empty elsewhere
    "cost": pl.Float64,  # money of the LLM call, shared among its variants
}
# Rows of atoms with which the slots of a template are tried.
PROBES: Final = 6
# Families whose messages no customer opens a talk with: an angry one needs no greeting, a record no thanks.
_PLAIN_FAMILIES: Final = ("reply", "knowledge")


class Candidate(NamedTuple):
    """A text that wants to become a variant; `cost` is its share of what an LLM call cost."""

    origin: str
    text: str
    cost: float = 0.0


def template_variants(
    scenario: Scenario,
    probes: Sequence[Mapping[str, Any]],
    llm_texts: Mapping[str, Sequence[tuple[str, float]]] | None = None,
    history: Mapping[str, SentenceTemplate] | None = None,
    pairs: Mapping[str, tuple[SentenceTemplate, float]] | None = None,
) -> pl.DataFrame:
    """Make the table of a scenario's templates.

    Args:
        scenario: the scenario; `counts.variants_per_seed` says how many rewrites a seed gets.
        probes: atom rows for the slot round-trip.
        llm_texts: per seed name, what an LLM wrote with its cost; empty without an endpoint.
        history: templates made of real messages, by name; they are seeds as well.
        pairs: by name, queries that an LLM wrote with their replies, and what each has cost; they are seeds as well.

    Raises:
        TemplateError: a seed is bad, with file and line. A seed is a person's work: it is mended, not skipped.
    """
    seeds = scenario.seeds()
    found = {name: template for name, template in (history or {}).items() if name not in seeds}
    written = {name: Candidate("llm", query.text, cost) for name, (query, cost) in (pairs or {}).items()}
    found |= {name: query for name, (query, _) in (pairs or {}).items()}
    seeds = {**seeds, **found}
    families = family_ids(seeds)
    owners = {signature(seed): families[name] for name, seed in seeds.items()}
    judge = _Judge(scenario, probes, owners, {copy_key(seed.text) for seed in seeds.values()})
    rows: list[dict[str, Any]] = []
    for name, seed in seeds.items():
        itself = written.get(name) or Candidate("history" if name in found else "seed", seed.text)
        judged = judge.variants(seed, families[name], itself, (llm_texts or {}).get(name, ()))
        rows += [
            {
                "template_id": f"{name}-{number:02d}",
                "family": families[name],
                "unit": seed.unit,
                "origin": candidate.origin,
                "seed_file": f"{name}.j2",
                "text": candidate.text,
                "slots": _slots(candidate.text),
                "accepted": not reason,
                "reason": reason,
                "reply": seed.answer,
                "cost": candidate.cost,
            }
            for number, (candidate, reason) in enumerate(judged)
        ]
    return pl.DataFrame(rows, schema=SCHEMA)


def variant_figures(variants: pl.DataFrame) -> dict[str, Any]:
    """Return the figures that stand in the asset's metadata: what was accepted, and what each gate rejected."""
    counts = variants.group_by("origin", "accepted").len().sort("origin", "accepted")
    rejected = rejected_by_gate(variants, "accepted")
    return {
        "accepted": int(variants["accepted"].sum()),
        "families": variants["family"].n_unique(),
        "by_origin": {f"{o}, {'accepted' if a else 'rejected'}": n for o, a, n in counts.iter_rows()},
        "rejected_for": rejected,
        "rejected_share": {gate: round(count / variants.height, 4) for gate, count in rejected.items()},
    }


class _Judge:
    """Says of one candidate after the other whether it is accepted, and remembers those that are."""

    def __init__(
        self, scenario: Scenario, probes: Sequence[Mapping[str, Any]], owners: dict[str, str], copies: set[str]
    ) -> None:
        self._scenario = scenario
        self._probes = probes
        self._owners = owners  # signature -> template family
        self._texts: set[str] = set()
        self._copies = copies  # no variant may be a copy of a seed

    def variants(
        self, seed: SentenceTemplate, family: str, itself: Candidate, written: Sequence[tuple[str, float]]
    ) -> Iterator[tuple[Candidate, str]]:
        """Yield the seed, its rewrites and what an LLM wrote, each with why it is rejected ("" if it is not).

        Rewrites are asked for until as many as the counts say were accepted, or nothing new comes.
        """
        yield itself, self._verdict(itself, seed, family)
        wanted = self._scenario.counts.variants_per_seed
        rng = random.Random(f"{self._scenario.spec.seed}:{seed.seed}")
        for text in rewrites(seed.text, rng, courtesies(self._scenario, seed.unit)) if wanted else ():
            candidate = Candidate("rewrite", text)
            reason = self._verdict(candidate, seed, family)
            yield candidate, reason
            wanted -= not reason
            if not wanted:
                break
        for text, cost in written:
            candidate = Candidate("llm", text, cost)
            yield candidate, self._verdict(candidate, seed, family)

    def _verdict(self, candidate: Candidate, seed: SentenceTemplate, family: str) -> str:
        scenario = self._scenario
        reason = rejection(candidate.text, seed, scenario.family, scenario.slots, self._probes)
        itself = candidate.text == seed.text
        # What no person wrote has no seed to be compared with: it may hold no entity at all.
        if not reason and itself and candidate.origin != "seed" and (literal := literal_entity(seed)):
            reason = f"literal entity: {literal}"
        reason = reason or self._clash(candidate, family, itself)
        if not reason:
            self._texts.add(candidate.text)
            self._copies.add(copy_key(candidate.text))
            self._owners.setdefault(signature(parse_template(candidate.text, "variant")), family)
        return reason

    def _clash(self, candidate: Candidate, family: str, itself: bool) -> str:
        """Return why a sound variant is still not wanted: it exists already, or belongs to another family.

        The second would leak: the family might be held out of training while its copy is trained on.
        """
        if candidate.text in self._texts:
            return "duplicate: the same sentence exists already"
        holder = self._owners.get(signature(parse_template(candidate.text, "variant")), family)
        if holder != family:
            return f"family: it is a sentence of the family {holder}"
        if not itself and copy_key(candidate.text) in self._copies:
            return "duplicate: it differs from another in marks, spaces or particles only"
        return ""


def courtesies(scenario: Scenario, unit: str) -> frozenset[str]:
    """Return what courtesies a rewrite may add to a seed of the unit."""
    if scenario.spec.family in _PLAIN_FAMILIES:
        return frozenset()
    return COURTESIES if scenario.family.opens(unit) else COURTESIES - {"greeting"}


def _slots(text: str) -> list[str]:
    """Return the slots of a variant, none where it does not parse."""
    try:
        return list(parse_template(text, "variant").slots)
    except TemplateError:
        return []
