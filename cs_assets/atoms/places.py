"""Places below the district: the detail of an address, from the township to the door.

Every part is drawn by itself and put together in the order in which addresses are written: township, street and
number (or village and group), then community, company, school or locker, then building, floor and room. The common
kinds are `ENDINGS`; what people write besides is a table of forms (`detail_forms.py`).

    sample_details(rng, rows, townships, districts)
    # 粤海街道科技路88号创新大厦1203室, 东明镇柳林村3组12号, 旺角弥敦道610号荣华大厦12楼B室 ...
"""

import functools
import itertools
import re
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
import polars as pl

from cs_assets.atoms.coined_names import crossed, named
from cs_assets.atoms.columns import compose, draw_kinds, joined, optional_part, part
from cs_assets.atoms.detail_forms import FARM, RURAL, SETTLED, vocabularies
from cs_assets.atoms.divisions import ZONE_NAMES, all_divisions
from cs_assets.chinese_numerals import chinese_numeral

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
# Where addresses are built in another way. In Shanghai, half of the communities lie in a numbered
# lane, in Zhejiang some.
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
_LANE_SHARES: Final = {"上海市": 0.5, "浙江省": 0.06}
# How many details are written in one of the forms of `detail_forms.py`, and, where there are farms of the state, in one
# of `FARM`.
_FORM_SHARE: Final = 0.5
_FARM_SHARE: Final = 0.06
_FARM_PROVINCES: Final = ("新疆维吾尔自治区", "内蒙古自治区", "黑龙江省")
# A house without a lift has six floors at most (GB 50096: from seven on, a lift is needed).
TOWN_FLOORS: Final = 6
# In each vocabulary, what people write more often stands there more often.
_STREETS: Final = (
    "人民 解放 建设 中山 文化 和平 新华 胜利 东风 长江 黄河 迎宾 环城 滨河 科技 学府 创业 工业 民主 光明 朝阳 青年 "
    "友谊 团结 幸福 花园 西湖 南京 北京 上海 金山 银河 龙泉 凤凰 翠竹 梅园 兰亭 桂花 松山 海滨 康乐 振兴 兴业 富民 "
    "永安 长安 太平 复兴 华山 泰山 天山 珠江 淮海 江滨 学院 体育 车站 机场 港湾 市场 教育 健康 丽水 明珠 彩虹 星海 "
    "五一 八一 七星 五四 工农 红旗 跃进 前进 延安 井冈山 昆仑 松花江 嘉陵江 湘江 洞庭 钱塘 白云 翠微 天府 锦江 高新 "
    "创新 软件园 会展 金融 商城 纺织 化工 钢铁 电厂 酒厂 印染 机械 铁路 站前 新港 滨海 临江 沿江 河滨 湖滨 城南 城北 "
    "东环 西环 南环 北环 二环 三环 绕城 古城 府前 县前 县府 文昌 文庙 书院 钟楼 鼓楼 城隍庙 观音 龙王庙 石桥 双塔 "
    "白塔 玉泉 玉兰 丁香 枫林 香樟 梧桐 银杏 紫荆 榕树 桃源 杏林 竹园 荷花 莲花 菊园 牡丹 芙蓉 茶亭 盐仓 米市 骡马市 "
    "花市 竹筒 羊坊 马家 陈塘 杨柳 柳青 李沧 黄埔 虹桥 漕溪 秀水 碧波 清泉 甘泉 温泉 天目山 武夷 黄山 庐山 衡山 "
    "峨眉山"
)
_STREET_ENDS: Final = (
    "路 路 路 街 街 大道 大街 巷 东路 西路 南路 北路 中路 一路 二路 三街 东街 北大街 西大街 中大道 支路 横街 后街"
)
_TOWN_STREETS: Final = "人民 解放 建设 和平 新华 胜利 东风 民主 团结 幸福 振兴 富民 兴业 永安 向阳 文化 农贸 新 老 正"
_TOWN_STREET_ENDS: Final = "街 街 路 东街 西街 南街 北街"
_DEVELOPERS: Final = "绿地 万科 恒大 保利 中海 融创 龙湖 碧桂园 华润 招商 金地 富力 雅居乐"
_COMMUNITIES: Final = (
    "阳光 金色 水岸 锦绣 碧水 蓝天 翡翠 香榭 东方 世纪 和谐 康居 祥和 春天 丽景 御景 湖畔 山水 城市 滨江 江南 盛世 "
    "名门 紫荆 玫瑰 银杏 梧桐 海棠 御龙 御江 御璟 天悦 悦澜 观澜 江畔 江城 星河 星湖 云顶 云锦 云栖 麓山 麓湖 半山 "
    "半岛 西子 太阳 星光 月亮 荷塘 枫丹 枫林 香樟 丹桂 金桂 紫薇 凯旋 帝景 皇家 公园 中央 都市 时代 新世界 海天 海韵 "
    "南湖 东湖 北苑 学府 书香 状元 龙泽 龙腾 祥瑞 鑫泰 福临 福星 福景 安居 宜家 民安 佳和 瑞景 汇景 聚福 盛世华 澜庭 "
    "玖珑 壹品"
)
_COMMUNITY_ENDS: Final = (
    "花园 小区 家园 新城 公寓 苑 华府 雅苑 名邸 国际 广场 新村 府 里 花苑 嘉园 佳苑 名城 豪庭 华庭 天下 公馆 郡 湾 轩 "
    "庭院 大院 一号院"
)
# An estate that bears a developer's name; 融创 alone stands in 金融创业园, too.
DEVELOPERS_ESTATE: Final = f"(?:{'|'.join(_DEVELOPERS.split())})(?:{'|'.join(_COMMUNITY_ENDS.split())})"
_TOWN_COMMUNITIES: Final = "阳光 锦绣 和谐 康居 祥和 春天 丽景 滨江 东方 世纪 金色 蓝天 幸福 安康 桂花 银杏"
_TOWN_COMMUNITY_ENDS: Final = "小区 小区 花园 家园 新村 新城 苑 安置小区"
_BUILDINGS: Final = "创新 科技 商务 环球 金融 国贸 时代 财富 中心 软件 高新技术 电子商务 文创 物流"
_BUILDING_ENDS: Final = "大厦 产业园 科技园 写字楼 中心 工业园 大楼 园区 创业园 广场"
_VILLAGES: Final = (
    "王家 李家 张庄 大石 小河 龙头 上坝 下湾 东风 红星 新民 柳林 桃园 三合 双桥 石桥 前进 刘家湾 陈家 赵庄 杨树 "
    "黄土坡 周家 马庄 青山 高坪 竹园 水口 沙坝 西河 北关 南庄 新建 团结 向阳 光明 大塘 上塘 下洋 前洲 后洲 东坑 西坑 "
    "岭脚 岭下 坪上 坳上 枫树 樟树 古井 龙井 泉水 白沙 黑石 红岩 青龙 白马 金鸡 凤形 牛角 羊角 马鞍 塔山 庙前 寺前 "
    "店前 桥头 渡口 河口 湖边 塘边 圩上 大屋 新屋 老屋 高家 吴家 郭家 冯家沟 孙家沟 马家河 侯家 何家坪 罗家坝 谭家 "
    "杜家庄 曹家 东关 南关 小寨 大寨 卧龙 旺溪 松鹤 明台 勤丰 永胜 兴隆 太平 和平 幸福 建国 富强"
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
    "科技 科技 科技 贸易 贸易 电子商务 网络科技 信息技术 实业 文化传媒 建材 机械设备 餐饮管理 物流 电子 商贸 装饰工程 "
    "服饰 食品 医疗器械"
)
_RECEPTIONS: Final = (*("",) * 6, "前台", "收发室", "仓库", "3楼", "2号仓", "办公楼", "二楼财务室", "门卫")
_TOWERS: Final = "富华 嘉利 荣华 永安 万盛 康宁 丽晶 海景 翠怡 裕民 金城 宝石 恒丰 鸿运 美丰 安泰 广发"
_TOWER_ENDS: Final = "大厦 大厦 大厦 中心 阁 苑 花园 商业大厦 工业大厦"
_TAIWAN_STREETS: Final = "中山 中正 民生 民权 民族 复兴 建国 和平 光复 成功 文化 三民 自由 博爱"
_TAIWAN_ENDS: Final = "路 路 路 路一段 路二段 路三段"


