"""Names that no list holds: stems of characters drawn uniformly from all that names of places and people use.

A model that meets the same few hundred words learns to recite them; of these it must copy each character. Here belong
the characters and how stems are put together, with ends and with the usual stems; which ends a kind of place has stands
in `places.py` and `detail_forms.py`.

    named("人民 解放", "路 街")     # 人民路, 人民街, 解放路, 解放街, and as many of 鹮湍路, 岜旺街 ...
"""

import functools
import math
import re
from typing import Final

import numpy as np
import polars as pl

from cs_assets.atoms.divisions import all_divisions
from cs_assets.reference import reference_table

# How many of a vocabulary's names have a coined stem, and at least how many such stems it has.
COINED_SHARE: Final = 0.45
_COINED: Final = 20_000
# How often a stem has so many characters.
_LENGTHS: Final = {1: 0.06, 2: 0.72, 3: 0.17, 4: 0.05}
# What ends a part of an address or counts, what is grammar, and what no one gives a name.
_NO_STEM: Final = frozenset(
    "省市县区州盟旗镇乡街道路巷弄村组队社号楼栋幢座层室户门收转店苏一二三四五六七八九十百千万零"
    "的不与之们吗嘛啦咯于只打有无曰乃也为且其叫去来到和在是从"
    "坟墓狗猪贼奴鬼囊乳妃屠瞎孤怒愁悲刑残断痕骨臾殊殪党军独反共破鼠蛇蚁畜痘肠股肤胭盗死毒妓窄漏屁祭恼唇脑斥卖买败失伤痛哭秃佬卵妈姐哥婆爷奶精鸭鸡龟鸟虫矮胖丑臭"
)


@functools.lru_cache(maxsize=1)
def coinable_characters() -> list[str]:
    """Return every character that names of divisions, of townships and of Faker's people have, sorted."""
    from faker.providers.person.zh_CN import Provider

    divisions = reference_table("divisions").select("province", "city", "county")
    places = [name for level in divisions.iter_columns() for name in level] + list(reference_table("townships")["name"])
    people = [*Provider.last_names, *Provider.first_names_male, *Provider.first_names_female]
    return sorted(set(re.findall("[\u4e00-\u9fff]", "".join(places + people))) - _NO_STEM)


def coined(count: int, seed: str, lengths: dict[int, float]) -> list[str]:
    """Return about `count` distinct stems, none of which begins with the name of a county or a city.

    Args:
        count: how many are drawn.
        seed: the same gives the same.
        lengths: how often a stem has so many characters.
    """
    rng = np.random.default_rng(list(seed.encode()))
    characters = pl.Series(coinable_characters())
    drawn = [pl.lit(characters.gather(rng.integers(0, len(characters), count))) for _ in range(max(lengths))]
    kept = pl.lit(pl.Series(rng.choice(list(lengths), count, p=list(lengths.values()))))
    stems = pl.select(stem=pl.concat_str(drawn).str.head(kept))["stem"].unique(maintain_order=True)
    places = _places()
    known = stems.is_in(places) | stems.str.head(2).is_in(places) | stems.str.head(3).is_in(places)
    return stems.filter(~known).to_list()


@functools.lru_cache(maxsize=1)
def _places() -> list[str]:
    """Return the names of cities and counties with their last character and without."""
    names = {name for level in ("city", "county") for name in all_divisions()[level]}
    return sorted(name for name in names | {name[:-1] for name in names} if len(name) > 1)


def crossed(stems: str, ends: str) -> list[str]:
    """Return every stem with every end, but not one that says its last word twice (中心中心)."""
    return [stem + end for stem in stems.split() for end in ends.split() if not end.startswith(stem)]


def named(stems: str, ends: str = "") -> list[str]:
    """Return what `crossed` does, and coined stems with an end each; alone, if there are no ends.

    Draws that are alike have a coined stem in `COINED_SHARE` of the cases.
    """
    known = crossed(stems, ends) if ends else stems.split()
    new = coined(_COINED, ends or stems, _LENGTHS)
    tails = ends.split() or [""]
    times = math.ceil(len(new) * (1 - COINED_SHARE) / COINED_SHARE / len(known))
    return known * times + [stem + tails[number % len(tails)] for number, stem in enumerate(new)]
