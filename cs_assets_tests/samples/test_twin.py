from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from cs_assets.atoms.assets import atomic_table
from cs_assets.samples.assets import rendered_samples
from cs_assets.samples.twin import make_twin
from cs_assets.scenario import load_scenario
from cs_assets.templates.assets import template_variants
from resources.llm import LLM
from resources.store import Store, io_managers
from resources.tracking import Tracking

NAME = "address_extraction"


def test_it_is_what_the_assets_make_of_seeds_and_rewrites(scenarios: Path, tmp_path: Path) -> None:
    (scenarios / NAME / "examples.jsonl").unlink()
    scenario = load_scenario(NAME)
    twin = make_twin(scenario)
    store = str(tmp_path / "out")
    counts = scenario.counts.model_dump(exclude={"variants_per_seed", "real_style"})
    result = dg.materialize(
        [atomic_table, template_variants, rendered_samples],
        partition_key=NAME,
        resources={
            "store": Store(root=store),
            "tracking": Tracking(uri=f"sqlite:///{tmp_path}/mlflow.db"),
            "llm": LLM(),
            **io_managers(store),
        },
        run_config={
            "ops": {
                "template_variants": {"config": {"variants_per_seed": scenario.counts.variants_per_seed}},
                "rendered_samples": {"config": counts},
            }
        },
    )
    made = {name: result.output_for_node(name) for name in ("atomic_table", "template_variants", "rendered_samples")}
    assert twin.atoms.equals(made["atomic_table"])
    assert twin.variants.equals(made["template_variants"].filter("accepted"))
    assert twin.samples.equals(made["rendered_samples"])
    assert twin.samples.filter(pl.col("fold") == "train").height == scenario.counts.train
    [event] = result.asset_materializations_for_node("rendered_samples")
    told: Any = event.metadata["tags"].value
    assert told["none"] == twin.samples.filter(pl.col("tags").list.len() == 0).height > 0
