"""How the answer to a session goes wrong: what a model keeps, misses, mixes up or invents, each from a right answer.

Here belongs only the breaking; what is right is said by `family.py` and `state.py`. Some kinds break a rule, others can
only be told from the talk itself (an older city, a time that was called off), for the judge to learn.
"""

import functools
import json
import random
import re
from collections.abc import Callable
from typing import Final

from cs_assets import catalogue
from cs_assets.families.base import Corrupter
from cs_assets.families.dialogue.state import WISHES
from cs_assets.families.dialogue.transcript import Transcript, mentioned, read_transcript
from cs_assets.families.json_corruptions import (
    Values,
    blanked,
    cut,
    fenced,
    invented,
    missing_key,
    moved,
    of_values,
    prose_before,
    swapped,
    written,
)

# What a model adds where nothing was said.
_ASSUMED: Final = {
    "数量": ("1个", "一个", "1条"),
    "时间": ("今天", "尽快", "明天"),
    "规格": ("16G", "标准", "512G"),
    "地点": ("北京", "上海", "本地"),
}
_POINTING: Final = re.compile(
    r"最?(?:便宜点?|贵)的那[个款]|第[一二三][个款]|\d[\dA-Za-z.瓦米]*(?:的那个|那款|那个)|刚才那款|它"
)


def _said(name: str, values: Values, talk: Transcript) -> list[str]:
    """Return what the customer said for a field at some time, other than its true value."""
    return [word for text in talk.customer for word in mentioned(name, text) if word not in values[name]]


def _older_value(values: Values, talk: Transcript, rng: random.Random) -> Values | None:
    """Keep what was said before a correction or a change."""
    older = [(name, word) for name in WISHES if values[name] for word in _said(name, values, talk)]
    if not older:
        return None
    name, word = rng.choice(older)
    return values | {name: word}


def _called_off_value(values: Values, talk: Transcript, rng: random.Random) -> Values | None:
    """Keep what the customer no longer wants, or said of something else."""
    void = [(name, word) for name in WISHES if not values[name] for word in _said(name, values, talk)]
    if not void:
        return None
    name, word = rng.choice(void)
    return values | {name: word}


def _both_values(values: Values, talk: Transcript, rng: random.Random) -> Values | None:
    older = [(name, word) for name in WISHES if values[name] for word in _said(name, values, talk)]
    if not older:
        return None
    name, word = rng.choice(older)
    return values | {name: f"{word}、{values[name]}"}


def _pointing(talk: Transcript) -> list[str]:
    """Return the customer's words that point at an offer, but those that name a brand."""
    return [word for text in talk.customer for word in _POINTING.findall(text)]


def _offered(talk: Transcript) -> list[str]:
    return list(dict.fromkeys(name for text in talk.shop for name in mentioned("商品", text)))


def _other_product(values: Values, talk: Transcript, rng: random.Random) -> Values | None:
    """Take another product of the shop's: too late, out of stock, of another size, or not the chosen one."""
    others = [name for name in _offered(talk) if name != values["商品"]]
    if not values["商品"] or not others:
        return None
    return values | {"商品": rng.choice(others)}


def _rash_product(values: Values, talk: Transcript, rng: random.Random) -> Values | None:
    """Take a product where none, or more than one, is left."""
    if values["商品"] or not _offered(talk):
        return None
    return values | {"商品": rng.choice(_offered(talk))}


def _misfit(values: Values, talk: Transcript, rng: random.Random) -> Values | None:
    """Take a product of the right kind that the shop did not offer; most do not fit."""
    category, offered = catalogue.category_of(values["配件"]), _offered(talk)
    others = [p.name for p in catalogue.products().values() if p.category == category and p.name not in offered]
    return values | {"商品": rng.choice(others)} if others and values["商品"] else None


def _unresolved(values: Values, talk: Transcript, rng: random.Random) -> Values | None:
    """Answer with the customer's pointing (32G的那个) instead of what is pointed at."""
    words = _pointing(talk)
    return values | {"商品": rng.choice(words)} if words and values["商品"] else None


