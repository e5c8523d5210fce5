"""The bundle `repairs`: a customer with something to repair, and with what each way through a repair needs.

One row is one customer: name, product, fault, city, address, a day and a time at which a technician is free there for
such a product. A workflow takes other ways too, so each row holds, privately, a problem of every kind (the customer can
solve it, a technician must come, nobody knows it) and a place of every kind (open, its schedule times out once, it
times out twice, no technician at all), all for one skill.

    table = repairs_atoms(count=3, seed=7)
    table["_places"][0]   # [{"城市": "杭州", "详细地址": "滨江区..."}, ...]

There are few problems and few cities with technicians, so blocks share both; names, districts and cities without
technicians are each block's own.
"""

import datetime
import functools
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import polars as pl

from cs_assets.atoms.blocks import BLOCK_COUNT, atom_ids, sample_blocks
from cs_assets.atoms.columns import draw
from cs_assets.atoms.divisions import all_divisions, divisions, sample_townships
from cs_assets.atoms.people import sample_names
from cs_assets.atoms.places import sample_details
from cs_assets.families.tools import product_kinds
from cs_assets.families.workflow.session import SPOKEN_TIMES, bookable_days, skill_of
from cs_assets.reference import reference_table

# How a schedule answers, by how often it times out before: `unserved` has no technician.
PLACES: Final = {"open": 0, "shaky": 1, "down": 2, "unserved": 0}
PROBLEMS: Final = ("advice", "visit", "unknown")
_SKILLS: Final = ("computer", "network", "phone", "printer", "projector")
# What customers ask about and the knowledge base has no answer to: (产品, 故障).
_UNKNOWN: Final = (
    ("笔记本", "转轴咯吱响"),
    ("笔记本", "外壳开裂了"),
    ("电脑", "摄像头糊成一片"),
    ("显示器", "底座断了"),
    ("打印机", "打印特别慢"),
    ("打印机", "扫描出来是歪的"),
    ("路由器", "烫得吓人"),
    ("手机", "后盖翘起来了"),
    ("手机", "拍照有黑点"),
    ("平板", "边框掉漆"),
    ("投影仪", "遥控器不灵了"),
    ("充电器", "线皮破了"),
    ("蓝牙耳机", "左边没声音"),
    ("智能手表", "表带断了"),
    ("扫地机器人", "老撞墙"),
    ("音箱", "滋滋响"),
    ("机械键盘", "灯不亮了"),
    ("鼠标", "双击失灵"),
    ("移动硬盘", "读不出来"),
    ("摄像头", "夜里看不清"),
)
# What a repair desk is asked that is none of its business, said of a product; who is asked for instead of the machine.
_OTHER_MATTERS: Final = (
    "怎么还没发货",
    "快递到哪了",
    "能不能便宜点",
    "有没有学生优惠",
    "还有货吗",
    "不想要了怎么退款",
    "想换货怎么弄",
    "发票什么时候能开",
    "能申请价保吗",
    "什么时候降价",
    "支持分期吗",
    "收货地址填错了能改吗",
    "有赠品吗",
    "积分能抵多少钱",
    "尺寸是多大的",
    "能寄到国外吗",
    "推荐哪个型号",
    "跟去年的款有什么区别",
    "优惠券用不了",
    "快递说签收了我没拿到",
)
_MEMBERSHIPS: Final = ("会员", "VIP", "老会员", "VIP会员", "vip用户")
_PEOPLE: Final = ("人工", "人工客服", "真人", "真人客服", "人工服务")
# Where no technician can ring: lockers, and spots without a door.
_NO_DOOR: Final = "驿站|丰巢|代收|快递|兔喜|门卫|物业|对面|旁边|楼上|往东|隔壁|后面|门口|里面|收发室"


def repairs_atoms(count: int, seed: int, chunk: int = 0) -> pl.DataFrame:
    """Make the `count` coherent rows of one chunk.

    Columns: atom_id (u32), entity_block (u8), the slots of the bundle (strings), `_problems` (list of structs 产品 and
    故障, in the order of PROBLEMS) and `_places` (list of structs 城市 and 详细地址, in the order of PLACES).
    """
    rng = np.random.default_rng([seed, chunk])
    blocks = sample_blocks(rng, count)
    skills = rng.integers(0, len(_SKILLS), count)
    problems = [_sample_problems(rng, skills, kind) for kind in PROBLEMS]
    places = [_sample_places(rng, blocks, skills, kind) for kind in PLACES]
    needed = problems[PROBLEMS.index("visit")]
    appointments = _sample_appointments(rng, places[0]["城市"].to_list(), skills)
    return pl.DataFrame(
        {
            "atom_id": atom_ids(chunk, count),
            "entity_block": blocks,
            "姓名": sample_names(rng, blocks),
            "产品": needed["产品"],
            "故障": needed["故障"],
            "城市": places[0]["城市"],
            "详细地址": places[0]["详细地址"],
            "日期": [day for day, _ in appointments],
            "时间": [time for _, time in appointments],
            "别的事": draw(rng, _OTHER_MATTERS, count),
            "人工": draw(rng, _PEOPLE, count),
            "会员身份": draw(rng, _MEMBERSHIPS, count),
            "_problems": _side_by_side(problems),
            "_places": _side_by_side(places),
        }
    )


