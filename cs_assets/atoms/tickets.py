"""The bundle `tickets`: everything that one message about a repair may name.

One row is one customer of `data/reference/tickets.csv` (name, phone, address, city, an open ticket and one that is
over, an order) who has something to repair: product and fault agree with each other, and so that `SearchSolution`
finds them. Times, membership, reasons and stars stand beside them. Each entity block is an even sample of the full
product of its fields (`even.py`), the faults first.

Blocks share no customer, city, ticket or order number, no wording of a fault and no model of a product; they share
brands, times and small vocabularies (reasons, stars, membership).

    table = tickets_atoms(count=3, seed=7)
    table.row(0, named=True)    # {"称呼": "陈建国", "产品": "联想笔记本", "故障": "开不了机", ...}
"""

import datetime
import functools
import operator
from collections.abc import Callable
from typing import Final

import numpy as np
import polars as pl

from cs_assets.atoms.blocks import BLOCK_COUNT, atom_ids, of_block, sample_blocks
from cs_assets.atoms.even import even_sample
from cs_assets.atoms.times import REFERENCE_INSTANT, spoken_times
from cs_assets.families.tools import BOOKABLE_DAYS, TODAY, product_kinds, spoken_day
from cs_assets.reference import reference_table

# As many of one kind as of the other: half the customers who mention it are members.
MEMBERSHIPS: Final = (
    "我是会员",
    "我是VIP",
    "我是vip客户",
    "我有会员",
    "我是老会员了",
    "我办了会员",
    "不是会员",
    "我不是会员",
    "我没办会员",
    "我没开VIP",
    "我还不是会员",
    "没有会员",
)
REASONS: Final = (
    "自己弄好了",
    "已经修好了",
    "不想修了",
    "买新的了",
    "要出差",
    "家里没人",
    "找别人修了",
    "重启一下又好了",
    "修起来太贵了",
    "等太久了",
    "重复下单了",
    "时间凑不上",
    "孩子给弄好了",
    "准备换新的",
    "楼下师傅给修了",
    "约错了",
)
STARS: Final = (
    "五星",
    "5星",
    "5分",
    "满分",
    "四星",
    "4星",
    "4分",
    "三星",
    "3星",
    "3分",
    "两星",
    "2分",
    "一星",
    "1星",
    "1分",
)
# Nobody comes before 8 or after 22 o'clock.
_OPENS, _CLOSES = "08:00:00", "22:00:00"
# The vocabulary of visits: every so many of the commonest expressions, so that all kinds of wording occur.
_VISITS: Final = 300
_COMMON_VISITS: Final = 1_500


def tickets_atoms(count: int, seed: int, chunk: int = 0) -> pl.DataFrame:
    """Make `count` coherent rows.

    Columns: atom_id (u32), entity_block (u8) and the slots, all strings: 称呼, 电话, 地址, 城市, 产品, 故障, 师傅专长,
    日期, 上门时间, 旧上门时间, 会员身份, 工单号 (an open one), 完工单号, 订单号, 取消原因, 评分.
    """
    rng = np.random.default_rng([seed, chunk])
    blocks = sample_blocks(rng, count)
    # The rows of a block stand together while they are made, and return to their places at the end.
    order = np.argsort(blocks, kind="stable")
    sizes = np.bincount(blocks, minlength=BLOCK_COUNT)
    made = pl.concat([_block_rows(rng, block, int(size)) for block, size in enumerate(sizes)])
    return made[np.argsort(order, kind="stable")].select(
        atom_ids(chunk, count),
        pl.Series("entity_block", blocks),
        pl.all(),
    )


def _block_rows(rng: np.random.Generator, block: int, count: int) -> pl.DataFrame:
    complaints, customers, visits = _complaints(block), _customers(block), _visits()
    fields = {
        "complaint": complaints.height,
        "customer": customers.height,
        "visit": len(visits),
        "membership": len(MEMBERSHIPS),
        "day": len(_days()),
        "reason": len(REASONS),
        "stars": len(STARS),
        "spelling": 4,
        "later": len(visits) - 1,
        "suffix": 2,
    }
    drawn = dict(zip(fields, even_sample(list(fields.values()), count, rng).T, strict=True))
    customer = customers[drawn["customer"]]
    complaint = complaints[drawn["complaint"]]
    return pl.DataFrame(
        {
            "称呼": customer["user_name"],
            "电话": customer["phone"],
            "地址": customer["address"],
            "城市": customer["city"] + pl.Series(("", "市")).gather(drawn["suffix"]),
            "产品": complaint["product"],
            "故障": complaint["fault"],
            "师傅专长": complaint["skill_word"],
            "日期": _days().gather(drawn["day"]),
            "上门时间": visits.gather(drawn["visit"]),
            "旧上门时间": visits.gather((drawn["visit"] + 1 + drawn["later"]) % len(visits)),
            "会员身份": pl.Series(MEMBERSHIPS).gather(drawn["membership"]),
            "工单号": _typed_numbers(customer["open"], drawn["spelling"]),
            "完工单号": _typed_numbers(customer["over"], drawn["spelling"]),
            "订单号": customer["order_id"],
            "取消原因": pl.Series(REASONS).gather(drawn["reason"]),
            "评分": pl.Series(STARS).gather(drawn["stars"]),
        }
    )