# Stands between the parts of a detail until it is known how the customer keeps them apart.
PART_MARK: Final = "\x1f"
# A part begins with each name of a form, unless it is one with what stands before: with words that lead to it (与, a
# bracket), or the shop's name with what it sells.
_PART_BEGINS: Final = r"(?!^)(?<![与·（(])(?<!\{local\})(?<!\{name\})(?=\{(?!near\}))"
_WITHIN_DOORS: Final = r"([栋幢座楼层舍元区科部#弄号])([\dA-Z])"
# The columns of draws in [0, 1): in a form, the first name in braces reads the first, and so on.
_DRAWS: Final = ("street", "number", "place", "door", "numbered", "more", "last")


def sample_details(rng: np.random.Generator, rows: np.ndarray, townships: pl.Series, districts: pl.Series) -> pl.Series:
    """Draw one detail a row, as `sample_parted_details` does, written without gaps."""
    return sample_parted_details(rng, rows, townships, districts).str.replace_all(PART_MARK, "", literal=True)


def sample_parted_details(
    rng: np.random.Generator, rows: np.ndarray, townships: pl.Series, districts: pl.Series
) -> pl.Series:
    """Draw one detail a row; half of them name the township, all where no district stands before.

    Args:
        rng: the generator to draw from.
        rows: integer array (n,), row numbers of `all_divisions()`.
        townships: may be empty.
        districts: 县 as written.

    Returns:
        n strings with `PART_MARK` between their parts; none ends with a punctuation mark but a closing bracket.
    """
    count, settings = len(rows), _settings()
    zoned = districts.is_in(ZONE_NAMES).to_numpy()
    alone = (districts == "").to_numpy()
    # A zone hides its district, so a township of the district would point elsewhere.
    named = pl.Series(~zoned & ((rng.random(count) < 0.5) | alone))
    local = pl.concat([settings["local"], settings["local_short"]])
    short = rng.random(count) < 0.4
    columns = pl.DataFrame(
        {
            "township": townships,
            # What a company's or a school's name begins with: 深圳市, 深圳.
            "local": local.gather(rows + settings.height * short),
        }
        | {name: rng.random(count) for name in _DRAWS}
    ).with_columns(head=pl.when(named).then("township").otherwise(pl.lit("")))
    parted = compose(columns, _kinds(rng, rows, zoned, columns["head"]), _spellings())
    parted = parted.str.replace_all(_WITHIN_DOORS, f"${{1}}{PART_MARK}${{2}}")
    return parted.str.replace_all(f"{PART_MARK}+", PART_MARK).str.strip_chars(PART_MARK)


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
        urban=pl.col("county").str.ends_with("区"),
        local=local,
        local_short=local.str.strip_suffix("市"),
        lanes=pl.col("province").replace_strict(_LANE_SHARES, default=0.0),
        farms=pl.col("province").is_in(_FARM_PROVINCES),
        tower=pl.col("province").is_in(["香港特别行政区", "澳门特别行政区"]),
        taiwan=pl.col("province") == "台湾省",
    )


