"""Providers: real Faker providers, governed by the Faker's own seed."""

import polars as pl
import pytest
from faker import Faker

from cs_assets.atoms.divisions import all_divisions
from cs_assets.atoms.numbers import read_money
from cs_assets.atoms.orders import COURIERS, misshapen
from cs_assets.atoms.products import misfits
from cs_assets.atoms.providers import DivisionProvider, ShopProvider
from cs_assets.atoms.times import REFERENCE_INSTANT, isoformat, normalise

METHODS = (
    "device", "product", "compatible_pair", "order_number", "courier", "tracking_number", "spoken_time", "money_said",
    "quantity_said", "division",
)  # fmt: skip


def faker(seed: int) -> Faker:
    fake = Faker("zh_CN")
    fake.seed_instance(seed)
    fake.add_provider(ShopProvider)
    fake.add_provider(DivisionProvider)
    return fake


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_of_the_faker_governs(method: str) -> None:
    def twelve(seed: int) -> list[str]:
        draw = getattr(faker(seed), method)
        return [str(draw()) for _ in range(12)]

    assert twelve(1) == twelve(1)
    assert twelve(1) != twelve(2)
    assert len(set(twelve(1))) > 1


def test_what_they_give_is_coherent() -> None:
    fake = faker(3)
    pairs = pl.DataFrame([fake.compatible_pair() for _ in range(20)])
    assert misfits(pairs).is_empty()
    assert misshapen(
        pl.DataFrame({"courier": list(COURIERS), "tracking_number": map(fake.tracking_number, COURIERS)})
    ).is_empty()
    time = fake.spoken_time(kind="deadline")
    assert tuple(map(isoformat, normalise(time["said"], REFERENCE_INSTANT))) == (time["earliest"], time["latest"])
    assert 1000 <= read_money(fake.money_said(low=10, high=20)) <= 2000


def test_a_division_is_one_that_exists() -> None:
    fake = faker(4)
    for _ in range(20):
        drawn = fake.division()
        known = all_divisions().filter(code=drawn["code"]).row(0, named=True)
        assert {key: drawn[key] for key in known} == known


def test_it_works_beside_the_providers_of_faker() -> None:
    assert faker(5).format("device")["device_id"]
    assert faker(5).name()
