"""Whether the entities of a row belong together: the check behind `atomic_table`.

It reads the finished table and compares it with the reference tables; it trusts nothing that the generators claim.
"""

import re

import polars as pl

from cs_assets.atoms.divisions import ZONES, divisions, short_province
from cs_assets.atoms.people import mobile_prefixes

_DIGITS = re.compile(r"\D")


def incoherent_rows(atoms: pl.DataFrame) -> pl.DataFrame:
    """Return the rows whose entities contradict each other: atom_id and reason, empty when all is well."""
    known = {row["code"]: row for row in divisions().iter_rows(named=True)}
    prefixes = frozenset(mobile_prefixes())
    found = [
        {"atom_id": row["atom_id"], "reason": reason}
        for row in atoms.iter_rows(named=True)
        for reason in [*_place_faults(row, known), *_phone_faults(row, prefixes)]
    ]
    return pl.DataFrame(found, schema={"atom_id": pl.UInt32, "reason": pl.String})


def _place_faults(row: dict, known: dict[str, dict]) -> list[str]:
    official, written = row["_official"], row["地址"]["param"]
    real = known.get(official["code"])
    if real is None:
        return [f"division {official['code']} does not exist"]
    faults = []
    if written["省"] and short_province(real["province"]) not in written["省"]:
        faults.append(f"省 {written['省']!r} is not {real['province']}")
    if not _names(written["市"], real["city"]):
        faults.append(f"市 {written['市']!r} is not {real['city']}")
    if written["县"] not in ZONES and not _names(written["县"], real["county"]):
        faults.append(f"县 {written['县']!r} is not {real['county']}")
    if row["邮编"][:4] != real["postcode"][:4]:
        faults.append(f"邮编 {row['邮编']} does not lie in {real['county'] or real['city']} ({real['postcode']})")
    return faults


def _names(written: str, official: str) -> bool:
    """Tell whether `written` is the official name or its usual short form (恩施州 for 恩施土家族苗族自治州)."""
    return official.startswith(written) or (official[:2] == written[:2] and official.endswith(written[-1:]))


def _phone_faults(row: dict, prefixes: frozenset[str]) -> list[str]:
    phone, area_code = row["电话"], row["_official"]["area_code"]
    if phone.startswith("0"):
        return [] if phone.startswith(f"{area_code}-") else [f"landline {phone} lies outside {area_code}"]
    digits = phone.removeprefix("+86").removeprefix("86-")
    digits = digits[:3] + _DIGITS.sub("", digits[3:])
    known = digits[:3] in prefixes or digits[:4] in prefixes or "****" in phone
    return [] if known else [f"mobile prefix {digits[:4]} is not allotted"]