def _kinds(rng: np.random.Generator, rows: np.ndarray, zoned: np.ndarray, heads: pl.Series) -> np.ndarray:
    """Draw the kind of each detail, a position in `_spellings()`.

    `heads` are the townships that the details name, empty where one names none.
    """
    number = {name: position for position, name in enumerate((*ENDINGS, *_LOCAL_ENDINGS))}
    at = {name: _settings()[name].to_numpy()[rows] for name in ("urban", "lanes", "farms", "tower", "taiwan")}
    kinds = draw_kinds(rng, ENDINGS, len(rows)).astype(np.int64)
    town = heads.str.ends_with("镇").to_numpy()
    rural = heads.str.ends_with("乡").to_numpy() | heads.str.ends_with("苏木").to_numpy()
    # Of the districts of a city, only the towns and rural townships have villages.
    kinds[(at["urban"] | zoned) & ~town & (kinds == number["village"])] = number["community"]
    kinds[(rng.random(len(rows)) < at["lanes"]) & (kinds == number["community"])] = number["lane"]
    for ending, low in _TOWN_ENDINGS.items():
        kinds[town & (kinds == number[ending])] = number[low]
    kinds[rural] = np.array([number[ending] for ending in RURAL_ENDINGS])[draw_kinds(rng, RURAL_ENDINGS, rural.sum())]
    village, free = kinds == number["village"], rng.random(len(rows)) < _FORM_SHARE
    farm = at["farms"] & ~at["urban"] & ~zoned & (heads == "").to_numpy() & (rng.random(len(rows)) < _FARM_SHARE)
    start = len(number)
    for forms, chosen in (
        (SETTLED, free & ~village & ~rural & ~town & (kinds != number["lane"])),
        (SETTLED, free & ~village & town),
        (RURAL, free & (village | rural)),
        (FARM, farm),
    ):
        kinds[chosen] = start + rng.choice(len(forms), chosen.sum(), p=_shares(forms))
        start += len(forms)
    kinds[at["tower"]] = number["tower"]
    kinds[at["taiwan"]] = number["taiwan"]
    return kinds