def _side_by_side(tables: list[pl.DataFrame]) -> pl.Series:
    """Return a list a row: the rows of the tables, as structs."""
    return pl.DataFrame([table.to_struct(str(n)) for n, table in enumerate(tables)]).select(pl.concat_list(pl.all()))[
        :, 0
    ]


def _pick(rng: np.random.Generator, table: pl.DataFrame, pools: np.ndarray) -> pl.DataFrame:
    """Draw a row of `table` for each of `pools`: one whose column `pool` has that number, each alike."""
    ordered = table.sort("pool", maintain_order=True)
    counts = np.bincount(ordered["pool"].to_numpy(), minlength=int(pools.max(initial=0)) + 1)
    starts = np.cumsum(counts) - counts
    return ordered[starts[pools] + (rng.random(len(pools)) * counts[pools]).astype(np.int64)]


def _sample_problems(rng: np.random.Generator, skills: np.ndarray, kind: str) -> pl.DataFrame:
    table = pl.DataFrame(_UNKNOWN, schema=["产品", "故障"], orient="row").with_columns(pool=0)
    if kind == "unknown":
        return _pick(rng, table, np.zeros_like(skills)).select("产品", "故障")
    known = _known_problems().filter(pl.col("needs_technician") == ("yes" if kind == "visit" else "no"))
    return _pick(rng, known, skills).select("产品", "故障")


@functools.lru_cache(maxsize=1)
def _known_problems() -> pl.DataFrame:
    """Return 产品 and 故障 as customers say them, with needs_technician and `pool`, the position of the skill."""
    kinds = reference_table("repairable").with_columns(words=pl.col("words").str.split("|"))
    plain = kinds.select("kind", "skill", 产品="words").explode("产品")
    of_brands = kinds.with_columns(brand=pl.col("brands").str.split("|")).explode("brand")
    named = of_brands.select("kind", "skill", 产品=pl.col("brand") + pl.col("words").list.first())
    faults = reference_table("solutions").with_columns(故障=pl.col("said").str.split("|")).explode("故障")
    # "它" points back to a product that has been named; here the product comes in the same breath.
    faults = faults.filter(~pl.col("故障").str.contains("它")).select("kind", "故障", "needs_technician")
    positions = {skill: number for number, skill in enumerate(_SKILLS)}
    return (
        pl.concat([plain, named])
        .join(faults, on="kind", maintain_order="left_right")
        .with_columns(pool=pl.col("skill").replace_strict(positions))
    )


def _sample_places(rng: np.random.Generator, blocks: np.ndarray, skills: np.ndarray, kind: str) -> pl.DataFrame:
    """Draw city and address; where technicians are, one of them has the row's skill."""
    pools = blocks * len(_SKILLS) + skills.astype(np.int64)
    rows = _pick(rng, _districts(kind), pools)["row"].to_numpy()
    at = all_divisions()[rows]
    return pl.DataFrame(
        {
            "城市": at["city"].str.strip_suffix("市"),
            "详细地址": at["county"] + _sample_doors(rng, rows, at["county"]),
        }
    )


@functools.lru_cache(maxsize=len(PLACES))
def _districts(kind: str) -> pl.DataFrame:
    """Return the districts of such places: `row` in `all_divisions()`, and `pool`, of its block and a skill."""
    outages = reference_table("outages").with_columns(pl.col("failures").cast(pl.Int64))
    technicians = reference_table("technicians").join(outages, on="city", how="left")
    # On at least two days nobody must be free: a customer may be told so twice.
    served = technicians.filter(
        pl.col("failures").fill_null(0) == PLACES[kind],
        pl.col("weekdays").map_elements(lambda weekdays: len(_full_days(weekdays)) > 1, pl.Boolean),
    ).select("city", "skill")
    towns = (
        divisions()
        .with_row_index("row")
        .select("row", city=pl.col("city").str.strip_suffix("市"), urban=pl.col("city").str.ends_with("市"))
        .filter("urban")
    )
    if kind == "unserved":
        without = towns.join(technicians, on="city", how="anti")
        here = without.join(pl.DataFrame({"skill": _SKILLS}), how="cross")
    else:
        here = towns.join(served, on="city", maintain_order="left_right")
    positions = {skill: number for number, skill in enumerate(_SKILLS)}
    pool = pl.col("row").cast(pl.Int64) % BLOCK_COUNT * len(_SKILLS) + pl.col("skill").replace_strict(positions)
    return here.select("row", pool=pool)


