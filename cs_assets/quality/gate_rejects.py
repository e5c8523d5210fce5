"""Negatives of the judge out of what the templates' gates rejected: an LLM's own mistakes, beside the made ones.

Here belong variants that lost a slot of their seed or added one. Rendered as if no gate stood there, such a sample has
the message of the variant and the answer of the seed, and it is wrong where the variant, read by its own slots, gives
another answer. What the other gates reject (prose, language, boundary, ...) may well have a right answer: no negatives.

    seed     我叫{{ 姓名 }}，电话{{ 电话 }}   ->  {"姓名": "张三", "电话": "13800138000", ...}
    variant  我是{{ 姓名 }}                   ->  the same answer to "我是张三"
"""

import random
from collections.abc import Mapping
from typing import Any, Final

import polars as pl

from cs_assets.families.base import Rendered, Sample
from cs_assets.families.syntax import SentenceTemplate, TemplateError, boundary_is_lost
from cs_assets.quality.labelling import GATE, SCHEMA, broken_rules
from cs_assets.samples.render import Repertoire, Variant
from cs_assets.scenario import Scenario

# Of the good training samples: so many more wrong ones than right ones do not make the judge say 错误 to everything.
MAX_SHARE: Final = 0.25


def gate_rejects(
    scenario: Scenario, labelled: pl.DataFrame, variants: pl.DataFrame, atoms: pl.DataFrame
) -> pl.DataFrame:
    """Return wrong samples for the training part of the judge, at most one a variant, as `labelled_samples` has them.

    Args:
        scenario: one whose messages have several right answers gets none.
        labelled: the table of `labelled_samples`. A reject takes the atoms of a good sample of the training part, and
            its seed is of a family of the judge's fold; its message stands in neither calibration nor test.
        variants: the table of `template_variants`.
        atoms: the table of `atomic_table`.
    """
    good = labelled.filter(pl.col("label"), fold="judge")
    tested = labelled.filter(fold="test_template_ood")["unit_families"].explode().unique().implode()
    usable = variants.filter(pl.col("accepted"), ~pl.col("family").is_in(tested)).sort("template_id")
    begun = pl.col("family").is_in(good["template_family"].unique().implode())
    by_slots = ~pl.col("accepted") & pl.col("reason").str.starts_with("slots:")
    rejected = variants.filter(by_slots, begun).sort("template_id")
    trained = atoms.filter(pl.col("atom_id").is_in(good.filter(part="train")["atom_id"].implode())).sort("atom_id")
    most = int(MAX_SHARE * good.filter(part="train").height)
    if rejected.is_empty() or not most or not scenario.family.answer_is_determined:
        return pl.DataFrame(schema=SCHEMA)
    repertoire = Repertoire.of(usable)
    seeds = {variant.template_id: variant.template for found in repertoire.families.values() for variant in found}
    mistaken = [variant for found in Repertoire.of(rejected).families.values() for variant in found]
    random.Random(f"{scenario.spec.seed}:gate_rejects").shuffle(mistaken)
    held_back = set(good.filter(pl.col("part") != "train")["message"])
    rows: list[dict[str, Any]] = []
    for number, variant in enumerate(mistaken):
        if len(rows) == most:
            break
        row, seed = trained.row(number % trained.height, named=True), seeds.get(f"{variant.template.seed}-00")
        sample = seed and _mistaken(scenario, seed, variant, row, repertoire)
        if sample and sample.message not in held_back:
            rows.append(_row(scenario, variant, sample, row))
    return pl.DataFrame(rows, schema=SCHEMA)


def _mistaken(
    scenario: Scenario, seed: SentenceTemplate, variant: Variant, atoms: Mapping[str, Any], repertoire: Repertoire
) -> Sample | None:
    """Return the message of the variant with the answer of its seed.

    None where that answer is right, nobody can read it out of the message, or the family cannot render the variant.
    """

    def rendered(template: SentenceTemplate) -> Rendered:
        rng = random.Random(f"{scenario.spec.seed}:{variant.template_id}")
        return scenario.family.render(template, atoms, repertoire.scene(rng, []))

    wanted = rendered(seed).answer
    try:
        said = rendered(variant.template)
    except TemplateError:
        return None
    if wanted == said.answer or any(boundary_is_lost(turn.segments) for turn in said.turns):
        return None
    return said.sample.model_copy(update={"answer": wanted})


def _row(scenario: Scenario, variant: Variant, sample: Sample, atoms: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **sample.model_dump(),
        "sample_id": f"{GATE}-{variant.template_id}",
        "fold": "judge",
        "messages": scenario.conversation(sample),
        "tags": [],
        "template_id": variant.template_id,
        "unit": variant.template.unit,
        "template_family": variant.family,
        "unit_families": [variant.family],
        "template_ids": [variant.template_id],
        "template_origin": variant.origin,
        "atom_id": atoms["atom_id"],
        "entity_block": atoms["entity_block"],
        "part": "train",
        "label": False,
        "corruption_kind": "rejected",
        "corruption_family": GATE,
        "violations": broken_rules(scenario, sample),
        "duplicate_of": "",
        "contradicts": "",
    }
