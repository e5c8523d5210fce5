"""Places below the district: the detail of an address, from the township to the door.

Every part is drawn by itself and put together in the order in which addresses are written: township, street and
number (or village and group), then community, company, school or locker, then building, floor and room.

    sample_details(rng, rows, townships, districts)
    # 粤海街道科技路88号创新大厦1203室, 东明镇柳林村3组12号, 旺角弥敦道610号荣华大厦12楼B室 ...
"""

import functools
from collections.abc import Iterable
from typing import Final

import numpy as np
import polars as pl

from cs_assets.atoms.columns import compose, draw_kinds, joined, optional_part, part
from cs_assets.atoms.divisions import ZONES, all_divisions

ENDINGS: Final = {
    "community": 0.42,
    "office": 0.13,
    "street_only": 0.13,
    "village": 0.12,
    "locker": 0.07,
    "company": 0.05,
    "school": 0.05,
    "landmark": 0.03,
}
# Where a 乡 or a 苏木 is named: no flats, no offices. All shares are our estimate.
RURAL_ENDINGS: Final = {"village": 0.55, "town_street": 0.2, "town_locker": 0.15, "town_school": 0.1}
# What stands in a 镇 instead: houses without a lift, and no developer's estates.
_TOWN_ENDINGS: Final = {"community": "town_community", "office": "town_office", "locker": "town_locker"}
# Where addresses are built in another way. In Shanghai, half of the communities lie in a numbered lane.
_LOCAL_ENDINGS: Final = (
    "town_community",
    "town_office",
    "town_locker",
    "town_street",
    "town_school",
    "lane",
    "tower",
    "taiwan",
)
_LANE_SHARE: Final = 0.5
# A house without a lift has six floors at most (GB 50096: from seven on, a lift is needed).
TOWN_FLOORS: Final = 6
# In each vocabulary, what people write more often stands there more often.
_STREETS: Final = (
    "人民 解放 建设 中山 文化 和平 新华 胜利 东风 长江 黄河 迎宾 环城 滨河 科技 学府 创业 工业 民主 光明 朝阳 青年 "
    "友谊 团结 幸福 花园 西湖 南京 北京 上海 金山 银河 龙泉 凤凰 翠竹 梅园 兰亭 桂花 松山 海滨 康乐 振兴 兴业 富民 "
    "永安 长安 太平 复兴 华山 泰山 天山 珠江 淮海 江滨 学院 体育 车站 机场 港湾 市场 教育 健康 丽水 明珠 彩虹 星海"
)
_STREET_ENDS: Final = "路 路 路 街 街 大道 大街 巷 东路 西路 南路 北路 中路 一路 二路 三街"
_TOWN_STREETS: Final = "人民 解放 建设 和平 新华 胜利 东风 民主 团结 幸福 振兴 富民 兴业 永安 向阳 文化 农贸 新 老 正"
_TOWN_STREET_ENDS: Final = "街 街 路 东街 西街 南街 北街"
_DEVELOPERS: Final = "绿地 万科 恒大 保利 中海 融创 龙湖 碧桂园 华润 招商 金地 富力 雅居乐"
_COMMUNITIES: Final = (
    "阳光 金色 水岸 锦绣 碧水 蓝天 翡翠 香榭 东方 世纪 和谐 康居 祥和 春天 丽景 御景 湖畔 山水 城市 滨江 江南 盛世 "
    "名门 紫荆 玫瑰 银杏 梧桐 海棠"
)
_COMMUNITY_ENDS: Final = "花园 小区 家园 新城 公寓 苑 华府 雅苑 名邸 国际 广场 新村 府 里"
# An estate that bears a developer's name; 融创 alone stands in 金融创业园, too.
DEVELOPERS_ESTATE: Final = f"(?:{'|'.join(_DEVELOPERS.split())})(?:{'|'.join(_COMMUNITY_ENDS.split())})"
_TOWN_COMMUNITIES: Final = "阳光 锦绣 和谐 康居 祥和 春天 丽景 滨江 东方 世纪 金色 蓝天 幸福 安康 桂花 银杏"
_TOWN_COMMUNITY_ENDS: Final = "小区 小区 花园 家园 新村 新城 苑 安置小区"
_BUILDINGS: Final = "创新 科技 商务 环球 金融 国贸 时代 财富 中心 软件 高新技术 电子商务 文创 物流"
_BUILDING_ENDS: Final = "大厦 产业园 科技园 写字楼 中心 工业园 大楼 园区 创业园 广场"
_VILLAGES: Final = (
    "王家 李家 张庄 大石 小河 龙头 上坝 下湾 东风 红星 新民 柳林 桃园 三合 双桥 石桥 前进 刘家湾 陈家 赵庄 杨树 "
    "黄土坡 周家 马庄 青山 高坪 竹园 水口 沙坝 西河 北关 南庄 新建 团结 向阳 光明"
)
_VILLAGE_SPOTS: Final = "村委会 村委会旁边 村口超市 村口小卖部 小学对面 卫生室 文化广场旁"
_SCHOOLS: Final = (
    "第一中学 第二中学 实验小学 实验中学 外国语学校 职业技术学院 第三小学 高级中学 人民医院 中医院 妇幼保健院"
)
_TOWN_SCHOOLS: Final = "中心小学 中心小学 初级中学 中学 中心幼儿园 卫生院 中心卫生院"
_SCHOOL_ENDS: Final = ("", "", "", "", "", "门卫室", "东门", "南门", "北门", "西门", "收发室")
_LANDMARKS: Final = (
    "汽车站对面 农贸市场旁边 中国银行楼上 加油站往东200米 超市隔壁 邮局后面 小学门口 移动营业厅旁 红绿灯路口 "
    "建材市场里面"
)
_LOCKERS: Final = "菜鸟驿站 菜鸟驿站 菜鸟驿站 丰巢柜 丰巢快递柜 妈妈驿站 快递超市 代收点 兔喜生活 门卫 物业"
_TOWN_LOCKERS: Final = "菜鸟驿站 菜鸟驿站 快递超市 快递代收点 代收点 邮政所 邮政代办点 供销社 兔喜生活 妈妈驿站"
_SHOPS: Final = "水果店 便利店 五金店 理发店 药房 烟酒店 服装店 手机维修店 奶茶店 文具店"
_COMPANIES: Final = ("华恒鑫瑞博盛诚信达泰源创智云锐宏嘉易", "通达源丰瑞科腾茂晟和成越海美")
_TRADES: Final = (
    "科技 科技 科技 贸易 贸易 电子商务 网络科技 信息技术 实业 文化传媒 建材 机械设备 餐饮管理 物流 电子 商贸 "
    "装饰工程 服饰 食品 医疗器械"
)
_RECEPTIONS: Final = (*("",) * 6, "前台", "收发室", "仓库", "3楼", "2号仓", "办公楼", "二楼财务室", "门卫")
_TOWERS: Final = "富华 嘉利 荣华 永安 万盛 康宁 丽晶 海景 翠怡 裕民 金城 宝石 恒丰 鸿运 美丰 安泰 广发"
_TOWER_ENDS: Final = "大厦 大厦 大厦 中心 阁 苑 花园 商业大厦 工业大厦"
_TAIWAN_STREETS: Final = "中山 中正 民生 民权 民族 复兴 建国 和平 光复 成功 文化 三民 自由 博爱"
_TAIWAN_ENDS: Final = "路 路 路 路一段 路二段 路三段"