def _shares(forms: Mapping[str, int]) -> np.ndarray:
    weights = np.array(list(forms.values()), dtype=np.float64)
    return weights / weights.sum()


@functools.lru_cache(maxsize=1)
def _spellings() -> list[pl.Expr]:
    """Return how each kind is written: `ENDINGS`, `_LOCAL_ENDINGS`, the forms of cities, of towns, `RURAL`, `FARM`."""
    streets, numbers = named(_STREETS, _STREET_ENDS), [f"{number}号" for number in range(1, 999)]
    street, number = part(streets, "street"), part(numbers, "number")

    def in_street(share: float) -> tuple[pl.Expr, pl.Expr]:
        given = pl.col("numbered") < share
        return optional_part(streets, "street", given), optional_part(numbers, "number", given)

    town_street = part(named(_TOWN_STREETS, _TOWN_STREET_ENDS), "street")
    town_community = part(named(_TOWN_COMMUNITIES, _TOWN_COMMUNITY_ENDS), "place")
    community = part(named(f"{_COMMUNITIES} {_DEVELOPERS}", _COMMUNITY_ENDS), "place")
    building = part(named(_BUILDINGS, _BUILDING_ENDS), "place")
    school, town_school = part(_SCHOOLS.split(), "place"), part(_TOWN_SCHOOLS.split(), "place")
    gate, shop = part(_SCHOOL_ENDS, "door"), optional_part(_SHOPS.split(), "place", pl.col("numbered") < 0.4)
    company = pl.col("local") + part(_companies(), "place")
    spellings = {
        "community": _parted("head", *in_street(0.6), community, part(_doors(floors=30), "door")),
        "office": _parted("head", *in_street(0.7), building, part(_rooms(floors=31), "door")),
        "street_only": _parted("head", street, number, shop),
        "village": _parted("township", part(named(_VILLAGES, "村"), "place"), part(_groups(), "door")),
        "locker": _parted("head", street, community, part(_LOCKERS.split(), "door")),
        "company": _parted("head", street, number, company, part(_RECEPTIONS, "door")),
        "school": pl.when((pl.col("numbered") < 0.6) | (pl.col("head") == ""))
        .then(_parted("head", street, number, pl.col("local") + school, gate))
        .otherwise(_parted("head", town_school, gate)),
        "landmark": _parted("head", street, part(_LANDMARKS.split(), "place")),
        "town_community": _parted("head", *in_street(0.6), town_community, part(_doors(TOWN_FLOORS), "door")),
        "town_office": _parted("head", *in_street(0.7), building, part(_rooms(TOWN_FLOORS), "door")),
        "town_locker": _parted("head", town_street, part(_TOWN_LOCKERS.split(), "door")),
        "town_street": _parted("head", town_street, part(numbers[:200], "number"), shop),
        "town_school": _parted("head", town_school, gate),
        "lane": _parted("head", street, part(_lanes(), "door")),
        "tower": _parted("township", number, part(crossed(_TOWERS, _TOWER_ENDS), "place"), part(_flats(), "door")),
        "taiwan": _parted(part(crossed(_TAIWAN_STREETS, _TAIWAN_ENDS), "street"), part(_taiwan_doors(), "door")),
    }
    city = vocabularies() | {
        "street": streets,
        "number": numbers,
        "house": _houses(),
        "community": named(f"{_COMMUNITIES} {_DEVELOPERS}", _COMMUNITY_ENDS),
        "door": _doors(floors=33),
        "building": named(_BUILDINGS, _BUILDING_ENDS),
        "room": _rooms(floors=31),
        "company": _companies(),
        "village": named(_VILLAGES, "村"),
    }
    town = {
        "street": named(_TOWN_STREETS, _TOWN_STREET_ENDS),
        "community": named(_TOWN_COMMUNITIES, _TOWN_COMMUNITY_ENDS),
        "door": _doors(TOWN_FLOORS),
        "room": _rooms(TOWN_FLOORS),
    }
    high = {name: pl.Series(words, dtype=pl.String) for name, words in city.items()}
    low = high | {name: pl.Series(words, dtype=pl.String) for name, words in town.items()}
    return [
        *(spellings[kind] for kind in (*ENDINGS, *_LOCAL_ENDINGS)),
        *(_formed(form, high) for form in SETTLED),
        *(_formed(form, low) for forms in (SETTLED, RURAL, FARM) for form in forms),
    ]


