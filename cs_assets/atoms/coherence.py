"""Whether the entities of a row belong together: the check behind `atomic_table`.

It reads the finished table and compares it with the reference tables; it trusts nothing that the generators claim.

    shipping_faults(atoms)      # atom_id, reason: 41, "市 '广州市' is not 深圳市"

What no table tells is not checked: whether a street, an estate, a village or a company exists, whether a number is in
use, whether postcode and township agree within a county, and, of the old address, anything behind its township.
"""

import functools
from typing import Final

import polars as pl

from cs_assets.atoms.blocks import CHUNK_ROWS
from cs_assets.atoms.columns import joined
from cs_assets.atoms.divisions import (
    NAMED_ZONES,
    REGION_STYLES,
    ZONE_NAMES,
    ZONES,
    all_divisions,
    short_province,
    townships,
    written_regions,
)
from cs_assets.atoms.people import DIGIT_NUMERALS, FULL_WIDTH_DIGITS, mobile_prefixes, subscriber_digits
from cs_assets.atoms.places import DEVELOPERS_ESTATE, TOWN_FLOORS

_SCHEMA: Final = {"atom_id": pl.UInt32, "reason": pl.String}
# To the last of these characters: 革镇堡街道 is no 镇, and 三乡镇 no 乡.
_TOWNSHIP: Final = r"^(\p{Han}+(?:街道|镇|乡|苏木))"
_STREET: Final = r"^(\p{Han}+)"
_VILLAGE: Final = r"(?:^|街道|镇|乡|苏木)(\p{Han}+村(?:\d+组|村委会|村口|小学对面|卫生室|文化广场).*)$"
_FLAT: Final = r"[栋幢座层]|单元|号楼|#|\d楼|\d室|\d-\d"
_FLOOR: Final = r"(\d{1,2})(?:0\d室?|[楼层])$"
# Companies, schools and hospitals are named after their place.
_INSTITUTION: Final = r"号(\p{Han}+(?:有限公司|小学|中学|学校|学院|医院|保健院))"
_NAME: Final = r"^(?:\p{Han}{2,7}(?:·\p{Han}{2,7})?|\p{Han}{1,2}\*{1,2}|[A-Z][a-z]+ ?(?:[A-Z][a-z]*|\p{Han}{1,2})?)$"
# An address begins with a word, or with the number of a road, a regiment or a unit (G320国道, 94120部队).
_ADDRESS: Final = r"^(?:\p{Han}{2}.|[A-Z]?\d+\p{Han}{2}|\d+团\d)"
_EXTENSION: Final = r"(?:(?:转接?(?:分机)?|分机|ext\.?|-|#|,)\d{1,6}(?:再转\d)?)?$"
_PUNCTUATION: Final = {"〇": "0", "O": "0", "—": "-", "－": "-"} | dict.fromkeys("（）() ", "")
_MOBILE: Final = rf"^(1\d{{2}}(?:\d{{8}}|[.-]\d{{4}}[.-]\d{{4}}|[*xX×]{{4}}\d{{4}})){_EXTENSION}"
_SUBSCRIBER: Final = rf"^-?([2-8]\d{{2,3}}-?\d{{4}}){_EXTENSION}"
_HOTLINE: Final = rf"^[48]00-?\d{{3}}-?\d{{4}}{_EXTENSION}"
# What is dialled where: in Hong Kong eight digits, in Macao too, whose mobiles begin with 6 and lines with 28; a mobile
# of Taiwan is 9 and eight more. All with the code of the country call, for a mainland shop could not ring otherwise.
_OUTSIDE: Final = {
    "+852": r"^\+?852[ -]?[2-9]\d{3} ?\d{4}$",
    "+853": r"^\+?853[ -]?(?:6\d|28)\d{2} ?\d{4}$",
    "+886": r"^\+?886[ -]?9\d{2} ?\d{3} ?\d{3}$",
}
# The longest region as written, in characters: what an old address begins with is looked for no further.
_REGION: Final = 26
# Of these the tables tell nothing, but that there is something.
_FREE_TEXTS: Final = ("商品", "配送备注", "送达时间", "数量", "金额")
_PHONES: Final = ("电话", "旧电话", "备用电话")

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
            atoms.select("atom_id", *_PHONES, "邮编", "订单号", "旧名字", "旧县", "订单尾号", "身份证号", *_FREE_TEXTS),
            # A gap in an address says nothing.
            atoms.select(pl.col("详细地址", "旧门牌", "含地区的详细地址", "旧地址").str.replace_all(r"[\s，,、]", "")),
            atoms.select(名字=pl.col("名字").struct.field("param").struct.field("输出")),
            atoms.select(pl.col("地址").struct.field("param").struct.unnest()),
            real,
            claimed.select(pl.struct(pl.all()).alias("claimed")),
        ],
        how="horizontal",
    ).with_columns(*_readings())
    exists = pl.col("province").is_not_null()
    rules = [*_region_rules(), *_detail_rules(), *_old_place_rules(), *_order_rules()]
    rules += [rule for column in _PHONES for rule in _phone_rules(column)]
    # What a null makes undecided is a fault, too.
    applied = [(pl.format("division {} does not exist", "code"), ~exists)]
    applied += [(reason.fill_null("a slot is null"), exists & applies.fill_null(True)) for reason, applies in rules]
    wrong = rows.lazy()
    return pl.concat(
        pl.collect_all(wrong.filter(applies).select("atom_id", reason=reason) for reason, applies in applied)
    )