def sample_details(rng: np.random.Generator, rows: np.ndarray, townships: pl.Series, districts: pl.Series) -> pl.Series:
    """Draw one detail a row; some 40 % name the township, all where a city has no districts.

    Args:
        rng: the generator to draw from.
        rows: integer array (n,), row numbers of `all_divisions()`.
        townships: may be empty.
        districts: 县 as written.

    Returns:
        n strings without white space; none ends with a punctuation mark.
    """
    count, settings = len(rows), _settings()
    zoned = districts.is_in(ZONES).to_numpy()
    # A zone hides its district, so a township of the district would point elsewhere.
    named = pl.Series(~zoned & ((rng.random(count) < 0.4) | settings["whole_city"].to_numpy()[rows]))
    local = pl.concat([settings["local"], settings["local_short"]])
    short = rng.random(count) < 0.4
    columns = pl.DataFrame(
        {
            "township": townships,
            # What a company's or a school's name begins with: 深圳市, 深圳.
            "local": local.gather(rows + settings.height * short),
        }
        | {name: rng.random(count) for name in ("numbered", "street", "number", "place", "door")}
    ).with_columns(head=pl.when(named).then("township").otherwise(pl.lit("")))
    return compose(columns, _kinds(rng, rows, zoned, columns["head"]), _spellings())


