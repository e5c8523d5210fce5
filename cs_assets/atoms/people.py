"""People: names as customers write them, and phone numbers of every shape.

Faker serves the names; prefixes and landline codes come from the reference tables, so that a number that is shown
can exist.
"""

import functools
from collections import Counter
from typing import Final

import numpy as np
import polars as pl

from cs_assets.atoms.divisions import REFERENCE

NAME_VOCABULARY: Final = 6_000
_SURNAMES: Final = tuple("王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕")
# 欧阳 has more bearers than the others together.
_COMPOUND: Final = ("欧阳",) * 8 + ("上官", "司马", "司徒", "诸葛", "令狐", "慕容", "皇甫", "夏侯")
_TITLES: Final = ("先生", "女士", "小姐", "老师", "同学", "师傅", "经理", "总", "姐", "哥", "阿姨")
# Uyghur: a given name, then the father's. Tibetan: two parts, the first borne by women and men.
_UYGHUR_GIVEN: Final = ["买买提", "艾力", "吐尔逊", "亚森", "艾尼瓦尔", "阿依古丽", "古丽娜尔", "热依汗", "帕提古丽"]
_UYGHUR_FATHER: Final = ["吐尔逊", "艾合买提", "买买提", "玉素甫", "卡德尔", "司马义"]
_TIBETAN_FIRST: Final = ["扎西", "次仁", "格桑", "尼玛", "达娃", "索朗", "白玛", "边巴"]
_TIBETAN_SECOND: Final = ["多吉", "旺堆", "顿珠", "平措", "央金", "拉姆", "卓玛", "德吉"]
_MONGOL: Final = [
    "巴特尔",
    "其其格",
    "乌云其木格",
    "娜仁托娅",
    "萨仁高娃",
    "苏日娜",
    "乌日娜",
    "图雅",
    "阿拉坦",
    "额尔敦",
    "哈斯巴根",
    "朝鲁",
    "格日勒图",
    "布和",
    "通拉嘎",
    "塔娜",
    "苏布德",
    "巴雅尔",
    "满都拉",
    "敖登",
    "萨如拉",
    "娜日苏",
    "哈斯其其格",
    "宝音",
    "青格勒",
    "那仁花",
    "乌兰图雅",
    "斯琴",
    "阿古拉",
    "孟和",
]
# Whole names, so that no two peoples mix; each entity block has its own, a stride apart.
_MINORITY: Final = (
    *(f"{given}·{father}" for given in _UYGHUR_GIVEN for father in _UYGHUR_FATHER if given != father),
    *(first + second for first in _TIBETAN_FIRST for second in _TIBETAN_SECOND),
    *_MONGOL,
)
NAME_KINDS: Final = {"plain": 0.76, "title": 0.13, "nickname": 0.07, "compound": 0.01, "minority": 0.03}
PHONE_KINDS: Final = {
    "mobile": 0.72,
    "spaced": 0.06,
    "dashed": 0.04,
    "country_code": 0.04,
    "masked": 0.03,
    "virtual": 0.05,
    "landline": 0.04,
    "landline_extension": 0.02,
}
# How often a mobile number begins so. Our assumption: people keep old numbers, and 16x belongs to resellers; no
# statistic was at hand. 14x is left out: data cards, which take no calls.
_SERIES: Final = {"13": 0.30, "15": 0.24, "16": 0.02, "17": 0.10, "18": 0.26, "19": 0.08}
_SATELLITE: Final = ("174", "1349")


@functools.lru_cache(maxsize=4)
def _name_vocabulary(seed: int) -> tuple[str, ...]:
    """Return distinct Faker names. Faker draws by row (some 20,000 a second), so we draw a vocabulary once.

    The few with a compound surname are left out: the kind `compound` makes those.
    """
    from faker import Faker

    faker = Faker("zh_CN")
    faker.seed_instance(seed)
    names: dict[str, None] = {}
    while len(names) < NAME_VOCABULARY:
        name = faker.name()
        if not name.startswith(_COMPOUND):
            names[name] = None
    return tuple(names)


