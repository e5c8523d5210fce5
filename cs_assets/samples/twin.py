"""The twin of a scenario in one call: atoms, templates and samples, as the assets make them one by one.

It is for a notebook, a benchmark or a test. Templates are the human-written seeds and their rewrites; what an LLM
writes, and what is made of the scenario's examples, only the assets add.

    twin = make_twin(load_scenario("address_extraction").with_counts(train=100))
    twin.samples.filter(fold="train")      # 100 rows
"""

from dataclasses import dataclass

import polars as pl

from cs_assets.atoms.bundles import sample_atoms
from cs_assets.samples.render import render_samples
from cs_assets.scenario import Scenario
from cs_assets.templates.variants import PROBES, template_variants


@dataclass(frozen=True)
class Twin:
    """The tables of `atomic_table`, of `template_variants` without what a gate rejected, and of `rendered_samples`."""

    atoms: pl.DataFrame
    variants: pl.DataFrame
    samples: pl.DataFrame


def make_twin(scenario: Scenario) -> Twin:
    """Render every fold of the scenario.

    Raises:
        ScenarioError, TemplateError, ValueError: as `template_variants` and `render_samples` do.
    """
    atoms = sample_atoms(scenario.spec.atoms, scenario.counts.atoms, scenario.spec.seed)
    variants = template_variants(scenario, atoms.head(PROBES).to_dicts()).filter("accepted")
    return Twin(atoms, variants, render_samples(scenario, variants, atoms))