@functools.lru_cache(maxsize=1)
def _readings() -> list[pl.Expr]:
    """Return what several rules read from an address, named; null where it is not written."""
    detail, old = pl.col("详细地址"), pl.col("旧地址").str.head(_REGION)
    return [
        _below(detail, pl.col("area_code")).alias("below"),
        detail.str.extract(_INSTITUTION).alias("institution"),
        old.str.extract_many(_regions(), leftmost=True).list.first().alias("old_region"),
    ]


@functools.lru_cache(maxsize=1)
def _known_divisions() -> pl.DataFrame:
    """Return every division with `outside`, whether it lies outside the mainland, and its province's short name."""
    short = {name: short_province(name) for name in all_divisions()["province"].unique()}
    return all_divisions().with_columns(
        outside=pl.col("area_code").str.starts_with("+"), short=pl.col("province").replace_strict(short)
    )


@functools.lru_cache(maxsize=1)
def _region_rules() -> list[Rule]:
    province = (pl.col("省") == "") | (pl.col("省") == pl.col("short")) | _names("省")
    nowhere = ~pl.col("outside") & (pl.col("市") == "") & (pl.col("县") == "")
    zonable = ~pl.col("outside") & (pl.col("city") != "") & (pl.col("county") != "")
    written = joined("省", "市", "县", "详细地址")
    return [
        (
            pl.format("_official contradicts division {}", "code"),
            pl.col("claimed") != pl.struct(all_divisions().columns),
        ),
        (pl.format("省 '{}' is not {}", "省", "province"), ~province),
        (pl.format("市 '{}' is not {}", "市", "city"), ~_names("市")),
        (pl.format("县 '{}' is not {}", "县", "county"), ~_names("县") & ~(_of_this_city() & zonable)),
        (pl.format("neither {} nor {} is written", "city", "county"), nowhere),
        (pl.format("旧县 {} is no other county of {}", "旧县", "city"), ~_is_neighbour()),
        (
            pl.format("邮编 {} does not lie in {}{} ({})", "邮编", "city", "county", "postcode"),
            ~_postcode_fits(),
        ),
        (pl.format("含地区的详细地址 is not {}", written), pl.col("含地区的详细地址") != written),
    ]


