"""Whether the entities of a row belong together: the check behind `atomic_table`.

It reads the finished table and compares it with the reference tables; it trusts nothing that the generators claim.

    shipping_faults(atoms)      # atom_id, reason: 41, "市 '广州市' is not 深圳市"
"""

import functools
from typing import Final

import polars as pl

from cs_assets.atoms.blocks import CHUNK_ROWS
from cs_assets.atoms.columns import joined
from cs_assets.atoms.divisions import ZONES, all_divisions, short_province, townships, written_regions
from cs_assets.atoms.people import mobile_prefixes

_SCHEMA: Final = {"atom_id": pl.UInt32, "reason": pl.String}
_TOWNSHIP: Final = r"^(\p{Han}+?(?:街道|镇|乡|苏木))"
_STREET: Final = r"^(\p{Han}+)"
_LANDLINE: Final = r"^0(?:[12]\d-[2-8]\d{7}|[3-9]\d{2}-[2-8]\d{6,7})(?:(?:转|-)\d{1,6})?$"
_MOBILE: Final = r"^(?:\+86|86-)?(1\d{2}(?:\d{8}| \d{4} \d{4}|-\d{4}-\d{4}|\*{4}\d{4}))(?:(?:转|-)\d{1,6})?$"
# What is dialled where: in Hong Kong eight digits, in Macao too, whose mobiles begin with 6 and lines with 28; a mobile
# of Taiwan is 9 and eight more. All with the code of the country call, for a mainland shop could not ring otherwise.
_OUTSIDE: Final = {
    "+852": r"^\+?852[ -]?[2-9]\d{3} ?\d{4}$",
    "+853": r"^\+?853[ -]?(?:6\d|28)\d{2} ?\d{4}$",
    "+886": r"^\+?886[ -]?9\d{2} ?\d{3} ?\d{3}$",
}
# The longest region as written, in characters: what an old address begins with is looked for no further.
_REGION: Final = 26

Rule = tuple[pl.Expr, pl.Expr]  # the reason, and when it applies


def shipping_faults(atoms: pl.DataFrame) -> pl.DataFrame:
    """Return atom_id and reason of each row of `shipping` that contradicts itself; empty when all is well."""
    found = [_faults(rows) for rows in atoms.iter_slices(CHUNK_ROWS)]
    return pl.concat([pl.DataFrame(schema=_SCHEMA), *found])


def _faults(atoms: pl.DataFrame) -> pl.DataFrame:
    """Hold the rows against every rule. Where the division does not exist, no other rule that needs it speaks."""
    claimed = atoms.select(pl.col("_official").struct.unnest())
    real = claimed.select("code").join(_known_divisions(), on="code", how="left", maintain_order="left")
    rows = pl.concat(
        [
            atoms.select("atom_id", "电话", "旧电话", "邮编", "详细地址", "含地区的详细地址", "旧地址"),
            atoms.select(pl.col("地址").struct.field("param").struct.unnest()),
            real,
            claimed.select(pl.struct(pl.all()).alias("claimed")),
        ],
        how="horizontal",
    ).lazy()
    rules = [*_place_rules(), *_phone_rules("电话"), *_phone_rules("旧电话")]
    return pl.concat(pl.collect_all(rows.filter(applies).select("atom_id", reason=reason) for reason, applies in rules))


@functools.lru_cache(maxsize=1)
def _known_divisions() -> pl.DataFrame:
    """Return every division with `outside`, whether it lies outside the mainland, and its province's short name."""
    short = {name: short_province(name) for name in all_divisions()["province"].unique()}
    return all_divisions().with_columns(
        outside=pl.col("area_code").str.starts_with("+"), short=pl.col("province").replace_strict(short)
    )