def _full_days(weekdays: str) -> set[datetime.date]:
    """Return the bookable days that are none of a technician's weekdays."""
    return {day for day in bookable_days().values() if str(day.isoweekday()) not in weekdays.split("|")}


def _sample_doors(rng: np.random.Generator, rows: np.ndarray, districts: pl.Series) -> pl.Series:
    """Draw details until each is one where a technician can ring."""
    doors = sample_details(rng, rows, sample_townships(rng, rows), districts).to_numpy().copy()
    while (again := np.flatnonzero(pl.Series(doors).str.contains(_NO_DOOR).to_numpy())).size:
        own = rows[again]
        doors[again] = sample_details(rng, own, sample_townships(rng, own), districts.gather(again)).to_numpy()
    return pl.Series(doors)


def _sample_appointments(rng: np.random.Generator, cities: list[str], skills: np.ndarray) -> list[tuple[str, str]]:
    """Draw a day and a time, as said, at which the city's technician for the skill is free."""
    draws = rng.random((len(cities), 2))
    found = []
    for city, skill, (day, time) in zip(cities, skills, draws, strict=True):
        days, times = _free(city, _SKILLS[skill])
        found.append((days[int(day * len(days))], times[int(time * len(times))]))
    return found


@functools.cache
def _free(city: str, skill: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the days and the times, as said, at which technicians are free."""
    own = reference_table("technicians").filter(pl.col("city") == city, pl.col("skill") == skill)
    weekdays, times = ({part for row in own[name] for part in row.split("|")} for name in ("weekdays", "times"))
    return (
        tuple(said for said, day in bookable_days().items() if str(day.isoweekday()) in weekdays),
        tuple(form for time in sorted(times) for form in SPOKEN_TIMES[time]),
    )


# --- The check: it reads the finished table and compares it with the reference tables.


def repairs_faults(atoms: pl.DataFrame) -> pl.DataFrame:
    """Return the rows whose values contradict each other or the tables: atom_id and reason, empty when all is well."""
    found = [
        {"atom_id": row["atom_id"], "reason": reason}
        for row in atoms.iter_rows(named=True)
        for reason in (*_faults_of_problems(row), *_faults_of_places(row), *_faults_of_appointment(row))
    ]
    return pl.DataFrame(found, schema={"atom_id": pl.UInt32, "reason": pl.String})


def _faults_of_problems(row: dict[str, Any]) -> Iterator[str]:
    for kind, problem in zip(PROBLEMS, row["_problems"], strict=True):
        product, fault = problem["产品"], problem["故障"]
        if (real := _kind_of_problem(product, fault)) != kind:
            yield f"{product}{fault} is {real}, not {kind}"
        if kind != "unknown" and skill_of(product) != skill_of(row["产品"]):
            yield f"{product} needs another skill than {row['产品']}"
    if {"产品": row["产品"], "故障": row["故障"]} not in row["_problems"]:
        yield f"{row['产品']}{row['故障']} is none of the row's problems"


@functools.cache
def _kind_of_problem(product: str, fault: str) -> str:
    for solution in reference_table("solutions").iter_rows(named=True):
        if solution["kind"] in product_kinds(product) and any(said in fault for said in solution["said"].split("|")):
            return "visit" if solution["needs_technician"] == "yes" else "advice"
    return "unknown"


def _faults_of_places(row: dict[str, Any]) -> Iterator[str]:
    for kind, place in zip(PLACES, row["_places"], strict=True):
        real = _kind_of_place(place["城市"], skill_of(row["产品"]))
        if real != kind:
            yield f"{place['城市']} is {real}, not {kind}"
        if not any(place["详细地址"].startswith(county) for county in _counties(place["城市"])):
            yield f"{place['详细地址']} does not lie in {place['城市']}"
    if {"城市": row["城市"], "详细地址": row["详细地址"]} != row["_places"][0]:
        yield f"{row['城市']}{row['详细地址']} is not the row's open place"


@functools.cache
def _kind_of_place(city: str, skill: str) -> str:
    technicians = reference_table("technicians").filter(pl.col("city") == city)
    if technicians.is_empty():
        return "unserved"
    if skill not in technicians["skill"]:
        return f"without technicians for {skill}"
    if any(len(_full_days(weekdays)) < 2 for weekdays in technicians.filter(pl.col("skill") == skill)["weekdays"]):
        return "hardly ever full"
    failures = dict(reference_table("outages").iter_rows()).get(city, "0")
    return {"0": "open", "1": "shaky", "2": "down"}[failures]


@functools.cache
def _counties(city: str) -> tuple[str, ...]:
    return tuple(divisions().filter(pl.col("city") == f"{city}市")["county"])


def _faults_of_appointment(row: dict[str, Any]) -> Iterator[str]:
    days, times = _free(row["城市"], skill_of(row["产品"]))
    if row["日期"] not in days or row["时间"] not in times:
        yield f"nobody is free in {row['城市']} {row['日期']} {row['时间']}"
