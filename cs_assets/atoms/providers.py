"""Faker providers over the atoms: the same coherent values, one at a time, for notebooks and tests.

    from faker import Faker
    from cs_assets.atoms.providers import DivisionProvider, ShopProvider

    fake = Faker("zh_CN")
    fake.seed_instance(7)
    fake.add_provider(ShopProvider)
    fake.add_provider(DivisionProvider)
    fake.device()             # {"device_id": "NB11", "kind": "笔记本", "brand": "华硕", "model": "天选4", "said": ...}
    fake.tracking_number()    # "YT8820193374651"
    fake.division()           # {"province": "广东省", "city": "深圳市", "county": "南山区", "postcode": "518052", ...}

Tables of atoms are not made here: drawing by column is some thousand times faster than row by row.
"""

from datetime import datetime
from typing import Any

import numpy as np
import polars as pl
from faker.providers import BaseProvider

from cs_assets.atoms import numbers, orders, products, times
from cs_assets.atoms.blocks import sample_blocks
from cs_assets.atoms.divisions import all_divisions, sample_divisions, sample_townships


class _AtomProvider(BaseProvider):
    def _rng(self) -> np.random.Generator:
        """Return a generator that follows from the Faker's own state, so that `seed_instance` governs it."""
        return np.random.default_rng(self.generator.random.getrandbits(64))


class ShopProvider(_AtomProvider):
    """Products, orders, couriers, times and sums of money."""

    def device(self) -> dict[str, Any]:
        """Return device_id, kind, brand, model, and what its owner calls it (said)."""
        return products.sample_devices(self._rng(), 1).row(0, named=True)

    def product(self) -> dict[str, Any]:
        """Return sku, category, brand, model, capacity, price, fen, said."""
        return products.sample_products(self._rng(), 1).row(0, named=True)

    def compatible_pair(self) -> dict[str, Any]:
        """Return a device and a product that fits it."""
        return products.sample_pairs(self._rng(), 1).row(0, named=True)

    def order_number(self) -> str:
        return orders.sample_order_numbers(self._rng(), 1)[0]

    def courier(self) -> str:
        return orders.sample_couriers(self._rng(), 1)[0]

    def tracking_number(self, courier: str | None = None) -> str:
        """Return a tracking number of `courier`, by default of any."""
        rng = self._rng()
        couriers = pl.Series([courier]) if courier else orders.sample_couriers(rng, 1)
        return orders.sample_tracking(rng, couriers)[0]

    def spoken_time(self, kind: times.Kind = "slot", reference: datetime = times.REFERENCE_INSTANT) -> dict[str, str]:
        """Return what is said, and the interval that it means."""
        return times.sample_times(self._rng(), 1, reference, kind).row(0, named=True)

    def money_said(self, low: int = 10, high: int = 2000) -> str:
        """Return a sum between `low` and `high` yuan as customers say it."""
        return numbers.sample_money(self._rng(), 1, low, high)["said"][0]

    def quantity_said(self, category: str = "内存条") -> str:
        return numbers.sample_quantities(self._rng(), pl.Series([category]))["said"][0]


class DivisionProvider(_AtomProvider):
    """Administrative divisions that exist."""

    def division(self) -> dict[str, str]:
        """Return code, province, city, county, area_code, postcode and township that belong together."""
        rng = self._rng()
        rows = sample_divisions(rng, sample_blocks(rng, 1))
        drawn = all_divisions()[rows].with_columns(township=sample_townships(rng, rows))
        return drawn.row(0, named=True)