def _typed_numbers(numbers: pl.Series, spelling: np.ndarray) -> pl.Series:
    """Return ticket numbers as customers type them: half as they are, else in small letters or without the letters."""
    typed = pl.DataFrame({"number": numbers, "spelling": spelling})
    return typed.select(
        pl.when(pl.col("spelling") == 0)
        .then(pl.col("number").str.to_lowercase())
        .when(pl.col("spelling") == 1)
        .then(pl.col("number").str.strip_prefix("WX"))
        .otherwise("number")
        .alias("number")
    )["number"]


@functools.lru_cache(maxsize=BLOCK_COUNT)
def _customers(block: int) -> pl.DataFrame:
    """Return the block's customers: user_name, phone, address, city, order_id, open and over (ticket numbers)."""
    own = reference_table("tickets").filter(pl.col("block") == str(block))
    over = own.filter(pl.col("status") == "已完成").select("phone", over="ticket_id")
    opened = own.filter(pl.col("status") != "已完成").rename({"ticket_id": "open"})
    columns = ("user_name", "phone", "address", "city", "order_id", "open", "over")
    return opened.join(over, on="phone").select(columns).sort("phone")


@functools.lru_cache(maxsize=BLOCK_COUNT)
def _complaints(block: int) -> pl.DataFrame:
    """Return what a customer of the block may complain of: product, fault, and a word for who repairs it."""
    faults = reference_table("solutions").select("kind", fault=pl.col("said").str.split("|")).explode("fault")
    rows = []
    for kind, fault in of_block(faults.rows(), block):
        products, skill_words = _products(kind, block)
        rows += [(product, fault, skill_words[n % len(skill_words)]) for n, product in enumerate(products)]
    return pl.DataFrame(rows, schema=["product", "fault", "skill_word"], orient="row")


@functools.lru_cache
def _products(kind: str, block: int) -> tuple[list[str], list[str]]:
    """Return how the block's customers call a product of the kind, and the two commonest words for the kind."""
    row = reference_table("repairable").row(by_predicate=pl.col("kind") == kind, named=True)
    words = row["words"].split("|")
    devices = reference_table("devices").filter(pl.col("kind") == kind)["spoken"].str.split("|").explode()
    branded = [brand + words[0] for brand in row["brands"].split("|")]
    return [*branded, *words, *of_block(devices.to_list(), block)], words[:2]


@functools.lru_cache(maxsize=1)
def _days() -> pl.Series:
    """Return the days for which a technician can be booked, as said."""
    return _bookable(spoken_times(REFERENCE_INSTANT, "date"))["said"]