def sample_names(rng: np.random.Generator, blocks: np.ndarray, block_count: int, seed: int) -> list[str]:
    """Draw one name a row; full names of different blocks never coincide (王女士 and 小王 may)."""
    vocabulary = _name_vocabulary(seed)
    given_names = tuple(dict.fromkeys(name[1:] for name in vocabulary))
    kinds = rng.choice(list(NAME_KINDS), len(blocks), p=list(NAME_KINDS.values()))
    draws = rng.random((len(blocks), 2))
    own = [
        {
            "plain": vocabulary[b::block_count],
            "given": given_names[b::block_count],
            "minority": _MINORITY[b::block_count],
        }
        for b in range(block_count)
    ]
    return [_name(kind, own[block], draw) for kind, block, draw in zip(kinds, blocks, draws, strict=True)]


def _choose(options: tuple[str, ...], draw: float) -> str:
    return options[int(draw * len(options))]


def _name(kind: str, own: dict[str, tuple[str, ...]], draw: np.ndarray) -> str:
    """Make a name; `own` holds what belongs to the row's entity block alone."""
    if kind == "title":
        return _choose(_SURNAMES, draw[0]) + _choose(_TITLES, draw[1])
    if kind == "nickname":
        return _choose(("小", "老", "阿"), draw[0]) + _choose(_SURNAMES, draw[1])
    if kind == "compound":
        return _choose(_COMPOUND, draw[0]) + _choose(own["given"], draw[1])
    return _choose(own[kind], draw[0])


@functools.lru_cache(maxsize=1)
def mobile_prefixes() -> tuple[str, ...]:
    """Return the allotted mobile prefixes, three or four digits each."""
    return tuple(
        sorted(pl.read_csv(REFERENCE / "mobile_prefixes.csv", infer_schema=False)["prefix"].unique().to_list())
    )


@functools.lru_cache(maxsize=1)
def _weighted_prefixes() -> tuple[tuple[str, ...], np.ndarray]:
    """Return the prefixes of people's phones with their probabilities: series, then three digits, then row.

    Rows are no measure of use: the table splits a range in four digits where networks share it.
    """
    usable = tuple(p for p in mobile_prefixes() if p[:2] in _SERIES and not p.startswith(_SATELLITE))
    rows = Counter(prefix[:3] for prefix in usable)
    heads = Counter(head[:2] for head in rows)
    return usable, np.array([_SERIES[p[:2]] / heads[p[:2]] / rows[p[:3]] for p in usable])


def sample_phones(rng: np.random.Generator, area_codes: list[str]) -> list[str]:
    """Draw one phone number a row, in the spelling a customer would type; landlines carry the row's area code."""
    prefixes, weights = _weighted_prefixes()
    kinds = rng.choice(list(PHONE_KINDS), len(area_codes), p=list(PHONE_KINDS.values()))
    chosen = rng.choice(len(prefixes), len(area_codes), p=weights)
    digits = rng.integers(0, 10, (len(area_codes), 12))
    return [
        _phone(kind, prefixes[pick], area_code, "".join(map(str, row)))
        for kind, pick, area_code, row in zip(kinds, chosen, area_codes, digits, strict=True)
    ]


def _phone(kind: str, prefix: str, area_code: str, digits: str) -> str:
    mobile = prefix + digits[: 11 - len(prefix)]
    # A subscriber's number starts with 2 to 8 and has eight digits in large cities, seven elsewhere.
    landline = str(2 + int(digits[0]) % 7) + digits[1 : 8 if len(area_code) == 3 else 7]
    return {
        "mobile": mobile,
        "spaced": f"{mobile[:3]} {mobile[3:7]} {mobile[7:]}",
        "dashed": f"{mobile[:3]}-{mobile[3:7]}-{mobile[7:]}",
        "country_code": f"{'+86' if int(digits[0]) % 2 else '86-'}{mobile}",
        "masked": f"{mobile[:3]}****{mobile[7:]}",
        "virtual": f"{mobile}{'转' if int(digits[0]) % 3 else '-'}{digits[8:12]}",
        "landline": f"{area_code}-{landline}",
        "landline_extension": f"{area_code}-{landline}{'转' if int(digits[0]) % 2 else '-'}{digits[9:12]}",
    }[kind]