@functools.lru_cache(maxsize=1)
def _detail_rules() -> list[Rule]:
    detail, mainland = pl.col("详细地址"), ~pl.col("outside")
    below, institution = pl.col("below"), pl.col("institution")
    township = pl.when(mainland).then(below).fill_null("")
    behind, floor = detail.str.slice(township.str.len_chars()), detail.str.extract(_FLOOR).cast(pl.Int64)
    rural, town = township.str.contains("(?:乡|苏木)$"), township.str.ends_with("镇")
    village = detail.str.extract(_VILLAGE, 0)
    urban = mainland & (pl.col("county").str.ends_with("区") | _zoned())
    estate = behind.str.extract(DEVELOPERS_ESTATE, 0)
    namesake = institution.str.extract_many(_longest_first(_namesakes()["name"]), leftmost=True).list.first()
    own = _namesakes().select(joined("code", "name")).to_series()
    foreign = institution.str.starts_with(namesake) & ~joined("code", namesake).is_in(own.implode())
    return [
        (pl.format("详细地址 '{}' is no address", detail), ~detail.str.contains(_ADDRESS)),
        (
            pl.format("{} does not lie in {}{}", below, "city", "county"),
            below.is_not_null() & ~joined("code", below).is_in(_places_below().implode()),
        ),
        (
            pl.format("{} stands beside {}, and no township is the zone's", "县", township),
            _zoned() & (township != ""),
        ),
        (
            pl.format("{} is a village, and {}{} is urban", village, "city", "county"),
            village.is_not_null() & urban & ~rural & ~town,
        ),
        (pl.format("{} has no flats: {}", township, detail), rural & behind.str.contains(_FLAT)),
        (pl.format("{} has no house with {} floors", township, floor), town & (floor > TOWN_FLOORS).fill_null(False)),
        (pl.format("{} has no {}", township, estate), town & estate.is_not_null()),
        (pl.format("{} is named after another place", institution), foreign.fill_null(False)),
        (
            pl.format("旧门牌 '{}' is {} or none", "旧门牌", detail),
            (pl.col("旧门牌") == detail) | ~pl.col("旧门牌").str.contains(_ADDRESS),
        ),
    ]


@functools.lru_cache(maxsize=1)
def _old_place_rules() -> list[Rule]:
    old, region = pl.col("旧地址"), pl.col("old_region")
    area = pl.when(region.str.contains("^(?:香港|澳门)")).then(pl.lit("+852")).otherwise(pl.lit(""))
    below = _below(old.str.slice(region.str.len_chars()), area)
    return [
        (pl.format("旧地址 {} begins with no region", old), ~old.str.starts_with(region.fill_null("\n"))),
        (
            pl.format("旧地址: {} does not lie in {}", below, region),
            old.str.starts_with(region).fill_null(False)
            & below.is_not_null()
            & ~joined(region, below).is_in(_places_below_regions().implode()),
        ),
    ]


def _order_rules() -> list[Rule]:
    return [
        (pl.format("名字 '{}' is no name", "名字"), ~pl.col("名字").str.contains(_NAME)),
        (
            pl.format("旧名字 '{}' is no other name", "旧名字"),
            ~pl.col("旧名字").str.contains(_NAME) | (pl.col("旧名字") == pl.col("名字")),
        ),
        (
            pl.format("订单尾号 {} does not end {}", "订单尾号", "订单号"),
            ~pl.col("订单号").str.ends_with(pl.col("订单尾号")),
        ),
        (
            pl.format("身份证号 '{}' is no identity number", "身份证号"),
            ~pl.col("身份证号").str.contains(r"^\d{17}[\dX]$"),
        ),
        (pl.format("订单号 '{}' is no order number", "订单号"), ~pl.col("订单号").str.contains(r"^\d{18}$")),
        *((pl.lit(f"{slot} is empty"), pl.col(slot) == "") for slot in _FREE_TEXTS),
    ]


def _zoned() -> pl.Expr:
    return pl.col("县").is_in(ZONE_NAMES)


def _of_this_city() -> pl.Expr:
    """Tell whether a zone is one that every city may have, or that its city has."""
    named = [city + zone for city, zones in NAMED_ZONES.items() for zone in zones.split()]
    return pl.col("县").is_in(ZONES) | joined("city", "县").is_in(named)


def _names(level: str) -> pl.Expr:
    """Tell whether 省, 市 or 县 is left out, or written as customers write the division."""
    return (pl.col(level) == "") | joined("code", level).is_in(
        _coded_regions().select(joined("code", level)).to_series().implode()
    )


def _is_neighbour() -> pl.Expr:
    """Tell whether 旧县 is a county of the same city, and not the one that is written; empty where that is."""
    other = (pl.col("旧县") != pl.col("县")) & joined("province", "city", "旧县").is_in(_counties().implode())
    return pl.when(pl.col("县") == "").then(pl.col("旧县") == "").otherwise((pl.col("旧县") == "") | other)


@functools.lru_cache(maxsize=1)
def _counties() -> pl.Series:
    """Return every county as it may be written, behind province and city."""
    known = _coded_regions().join(all_divisions(), on="code").filter(pl.col("县") != "")
    return known.select(joined("province", "city", "县")).to_series().unique().sort()