@functools.lru_cache(maxsize=1)
def _visits() -> pl.Series:
    """Return times of a visit, as said."""
    times = _bookable(spoken_times(REFERENCE_INSTANT, "slot")).filter(
        pl.col("earliest").str.slice(11, 8) >= _OPENS, pl.col("latest").str.slice(11, 8) <= _CLOSES
    )
    return times.head(_COMMON_VISITS).gather_every(_COMMON_VISITS // _VISITS)["said"]


def _bookable(times: pl.DataFrame) -> pl.DataFrame:
    """Return the times of a single day, from tomorrow to the last bookable one, commonest first.

    618 is left out: it reads like a number.
    """
    last = TODAY + datetime.timedelta(days=BOOKABLE_DAYS - 1)
    day = pl.col("earliest").str.head(10)
    return times.filter(
        day == pl.col("latest").str.head(10),
        day > TODAY.isoformat(),
        day <= last.isoformat(),
        ~pl.col("said").str.starts_with("618"),
    ).sort("weight", "said", descending=[True, False])


# --- The check: it reads the finished table and compares it with the reference tables.


def tickets_faults(atoms: pl.DataFrame) -> pl.DataFrame:
    """Return the rows whose values contradict each other or the tables: atom_id and reason, empty when all is well."""
    tickets = reference_table("tickets").with_columns(pl.col("block").cast(pl.UInt8))
    cities = atoms.with_columns(pl.col("城市").str.strip_suffix("市"))
    found = [
        _ticket_faults(atoms, tickets, "工单号", over=False),
        _ticket_faults(atoms, tickets, "完工单号", over=True),
        _unlisted(atoms, ["称呼", "电话", "地址", "订单号"], ["user_name", "phone", "address", "order_id"], tickets),
        _unlisted(cities, ["电话", "城市"], ["phone", "city"], tickets),
        _unserved_cities(cities),
        _unfitting(atoms, ["产品", "故障"], _has_solution, "SearchSolution finds nothing for"),
        _unfitting(atoms, ["产品", "师傅专长"], _has_skill, "the skill does not fit"),
        _unfitting(atoms, ["日期"], _is_bookable, "no bookable day:"),
        _unfitting(atoms, ["上门时间"], _is_bookable, "no bookable time:"),
        _unfitting(atoms, ["上门时间", "旧上门时间"], operator.ne, "moved to the same time:"),
    ]
    return pl.concat(found).sort("atom_id", "reason")


def _faulty(rows: pl.DataFrame, reason: pl.Expr) -> pl.DataFrame:
    return rows.select(pl.col("atom_id").cast(pl.UInt32), reason=reason)


def _ticket_faults(atoms: pl.DataFrame, tickets: pl.DataFrame, slot: str, over: bool) -> pl.DataFrame:
    """Return the rows whose ticket is not the customer's, of another block, or not in the state that the slot says."""
    digits = pl.col(slot).str.extract(r"^(?i:WX)?(\d{8})$")
    numbered = atoms.with_columns(ticket_id=pl.lit("WX") + digits)
    joined = numbered.join(tickets.select("ticket_id", "block", "phone", "status"), on="ticket_id", how="left")
    right = (
        (pl.col("phone") == pl.col("电话"))
        & (pl.col("block") == pl.col("entity_block"))
        & ((pl.col("status") == "已完成") == over)
    )
    wrong = joined.filter(~right.fill_null(False))
    return _faulty(wrong, pl.format("{} {} is not such a ticket of {}", pl.lit(slot), slot, "电话"))


def _unlisted(atoms: pl.DataFrame, slots: list[str], columns: list[str], tickets: pl.DataFrame) -> pl.DataFrame:
    """Return the rows whose slots stand in no row of the tickets together."""
    wrong = atoms.join(tickets, left_on=slots, right_on=columns, how="anti")
    return _faulty(wrong, pl.format("no ticket has {}", pl.concat_str(slots, separator=", ")))


def _unserved_cities(atoms: pl.DataFrame) -> pl.DataFrame:
    served = reference_table("technicians").select("city").unique()
    wrong = atoms.join(served, left_on="城市", right_on="city", how="anti")
    return _faulty(wrong, pl.format("no technician in {}", "城市"))


def _unfitting(atoms: pl.DataFrame, slots: list[str], fits: Callable[..., bool], reason: str) -> pl.DataFrame:
    """Return the rows whose values of `slots` do not fit; each combination is looked at once."""
    distinct = atoms.select(slots).unique()
    wrong = distinct.filter(pl.Series([not fits(*values) for values in distinct.iter_rows()], dtype=pl.Boolean))
    return _faulty(atoms.join(wrong, on=slots), pl.format(f"{reason} {{}}", pl.concat_str(slots, separator=", ")))


def _has_solution(product: str, fault: str) -> bool:
    return any((kind, fault) in _known_faults() for kind in product_kinds(product))


def _has_skill(product: str, word: str) -> bool:
    skills = dict(reference_table("repairable").select("kind", "skill").iter_rows())
    return bool({skills[kind] for kind in product_kinds(product)} & {skills[kind] for kind in product_kinds(word)})


def _is_bookable(said: str) -> bool:
    day = spoken_day(said)
    return day is not None and 0 < (day - TODAY).days < BOOKABLE_DAYS


@functools.lru_cache(maxsize=1)
def _known_faults() -> frozenset[tuple[str, ...]]:
    faults = reference_table("solutions").select("kind", pl.col("said").str.split("|")).explode("said")
    return frozenset(faults.iter_rows())