@functools.lru_cache(maxsize=1)
def _place_rules() -> list[Rule]:
    exists = pl.col("province").is_not_null()
    province = pl.any_horizontal(pl.col("省") == known for known in (pl.lit(""), pl.col("short"), pl.col("province")))
    zoned = pl.col("县").is_in(ZONES) & ~pl.col("outside") & (pl.col("city") != "") & (pl.col("county") != "")
    written = joined("省", "市", "县", "详细地址")
    below = _below(pl.col("详细地址"), pl.col("area_code"))
    region = pl.col("旧地址").str.head(_REGION).str.extract_many(_regions(), leftmost=True).list.first()
    return [
        (pl.format("division {} does not exist", "code"), ~exists),
        (
            pl.format("_official contradicts division {}", "code"),
            exists & (pl.col("claimed") != pl.struct(all_divisions().columns)),
        ),
        (pl.format("省 '{}' is not {}", "省", "province"), ~province),
        (pl.format("市 '{}' is not {}", "市", "city"), ~_names("市", "city")),
        (pl.format("县 '{}' is not {}", "县", "county"), ~_names("县", "county") & ~zoned),
        (
            pl.format("邮编 {} does not lie in {}{} ({})", "邮编", "city", "county", "postcode"),
            ~_postcode_fits(),
        ),
        (pl.format("含地区的详细地址 is not {}", written), pl.col("含地区的详细地址") != written),
        (
            pl.format("{} does not lie in {}{}", below, "city", "county"),
            exists & ~joined("code", below).is_in(_places_below().implode()),
        ),
        (
            pl.format("旧地址 {} begins with no region", "旧地址"),
            ~pl.col("旧地址").str.starts_with(region.fill_null("\n")),
        ),
    ]


def _names(written: str, official: str) -> pl.Expr:
    """Tell whether a column names the official place or its usual short form (恩施州 for 恩施土家族苗族自治州).

    A level may be left out only outside the mainland.
    """
    name, whole = pl.col(written), pl.col(official)
    short = (name.str.head(2) == whole.str.head(2)) & (name.str.tail(1) == whole.str.tail(1))
    return pl.when(name == "").then((whole == "") | pl.col("outside")).otherwise(whole.str.starts_with(name) | short)


def _postcode_fits() -> pl.Expr:
    """Tell whether the postcode is one of the place: the last two digits of six are the delivery office's."""
    written, known = pl.col("邮编"), pl.col("postcode")
    six = written.str.contains(r"^\d{6}$") & (written.str.head(4) == known.str.head(4))
    return pl.when(pl.col("outside")).then((written == "") | (written == known)).otherwise(six)


def _below(detail: pl.Expr, area_code: pl.Expr) -> pl.Expr:
    """Return what a detail begins with, null if nothing: in Hong Kong and Macao a street, elsewhere a township."""
    streets = area_code.is_in(["+852", "+853"])
    return pl.when(streets).then(detail.str.extract(_STREET)).otherwise(detail.str.extract(_TOWNSHIP))


@functools.lru_cache(maxsize=1)
def _places_below() -> pl.Series:
    """Return the code of every division joined with each place below it, as `_below` reads that (古镇 of 古镇镇)."""
    names = townships().explode("name").join(all_divisions(), left_on="county_code", right_on="code")
    below = names.select("county_code", name=_below(pl.col("name"), pl.col("area_code"))).drop_nulls()
    return below.select(joined("county_code", "name")).to_series().unique().sort()


@functools.lru_cache(maxsize=1)
def _regions() -> list[str]:
    """Return every region as it may be written, with a zone in the district's place too."""
    zones = pl.DataFrame({"县": ZONES})
    zoned = written_regions().filter("zonable").select("省", "市").join(zones, how="cross")
    written = pl.concat([written_regions().select("省", "市", "县"), zoned])
    return sorted(set(written.select(joined("省", "市", "县")).to_series()))


def _phone_rules(column: str) -> list[Rule]:
    phone = pl.col(column)
    outside, landline = pl.col("outside"), phone.str.starts_with("0")
    elsewhere = landline & ~phone.str.starts_with(pl.col("area_code") + "-")
    mobile = phone.str.extract(_MOBILE)
    digits = mobile.str.replace_all("[ -]", "")
    shaped = pl.when(landline).then(phone.str.contains(_LANDLINE)).otherwise(mobile.is_not_null())
    heads = sorted({prefix[:3] for prefix in mobile_prefixes()})
    # A masked number shows three digits, which may be those of many prefixes.
    allotted = (
        pl.when(digits.str.contains("*", literal=True))
        .then(digits.str.head(3).is_in(heads))
        .otherwise(digits.str.head(3).is_in(mobile_prefixes()) | digits.str.head(4).is_in(mobile_prefixes()))
    )
    foreign = pl.any_horizontal(
        (pl.col("area_code") == code) & phone.str.contains(shape) for code, shape in _OUTSIDE.items()
    )
    return [
        (pl.format("landline {} lies outside {}", phone, "area_code"), ~outside & elsewhere),
        (pl.format("mobile prefix {} is not allotted", digits.str.head(4)), ~outside & ~allotted),
        (pl.format("{} {} is no number that exists", pl.lit(column), phone), ~outside & ~elsewhere & ~shaped),
        (pl.format("{} {} is no number of {}", pl.lit(column), phone, "province"), outside & ~foreign),
    ]