def _formed(form: str, vocabularies: Mapping[str, pl.Series]) -> pl.Expr:
    """Return the expression of a form: {street} draws from that vocabulary, {head} and {local} are columns."""
    draws = iter(_DRAWS)
    words = [
        (pl.col(name) if name in ("head", "township", "local") else part(vocabularies[name], next(draws)))
        if name
        else pl.lit(text)
        for text, name in re.findall(r"([^{}]+)|\{(\w+)\}", re.sub(_PART_BEGINS, PART_MARK, form))
    ]
    return joined(*words)


def _parted(*parts: pl.Expr | str) -> pl.Expr:
    """Return the strings of all parts (a plain string names a column) in one, with marks between them."""
    return pl.format(PART_MARK.join("{}" for _ in parts), *parts)


def _companies() -> list[str]:
    firsts, seconds = _COMPANIES
    return named(" ".join(a + b for a in firsts for b in seconds if a != b), f"{_TRADES} ".replace(" ", "有限公司 "))


# How people write building, unit, floor, room and number of the flat, the usual first: half of the doors are so.
_USUAL_DOORS: Final = (
    "{building}栋{unit}单元{room}室",
    "{building}号楼{unit}单元{room}",
    "{building}幢{room}室",
    "{building}-{unit}-{room}",
    "{building}栋{room}",
    "{letter}座{room}室",
    "{building}#{room}",
    "{building}号楼{unit}单元{room}室",
    "{building}栋{unit}单元{room}",
    "{building}号楼{floor}层",
)
_OTHER_DOORS: Final = (
    "{building}#{unit}-{room}",
    "{building}#楼{unit}单元{room}",
    "{building}-{room}",
    "{building}幢{stem}单元{room}",
    "{building}幢{unit}单元{room}室",
    "{building}幢{room}",
    "{building}号楼{unit}门{room}",
    "{building}栋{unit}门{room}室",
    "{building}号楼{unit}单元{floor}楼{side}户",
    "{building}栋{unit}单元{floor}层{side}户",
    "{building}栋{chinese}单元{room}",
    "{building}栋{chinese}单元{chinese}楼{side}户",
    "{building}号楼{side}单元{number}号",
    "{building}栋{unit}单元{number}号",
    "{building}栋{floor}楼",
    "{building}栋{floor}楼{flat}",
    "{building}号楼{room}室",
    "{building}号{room}室",
    "{building}号{stem}{room}",
    "{building}号楼{flat}座{room}",
    "{letter}{unit}栋{room}",
    "{letter}{unit}-{room}",
    "{letter}栋{room}",
    "{letter}栋{unit}单元{room}",
    "{letter}座{floor}楼{flat}室",
    "{letter}区{building}栋{room}",
    "{letter}区{building}号楼{unit}单元{room}",
    "{letter}-{room}",
    "{stem}单元{room}",
    "T{unit}栋{room}",
    "T{unit}-{room}",
    "{building}-{unit}-{floor}-{number}",
    "{building}栋车库{number}号",
    "{building}号楼楼下",
    "{building}栋一楼",
    "{building}栋负一楼",
    "{building}栋{unit}单元顶楼",
    "{building}栋{unit}单元一楼左手",
    "{building}排{number}号",
)