@functools.lru_cache(maxsize=1)
def _coded_regions() -> pl.DataFrame:
    """Return `written_regions()` with the code of each."""
    spellings = len(REGION_STYLES) * 2
    codes = all_divisions()["code"].gather(pl.int_range(written_regions().height, eager=True) // spellings)
    return written_regions().with_columns(codes)


@functools.lru_cache(maxsize=1)
def _namesakes() -> pl.DataFrame:
    """Return code and name: what a company of each division may be named after (深圳市, 深圳, 仙桃)."""
    found = []
    for level in ("city", "county"):
        named = all_divisions().filter(pl.col(level).str.contains("[市县]$")).select("code", name=level)
        found += [named, named.with_columns(pl.col("name").str.strip_suffix("市"))]
    return pl.concat(found).filter(pl.col("name").str.len_chars() > 1).unique(maintain_order=True)


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
def _places_below_regions() -> pl.Series:
    """Return every region as written, joined with each place below it."""
    names = townships().explode("name").join(all_divisions(), left_on="county_code", right_on="code")
    below = names.select(code="county_code", name=_below(pl.col("name"), pl.col("area_code"))).drop_nulls().unique()
    regions = _coded_regions().select("code", region=joined("省", "市", "县")).unique()
    return regions.join(below, on="code").select(joined("region", "name")).to_series().unique().sort()


@functools.lru_cache(maxsize=1)
def _regions() -> list[str]:
    """Return every region as it may be written, with a zone in the district's place too, the longest first."""
    zones = pl.DataFrame({"县": sorted(ZONE_NAMES)})
    zoned = written_regions().filter("zonable").select("省", "市").join(zones, how="cross")
    written = pl.concat([written_regions().select("省", "市", "县"), zoned])
    return _longest_first(written.select(joined("省", "市", "县")).to_series())


def _longest_first(names: pl.Series) -> list[str]:
    """Order patterns such that the leftmost match is the longest, too: 吉林市 before 吉林."""
    return sorted(set(names), key=lambda name: (-len(name), name))


def _dialled(phone: pl.Expr) -> pl.Expr:
    """Return a number of the mainland in digits, without brackets, spaces and country code."""
    digits = {written: digit for table in (FULL_WIDTH_DIGITS, DIGIT_NUMERALS) for digit, written in table.items()}
    plain = phone.str.replace_many(digits | _PUNCTUATION)
    # From abroad, and by some at home, the area's code is dialled without its 0.
    plain = plain.str.replace(r"^\+86-(10-|[2-9]\d{1,2}-)", "0$1")
    return plain.str.replace(r"^(?:\+86-?|86-|0086|86(1\d{10})$)", "$1")


def _phone_rules(column: str) -> list[Rule]:
    phone, dialled = pl.col(column), _dialled(pl.col(column))
    outside, area = pl.col("outside"), pl.col("area_code")
    landline = dialled.str.starts_with("0")
    elsewhere = landline & ~dialled.str.starts_with(area)
    mobile = dialled.str.extract(_MOBILE)
    digits = mobile.str.replace_all("[.-]", "")
    # Without an area code it is a number of the same place.
    subscriber = (
        dialled.str.slice(pl.when(landline).then(area.str.len_bytes()).otherwise(0))
        .str.extract(_SUBSCRIBER)
        .str.replace("-", "")
    )
    whole = (subscriber.str.len_bytes() == subscriber_digits(area)).fill_null(False)
    shaped = whole | (~landline & (mobile.is_not_null() | dialled.str.contains(_HOTLINE)))
    heads = sorted({prefix[:3] for prefix in mobile_prefixes()})
    # A masked number shows three digits, which may be those of many prefixes.
    allotted = (
        pl.when(digits.str.contains("[*xX×]"))
        .then(digits.str.head(3).is_in(heads))
        .otherwise(digits.str.head(3).is_in(mobile_prefixes()) | digits.str.head(4).is_in(mobile_prefixes()))
    )
    foreign = pl.any_horizontal(
        (pl.col("area_code") == code) & phone.str.contains(shape) for code, shape in _OUTSIDE.items()
    )
    return [
        (pl.format("landline {} lies outside {}", phone, "area_code"), ~outside & elsewhere),
        (pl.format("mobile prefix {} is not allotted", digits.str.head(4)), ~outside & ~allotted.fill_null(True)),
        (pl.format("{} {} is no number that exists", pl.lit(column), phone), ~outside & ~elsewhere & ~shaped),
        (pl.format("{} {} is no number of {}", pl.lit(column), phone, "province"), outside & ~foreign),
    ]