@functools.lru_cache(maxsize=1)
def _settings() -> pl.DataFrame:
    """Return what a detail must know of each row of `all_divisions()`."""
    local = (
        pl.when(pl.col("city").str.ends_with("市"))
        .then("city")
        .when(pl.col("county").str.contains("^..?.?[市县]$"))
        .then("county")
        .otherwise(pl.lit(""))
    )
    return all_divisions().select(
        whole_city=pl.col("county") == "",
        urban=pl.col("county").str.ends_with("区"),
        local=local,
        local_short=local.str.strip_suffix("市"),
        lanes=pl.col("province") == "上海市",
        tower=pl.col("province").is_in(["香港特别行政区", "澳门特别行政区"]),
        taiwan=pl.col("province") == "台湾省",
    )


def _kinds(rng: np.random.Generator, rows: np.ndarray, zoned: np.ndarray, heads: pl.Series) -> np.ndarray:
    """Draw the kind of each detail, a position in `ENDINGS` or, behind them, in `_LOCAL_ENDINGS`.

    `heads` are the townships that the details name, empty where one names none.
    """
    number = {name: position for position, name in enumerate((*ENDINGS, *_LOCAL_ENDINGS))}
    at = {name: _settings()[name].to_numpy()[rows] for name in ("urban", "lanes", "tower", "taiwan")}
    kinds = draw_kinds(rng, ENDINGS, len(rows))
    # No villages in the districts of a city, but for those of a 乡.
    kinds[(at["urban"] | zoned) & (kinds == number["village"])] = number["community"]
    lanes = at["lanes"] & (rng.random(len(rows)) < _LANE_SHARE)
    kinds[lanes & (kinds == number["community"])] = number["lane"]
    town = heads.str.ends_with("镇").to_numpy()
    for ending, low in _TOWN_ENDINGS.items():
        kinds[town & (kinds == number[ending])] = number[low]
    rural = np.flatnonzero(heads.str.ends_with("乡").to_numpy() | heads.str.ends_with("苏木").to_numpy())
    kinds[rural] = np.array([number[ending] for ending in RURAL_ENDINGS])[draw_kinds(rng, RURAL_ENDINGS, len(rural))]
    kinds[at["tower"]] = number["tower"]
    kinds[at["taiwan"]] = number["taiwan"]
    return kinds


@functools.lru_cache(maxsize=1)
def _spellings() -> list[pl.Expr]:
    """Return how each kind is written, in the order of `ENDINGS` and `_LOCAL_ENDINGS`."""
    streets, numbers = _joined(_STREETS, _STREET_ENDS), [f"{number}号" for number in range(1, 999)]
    street, number = part(streets, "street"), part(numbers, "number")

    def in_street(share: float) -> tuple[pl.Expr, pl.Expr]:
        given = pl.col("numbered") < share
        return optional_part(streets, "street", given), optional_part(numbers, "number", given)

    town_street = part(_joined(_TOWN_STREETS, _TOWN_STREET_ENDS), "street")
    town_community = part(_joined(_TOWN_COMMUNITIES, _TOWN_COMMUNITY_ENDS), "place")
    community = part(_joined(f"{_COMMUNITIES} {_DEVELOPERS}", _COMMUNITY_ENDS), "place")
    building = part(_joined(_BUILDINGS, _BUILDING_ENDS), "place")
    school, town_school = part(_SCHOOLS.split(), "place"), part(_TOWN_SCHOOLS.split(), "place")
    gate, shop = part(_SCHOOL_ENDS, "door"), optional_part(_SHOPS.split(), "place", pl.col("numbered") < 0.4)
    spellings = {
        "community": joined("head", *in_street(0.6), community, part(_doors(floors=30), "door")),
        "office": joined("head", *in_street(0.7), building, part(_rooms(floors=31), "door")),
        "street_only": joined("head", street, number, shop),
        "village": joined("township", part(_joined(_VILLAGES, "村"), "place"), part(_groups(), "door")),
        "locker": joined("head", street, community, part(_LOCKERS.split(), "door")),
        "company": joined("head", street, number, "local", part(_companies(), "place"), part(_RECEPTIONS, "door")),
        "school": pl.when((pl.col("numbered") < 0.6) | (pl.col("head") == ""))
        .then(joined("head", street, number, "local", school, gate))
        .otherwise(joined("head", town_school, gate)),
        "landmark": joined("head", street, part(_LANDMARKS.split(), "place")),
        "town_community": joined("head", *in_street(0.6), town_community, part(_doors(TOWN_FLOORS), "door")),
        "town_office": joined("head", *in_street(0.7), building, part(_rooms(TOWN_FLOORS), "door")),
        "town_locker": joined("head", town_street, part(_TOWN_LOCKERS.split(), "door")),
        "town_street": joined("head", town_street, part(numbers[:200], "number"), shop),
        "town_school": joined("head", town_school, gate),
        "lane": joined("head", street, part(_lanes(), "door")),
        "tower": joined("township", number, part(_joined(_TOWERS, _TOWER_ENDS), "place"), part(_flats(), "door")),
        "taiwan": joined(part(_joined(_TAIWAN_STREETS, _TAIWAN_ENDS), "street"), part(_taiwan_doors(), "door")),
    }
    return [spellings[kind] for kind in (*ENDINGS, *_LOCAL_ENDINGS)]


