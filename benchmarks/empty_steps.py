"""A code location for `benchmarks.startup`: the definitions of the chain, and assets that do nothing, in a row."""

from typing import Final

import dagster as dg

from cs_assets.definitions import build_defs

STEPS: Final = 6


def _empty(number: int) -> dg.AssetsDefinition:
    @dg.asset(name=f"empty_{number}", deps=[f"empty_{number - 1}"] if number else [])
    def nothing() -> None:
        """Do nothing."""

    return nothing


defs = dg.Definitions.merge(build_defs(), dg.Definitions(assets=[_empty(number) for number in range(STEPS)]))
