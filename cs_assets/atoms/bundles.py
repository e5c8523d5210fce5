"""Which bundles of atoms a scenario may name in `atoms:`."""

from collections.abc import Callable
from typing import Final

import polars as pl

from cs_assets.atoms.shipping import shipping_atoms

# Each takes the number of rows and a seed.
BUNDLES: Final[dict[str, Callable[[int, int], pl.DataFrame]]] = {"shipping": shipping_atoms}
