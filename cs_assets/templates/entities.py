"""Literal entities in a text: numbers, regions, streets, doors, names, addresses of mail, and points in time.

Here belongs finding them, by rules and by the reference tables. What is done about one is the business of the caller:
a gate rejects a sentence that names one, history puts a slot in its place.

    [entity.text for entity in find_entities("张建国 138-0013-8000 深圳市南山区")]
    # ["张建国", "138-0013-8000", "深圳市", "南山区"]
"""

import functools
import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from cs_assets.atoms.divisions import all_divisions, short_province
from cs_assets.atoms.people import given_names, surnames


class Entity(NamedTuple):
    """A literal entity: `kind` is number, contact, region, place, name, time or quantity."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


_NUMERAL: Final = "零〇一二三四五六七八九幺两壹贰叁肆伍陆柒捌玖"
_COUNT: Final = rf"(?:\d+|[{_NUMERAL}十百]+)"
# What stands before a place in a sentence, and never within its name.
_FUNCTION: Final = (
    "这那我你您他她它们个的在到住放送寄发新老旧本整全各哪进出回门口自己家是用给帮请和跟还就也都不没有要叫从往去来上下里外面了吗吧啊"
    "附近一两半走同马条公铁电线网套思换改收选填写按省市区县"
)
_PLACE_NAME: Final = rf"(?:(?![{_FUNCTION}])[\u4e00-\u9fff]){{2,4}}?"
_RULES: Final = {
    "number": (
        # Three digits and more, however they are parted: 138 0013 8000, １３８－００１３.
        r"\d(?:[ \-—–－_.·\u3000\u2009\u00a0]{0,2}\d){2,}",
        # Letters and digits, three of them digits: SF12A8B9, 138OO138OOO.
        r"(?<![A-Za-z0-9])(?=(?:[A-Za-z]*\d){3})[A-Za-z0-9]{6,}",
        rf"(?!七七八八|三三两两|一五一十)[{_NUMERAL}](?:[ \-—、]{{0,2}}[{_NUMERAL}]){{3,}}",
    ),
    "contact": (
        r"[A-Za-z0-9._+-]+@[A-Za-z0-9-]+\.[A-Za-z0-9.]+",
        r"https?://\S+|www\.\S+",
        r"(?i:微信号?|qq号?|wx|vx)[：:是 ]*[A-Za-z][\w-]{4,}",
    ),
    "place": (
        rf"(?:(?![省市区县])[\u4e00-\u9fff]){{2,6}}?(?:路|街|道|巷|弄|胡同|村|组){_COUNT}号",
        rf"(?:{_COUNT}|[A-Za-z甲乙丙丁])(?:栋|幢|号楼|单元|座|室|弄){_COUNT}?",
        rf"(?<![\u4e00-\u9fff]){_COUNT}-{_COUNT}-{_COUNT}(?!\d)",
        rf"{_PLACE_NAME}(?:路(?![上由过线口边况程费途径])|大道|大街|胡同)",
        rf"{_PLACE_NAME}(?:小区|花园|广场|大厦|大楼|酒店|宾馆|公寓|家园|雅苑|华府|写字楼|科技园|产业园|工业园|大学|中学|小学|医院)",
    ),
    "time": (
        r"明天|后天|大后天|今晚|明晚|今早|明早|[上中下]午[零一二三四五六七八九十\d]",
        r"(?:\d{1,2}|十?[二两三四五六七八九十])点|一点(?=钟|半|前|之前|左右)",
        r"(?:下下?|上|这|本)?(?:周|星期|礼拜)[一二三四五六日天末]|\d+月\d*|\d+[日号](?!楼)|月底|月初",
    ),
    "quantity": (r"\d+[个件条台根张盒箱双套只瓶包袋把份](?!月)",),
}
_COMPILED: Final = {kind: [re.compile(pattern) for pattern in patterns] for kind, patterns in _RULES.items()}

# Short names of cities that are everyday words as well.
_EVERYDAY: Final = frozenset(
    ["开封", "来宾", "安康", "阿里", "白银", "大同", "天水", "中山", "桃园", "九龙", "新界", "港岛", "南投", "嘉义"]
)
_CHINESE: Final = re.compile(r"[\u4e00-\u9fff]{2,}")

_TITLES: Final = "先生|女士|小姐|老师|师傅|经理|阿姨|大姐|总|姐|哥|叔"
# Surnames that are everyday words before a title or a given name: 和师傅说, 时间, 别急.
_WORD_SURNAMES: Final = frozenset("和时安都后全连从向要别常单方成应计相来花海母国门席当边")
# The names of examples and jokes, which no list of real names has.
_EXAMPLE_NAMES: Final = "张三|李四|王五|赵六|小明|小红|小刚|小王|小李|小张|老王|某某"
_NAME_CUE: Final = (
    r"(?:我叫|名叫|姓名|名字|收[件货]人|联系人|收票人|本人|朋友|同事|老公|老婆|儿子|女儿)(?:[是叫：:为写改成填 ]{0,3})"
)
_NAME_END: Final = r"(?![\u4e00-\u9fff])|(?=收|的|电话|手机|先生|女士|地址|住|签收)"


def find_entities(text: str) -> list[Entity]:
    """Return the entities of a text, none within another, in its order."""
    found = [
        Entity(kind, match[0], match.start())
        for kind, patterns in _COMPILED.items()
        for pattern in patterns
        for match in pattern.finditer(text)
    ]
    found += find_regions(text)
    found += _names(text)
    return _outermost(found)


def _outermost(found: Iterable[Entity]) -> list[Entity]:
    kept: list[Entity] = []
    for entity in sorted(found, key=lambda entity: (-len(entity.text), entity.start)):
        if all(entity.end <= other.start or other.end <= entity.start for other in kept):
            kept.append(entity)
    return sorted(kept, key=lambda entity: entity.start)


@functools.lru_cache(maxsize=1)
def region_names() -> frozenset[str]:
    """Return how provinces, cities and counties are named, in full and as people shorten them (广东, 深圳)."""
    table = all_divisions()
    provinces, cities = set(table["province"]), set(table["city"]) - {""}
    short = {short_province(name) for name in provinces} | {re.sub("(?:市|地区|盟)$", "", name) for name in cities}
    counties = {name for name in table["county"] if len(name) > 2}
    return frozenset((provinces | cities | short | counties) - _EVERYDAY)


@functools.lru_cache(maxsize=1)
def _longest_region() -> int:
    return max(map(len, region_names()))


def find_regions(text: str) -> list[Entity]:
    """Return every province, city or county that is named, also within a longer name."""
    found = []
    for run in _CHINESE.finditer(text):
        for start in range(run.start(), run.end() - 1):
            for end in range(min(run.end(), start + _longest_region()), start + 1, -1):
                if text[start:end] in region_names():
                    found.append(Entity("region", text[start:end], start))
                    break
    return found


@functools.lru_cache(maxsize=1)
def _name_patterns() -> tuple[re.Pattern[str], ...]:
    names = [name for name in surnames()[0] if name not in _WORD_SURNAMES]
    surname = f"(?:{'|'.join(sorted(names, key=len, reverse=True))})"
    double = "|".join(name for name in given_names()[0] if len(name) == 2)
    single = "".join(name for name in given_names()[0] if len(name) == 1)
    return (
        re.compile(_EXAMPLE_NAMES),
        re.compile(rf"(?<![\u4e00-\u9fff])(?:{surname}|(?<=小)|[小老阿])(?:{_TITLES})(?![\u4e00-\u9fff])"),
        re.compile(rf"{surname}(?:先生|女士|小姐|师傅|经理|老师|总)"),
        re.compile(rf"{_NAME_CUE}({surname}[\u4e00-\u9fff]{{1,2}}?|[小老阿]{surname})(?:{_NAME_END})"),
        # In running text only what a list of given names has; alone between marks, one character is enough.
        re.compile(rf"{surname}(?:{double})"),
        re.compile(rf"(?<![\u4e00-\u9fff]){surname}[{single}](?![\u4e00-\u9fff])"),
        re.compile(rf"(?:我是|寄给|发给|交给|找)({surname}[{single}])(?:{_NAME_END})"),
    )


def _names(text: str) -> list[Entity]:
    found = []
    for pattern in _name_patterns():
        for match in pattern.finditer(text):
            group = 1 if pattern.groups else 0
            found.append(Entity("name", match[group], match.start(group)))
    return found


def bynames(text: str) -> list[str]:
    """Return what might be a byname: 小王, 老李, 阿强. Too many are found (小程序): for those who must not miss one."""
    names = "|".join(name for name in surnames()[0] if name not in _WORD_SURNAMES)
    single = "".join(name for name in given_names()[0] if len(name) == 1)
    pattern = rf"[小老阿](?:{names}|[{single}])(?=[^\u4e00-\u9fff]|$|[收的在说去来给帮打接取拿代签那这处家电手])"
    return [match[0] for match in re.finditer(pattern, text)]