def _doors(floors: int) -> list[str]:
    """Return building, unit and room in the spellings that people use."""
    doors = []
    flats = itertools.product(range(1, 29), range(1, 5), range(1, floors + 1), range(1, 5))
    for position, (building, unit, floor, flat) in enumerate(flats):
        number = flat + 4 * (building % 3)
        values = {
            "building": building,
            "unit": unit,
            "floor": floor,
            "room": f"{floor}{number:02d}",
            "number": number,
            "letter": chr(65 + building % 8),
            "flat": "ABCD"[flat - 1],
            "stem": "甲乙丙丁"[unit - 1],
            "chinese": "一二三四"[unit - 1],
            "side": "东西中南"[flat - 1],
        }
        other = (_OTHER_DOORS[(position * 7 + step) % len(_OTHER_DOORS)] for step in range(5))
        usual = (_USUAL_DOORS[(position + 2 * step) % len(_USUAL_DOORS)] for step in range(5))
        doors += [form.format_map(values) for form in (*usual, *other)]
    return doors


def _houses() -> list[str]:
    """Return house numbers: every second one plain, the others as 甲6号, 12号院, 60号附2号, none, and so on."""
    plain, others = [f"{number}号" for number in range(1, 600)], []
    for number in range(1, 200):
        small = number % 9 + 1
        others += [
            "",
            f"{number}号院",
            (f"甲{number}号", f"{number}号甲", f"{number}号之一", f"{number}号附{small}号")[number % 4],
            (f"{number}-{small}号", f"{number}号内{small}号", f"{chinese_numeral(number)}号")[number // 4 % 3],
        ]
    return plain + others


def _rooms(floors: int) -> list[str]:
    """Return what stands behind an office building's name, often nothing."""
    rooms: list[str] = []
    for floor in range(2, floors + 1):
        for number in range(1, 9):
            room = f"{floor}0{number}"
            rooms += (f"{floor}楼", f"{floor}层", f"{floor}F", room, f"{room}室", f"A座{room}", "", "")
            rooms.append(
                (f"B座{room}室", f"T2座{room}", f"西塔{floor}楼", f"{floor}F-{number}", f"{floor}楼前台")[number % 5]
            )
    return rooms


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
