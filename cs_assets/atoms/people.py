"""People: names as customers write them, and phone numbers of every shape.

Faker serves the names; prefixes and landline codes come from the reference tables, so that a number that is shown
can exist.
"""

import functools
from typing import Final

import numpy as np
import polars as pl

from cs_assets.atoms.divisions import REFERENCE

NAME_VOCABULARY: Final = 6_000
_SURNAMES: Final = tuple("王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕")
_COMPOUND: Final = ("欧阳", "上官", "司马", "诸葛", "东方", "皇甫", "尉迟", "公孙", "慕容", "令狐", "端木", "夏侯")
_TITLES: Final = ("先生", "女士", "小姐", "老师", "同学", "师傅", "经理", "总", "姐", "哥", "阿姨")
# One first part an entity block, so that no such name occurs in two blocks.
_MINORITY_FIRST: Final = ("买买提", "阿依古丽", "扎西", "卓玛", "巴特尔", "格桑", "古丽娜尔", "艾力", "次仁", "其其格")
_MINORITY_LAST: Final = ("·买买提", "·艾合买提", "多吉", "央金", "梅朵", "·吐尔逊", "旺堆", "拉姆", "")
_GIVEN: Final = tuple("娜芳敏静丽强磊军洋勇艳杰涛明超霞平刚桂英华玉兰红梅志鹏浩宇轩子涵一诺思琪雨欣佳怡晨曦文博")
NAME_KINDS: Final = {"plain": 0.72, "title": 0.13, "nickname": 0.07, "compound": 0.05, "minority": 0.03}
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


@functools.lru_cache(maxsize=4)
def _name_vocabulary(seed: int) -> tuple[str, ...]:
    """Return distinct Faker names. Faker draws by row (some 20,000 a second), so we draw a vocabulary once."""
    from faker import Faker

    faker = Faker("zh_CN")
    faker.seed_instance(seed)
    names: dict[str, None] = {}
    while len(names) < NAME_VOCABULARY:
        names[faker.name()] = None
    return tuple(names)


def sample_names(rng: np.random.Generator, blocks: np.ndarray, block_count: int, seed: int) -> list[str]:
    """Draw one name a row; full names of different blocks never coincide (王女士 and 小王 may)."""
    vocabulary = _name_vocabulary(seed)
    kinds = rng.choice(list(NAME_KINDS), len(blocks), p=list(NAME_KINDS.values()))
    picks = rng.integers(0, NAME_VOCABULARY // block_count, len(blocks))
    draws = rng.random((len(blocks), 3))
    return [
        _name(kind, vocabulary[pick * block_count + block], int(block), block_count, draw)
        for kind, pick, block, draw in zip(kinds, picks, blocks, draws, strict=True)
    ]


def _choose(options: tuple[str, ...], draw: float) -> str:
    return options[int(draw * len(options))]


def _name(kind: str, plain: str, block: int, block_count: int, draw: np.ndarray) -> str:
    if kind == "title":
        return _choose(_SURNAMES, draw[0]) + _choose(_TITLES, draw[1])
    if kind == "nickname":
        return _choose(("小", "老", "阿"), draw[0]) + _choose(_SURNAMES, draw[1])
    if kind == "compound":
        given = _choose(_GIVEN[block::block_count], draw[1])
        return _choose(_COMPOUND, draw[0]) + given + (_choose(_GIVEN, draw[2] / 0.6) if draw[2] < 0.6 else "")
    if kind == "minority":
        return _MINORITY_FIRST[block % len(_MINORITY_FIRST)] + _choose(_MINORITY_LAST, draw[0])
    return plain


@functools.lru_cache(maxsize=1)
def mobile_prefixes() -> tuple[str, ...]:
    """Return the allotted mobile prefixes, three or four digits each."""
    return tuple(
        sorted(pl.read_csv(REFERENCE / "mobile_prefixes.csv", infer_schema=False)["prefix"].unique().to_list())
    )


def sample_phones(rng: np.random.Generator, area_codes: list[str]) -> list[str]:
    """Draw one phone number a row, in the spelling a customer would type; landlines carry the row's area code."""
    prefixes = mobile_prefixes()
    kinds = rng.choice(list(PHONE_KINDS), len(area_codes), p=list(PHONE_KINDS.values()))
    chosen = rng.integers(0, len(prefixes), len(area_codes))
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