def _joined(stems: str, ends: str) -> list[str]:
    """Return every stem with every end, but not one that says its last word twice (中心中心)."""
    return [stem + end for stem in stems.split() for end in ends.split() if not end.startswith(stem)]


def _companies() -> list[str]:
    firsts, seconds = _COMPANIES
    return [f"{a}{b}{trade}有限公司" for a in firsts for b in seconds if a != b for trade in _TRADES.split()]


def _doors(floors: int) -> Iterable[str]:
    """Return building, unit and room in the spellings that people use."""
    for building in range(1, 29):
        for unit in range(1, 5):
            for floor in range(1, floors + 1):
                for room in (f"{floor}0{number}" for number in range(1, 5)):
                    yield f"{building}栋{unit}单元{room}室"
                    yield f"{building}号楼{unit}单元{room}"
                    yield f"{building}幢{room}室"
                    yield f"{building}-{unit}-{room}"
                    yield f"{building}栋{room}"
                    yield f"{building}号楼{floor}层"
                    yield f"{chr(65 + building % 6)}座{room}室"
                    yield f"{building}#{room}"


def _rooms(floors: int) -> Iterable[str]:
    """Return what stands behind an office building's name, often nothing."""
    for floor in range(2, floors + 1):
        for number in range(1, 9):
            yield from (f"{floor}楼", f"{floor}层", f"{floor}0{number}", f"{floor}0{number}室", "", "")


def _groups() -> Iterable[str]:
    """Return what stands behind a village's name: a group, mostly with a house, or a spot that all know."""
    for group in range(1, 12):
        yield from (f"{group}组{house}号" for house in range(1, 90))
        yield from (f"{group}组",) * 50
    yield from _VILLAGE_SPOTS.split() * 20


def _lanes() -> Iterable[str]:
    """Return lane, building and room as Shanghai numbers them."""
    for lane in range(11, 1999, 7):
        for building in (1, 3, 6, 12, 28):
            yield from (f"{lane}弄{building}号{floor}0{room}室" for floor in range(1, 7) for room in range(1, 5))


def _flats() -> Iterable[str]:
    """Return floor and flat as Hong Kong and Macao write them."""
    for floor in range(1, 40):
        for position, letter in enumerate("ABCDEFGH", start=1):
            yield f"{floor}楼{letter}室"
            yield f"{floor}楼{letter}"
            yield f"{floor}楼{position:02d}室"
            yield f"{position}座{floor}楼{letter}室"


def _taiwan_doors() -> Iterable[str]:
    for number in range(1, 300):
        for floor in range(2, 13):
            yield f"{number}号"
            yield f"{number}号{floor}楼"
            yield f"{number}号{floor}楼之{floor % 3 + 1}"
            yield f"{number}巷{floor * 3}号{floor}楼"