def _short_name(values: Values, rng: random.Random) -> Values | None:
    """Name the product by its brand, as the customer does, so that it could be another one."""
    product = catalogue.products().get(values["商品"])
    if product is None:
        return None
    return values | {"商品": rng.choice((product.brand, f"{product.brand}{values['配件']}"))}


def _other_reference(values: Values, talk: Transcript, rng: random.Random) -> Values | None:
    """Take what the customer points at for its neighbour in the shop's list."""
    lists = [found for text in talk.shop if values["商品"] in (found := mentioned("商品", text)) and len(found) > 1]
    if not values["商品"] or not lists or not _pointing(talk):
        return None
    return values | {"商品": rng.choice([name for name in lists[-1] if name != values["商品"]])}


def _pronoun(values: Values, rng: random.Random) -> Values | None:
    """Leave the device as a pronoun."""
    return values | {"设备": rng.choice(("这台", "它", "我的设备"))} if values["设备"] else None


def _invented_city(values: Values, talk: Transcript, rng: random.Random) -> Values | None:
    if not values["地点"]:
        return None
    text = "".join(talk.customer)
    return values | {"地点": rng.choice([city for city in catalogue.cities() if city not in text])}


def _completed_value(values: Values, rng: random.Random) -> Values | None:
    """Correct what was said to the full form: helpful, and against the rule that words are kept."""
    full = {}
    if values["地点"] and values["地点"] == catalogue.city_of(values["地点"]):
        full["地点"] = f"{values['地点']}市"
    measure = catalogue.specification_of(values["规格"])
    if measure not in ("", values["规格"]):
        full["规格"] = measure
    if catalogue.category_of(values["配件"]) not in ("", values["配件"]):
        full["配件"] = catalogue.category_of(values["配件"])
    if not full:
        return None
    name = rng.choice(list(full))
    return values | {name: full[name]}


def _blank_product(values: Values, rng: random.Random) -> Values | None:
    """Be too careful: the shop's words leave exactly one product."""
    return values | {"商品": ""} if values["商品"] else None


TalkCorrupter = Callable[[Values, Transcript, random.Random], Values | None]


def _of_talk(make: TalkCorrupter) -> Corrupter:
    """Return the corrupter of samples that `make`, a corrupter of values and what was said, stands for."""
    return lambda sample, rng: written(make(json.loads(sample.answer), read_transcript(sample.message), rng))


_OPENINGS: Final = ("好的，客户目前的需求是：", "根据对话内容，解析如下：\n")
CORRUPTIONS: Final[dict[str, dict[str, Corrupter]]] = {
    "staleness": {
        "older_value": _of_talk(_older_value),
        "called_off_value": _of_talk(_called_off_value),
        "both_values": _of_talk(_both_values),
    },
    "product": {
        "other_product": _of_talk(_other_product),
        "rash_product": _of_talk(_rash_product),
        "misfit": _of_talk(_misfit),
    },
    "coreference": {
        "unresolved": _of_talk(_unresolved),
        "other_reference": _of_talk(_other_reference),
        "short_name": of_values(_short_name),
        "pronoun": of_values(_pronoun),
    },
    "invention": {
        "assumed_value": of_values(functools.partial(invented, inventions=_ASSUMED)),
        "invented_city": _of_talk(_invented_city),
        "completed_value": of_values(_completed_value),
    },
    "omission": {
        "blank_field": of_values(blanked),
        "blank_product": of_values(_blank_product),
        "cut_value": of_values(functools.partial(cut, parts=2, end=" ")),
    },
    "exchange": {"swapped_fields": of_values(swapped), "moved_value": of_values(moved)},
    "format": {
        "fenced": of_values(fenced),
        "missing_key": of_values(missing_key),
        "prose_around": of_values(prose_before(_OPENINGS)),
    },
}
