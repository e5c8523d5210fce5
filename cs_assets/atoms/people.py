"""People: names as customers write them, and phone numbers of every shape.

Faker's tables serve the names; prefixes and landline codes come from the reference tables, so that a number that is
shown can exist.

    sample_names(rng, blocks)           # 王秀英, 李先生, 小陈, 欧阳建国, 扎西多吉 ...
    sample_phones(rng, area_codes)      # 13800138000, 0755-23456789转801, +852 6123 4567 ...
"""

import functools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import polars as pl

from cs_assets.atoms.blocks import BLOCK_COUNT
from cs_assets.atoms.coined_names import COINED_SHARE, coined
from cs_assets.atoms.columns import WeightedPools, compose, draw_kinds, joined, part
from cs_assets.reference import reference_table

# "full" is a surname with a given name, "nickname" 小王, "familiar" 阿强, "masked" 李* as shop apps show a name.
NAME_KINDS: Final = {
    "full": 0.72,
    "title": 0.13,
    "nickname": 0.035,
    "familiar": 0.04,
    "minority": 0.035,
    "latin": 0.025,
    "masked": 0.015,
}
# Faker has the shares of the surnames (per cent of the people, from Wikipedia's 中国姓氏排名), with a slip of the point
# for 于, and only the forms 萧, 阎 and 傅, which most bearers write 肖, 闫 and 付; those shares are our estimate.
_SURNAME_SHARES: Final = {"于": 0.48, "肖": 0.48, "萧": 0.08, "闫": 0.2, "阎": 0.07, "付": 0.25, "傅": 0.15}
# Faker's rarest, below one in 10,000 people, go: some are a minority name's first character.
_RAREST: Final = 0.01
# 欧阳 has more bearers than the others together. One customer in a hundred has one, ten times as many as in life, for a
# model must meet them.
_RARE_COMPOUND: Final = (
    "上官 司马 司徒 诸葛 令狐 慕容 皇甫 夏侯 尉迟 申屠 端木 公孙 宇文 长孙 东方 南宫 闻人 澹台 钟离 濮阳"
)
_COMPOUND: Final = {"欧阳": 8} | dict.fromkeys(_RARE_COMPOUND.split(), 1)
_COMPOUND_SHARE: Final = 0.016
# Surnames that Faker lacks or has among its rarest; together they have so much, more than in life, as above.
_UNUSUAL: Final = (
    "庹郗鄢仝佟边屠穆栾承薄植农权迟查隋束勾郧冀牟裴卓楼应姬蒲满辛瞿麦亓逄逯仇覃禤冼荀郜羿桂帅佘佴阚缪苟厉晏展宓贲郏邝邬浦储"
    "巩揭敖桑柏沙滑祁窦羊臧茹荆蔺谌谯费逢都阙隗霍鞠鲍麻"
    "凤酆湛昝诸钮嵇於汲邴糜弓牧蓬钭戎韶蓟鄂籍宰郦郤璩濮宦慎庾暨殳沃蔚夔厍訾乜巢蒯竺桓侴昃郇缑亢俎呙冮仉揣矫佐丘召铎苟尧尉渠檀苌尕冶芶"
)
_UNUSUAL_SHARE: Final = 0.05
# Given names: 15 % of the people have one character. Of the others some have a name of Faker's list of the most
# frequent, the rest one that parents composed: a first and a second character of a generation, frequent ones first.
_SINGLE_SHARE: Final = 0.15
_FREQUENT_SHARE: Final = 0.15
_COMPOSED: Final = (
    ("建志国文永海俊晓德春光金玉宏立振家云新学世忠庆兴长", "华强军平明伟林峰生国民龙辉斌东涛文祥勇波良成刚才福"),
    ("秀玉桂淑春海丽晓小红雪艳凤金美月冬翠爱素彩", "英兰珍梅芳华荣云霞玲红燕萍凤香娟琴花敏丽莲"),
    ("子浩宇俊梓奕泽明嘉一思志博天皓家睿晨", "轩涵豪杰然博阳辰洋哲睿航霖毅翔文凡"),
    ("子梓雨欣思诗佳雅梦语可一若紫婉静嘉晨", "涵萱怡琪婷彤瑶妍颖悦菲汐雯琳萌娜"),
)
# Besides, as many given names as `COINED_SHARE` tells are characters put together by chance, some of them doubled.
_COINED: Final = 20_000
_COINED_LENGTHS: Final = {1: _SINGLE_SHARE, 2: 1 - _SINGLE_SHARE}
_DOUBLED_STEP: Final = 12
_SINGLE: Final = "昊轩睿琪瑶蕾彤晗悦萌薇岚珊虹露茜媛昕怡妍钰煜哲毅翔恒骏航铭"
# In these lists, what people write more often stands more often.
_RARE_TITLES: Final = (
    "同学 大姐 大哥 老板 老板娘 医生 会计 主任 律师 店长 叔 叔叔 姨 婶 嫂 伯 大爷 大妈 奶奶 爷爷 工 队长 主管 护士 "
    "妈妈 校长 教练 幺妹 院长 书记 科长 班长"
)
_USUAL_TITLES: Final = ("小姐", "老师", "姐", "哥", "师傅", "阿姨", "经理", "总")
TITLES: Final = (*("先生", "女士") * 9, *_USUAL_TITLES * 3, *_RARE_TITLES.split())
_NICKNAMES: Final = ("小", "小", "老")
# 豆豆妈妈, 小宝爸; 静静 and 阿静; what people call themselves online.
_CHILDREN: Final = (
    "豆豆 果果 乐乐 朵朵 小宝 大宝 二宝 糖糖 安安 多多 萌萌 希希 轩轩 浩浩 童童 米粒 桐桐 一一 小米 球球 可可 辰辰 "
    "小雨 小鱼儿"
)
_PARENTS: Final = "妈妈 妈妈 妈 妈 麻麻 爸爸 爸 奶奶 姥姥 外婆"
_DOUBLED: Final = "静婷丽娜佳欢莉芳萌圆媛倩莹彤琳璐露蕾珊楠洋涛磊壮亮晶苗甜笑毛可果"
_ONLINE: Final = (
    "小鹿 大彪 小龙 胖子 大刘哥 幺妹儿 小鱼 木木 十七 阿布 老猫 小七 小仙女 大橙子 一只猫 南风 西瓜 土豆 糯米团 清风 "
    "半夏 浅笑 阿呆 柠檬不酸 云淡风轻 快乐每一天 爱吃鱼的猫 向日葵 静待花开 平平安安 星辰 知足常乐 夏天的风 岁月静好 "
    "小幸运 花花 老船长 二狗 铁蛋 娟儿"
)
_FAMILIAR: Final = (
    "阿强 阿明 阿伟 阿芳 阿珍 阿华 阿红 阿霞 阿军 阿辉 阿兰 阿英 阿丽 阿龙 阿杰 强哥 伟哥 军哥 杰哥 辉哥 勇哥 芳姐 "
    "霞姐 红姐 兰姐 梅姐 燕姐 丽姐 英姐 婷婷 丽丽 娜娜 莉莉 芳芳 佳佳 欢欢 萌萌 静静 娟子 燕子 豆豆妈妈 果果妈 "
    "乐乐爸爸"
)
# Latin names are written alone, before a surname (Kevin Lau, Zoe Qin) or before a title (Tony老师).
_LATIN: Final = (
    "Cindy Amy Tony Kevin Lily Zoe Jack Tom Lucy Anna Linda Vivian Jason Eric David Helen Grace Coco Emma Alex Leo "
    "Ivy Mia Sherry Peter Michael Nancy Jenny Andy Steven Winnie Sunny Yoyo Kitty Bella Fiona Daisy Frank Harry Allen"
)
_LATIN_SURNAMES: Final = "Lau Chan Wong Lee Chen Wang Li Zhang Liu Qin Zhao Wu Xu Lin Huang Zhou Ho Ng Tan Yang"
_LATIN_TITLES: Final = ("老师", "姐", "哥", "总", "小姐", "先生")
_LATIN_ENDS: Final = (*("",) * 50, *_LATIN_SURNAMES.split(), *_LATIN_TITLES, *"王李张刘陈黄虞林")
# Uyghur: a given name, then the father's. Tibetan: two parts, the first borne by women and men. Yi: the clan, then the
# given name.
_UYGHUR: Final = (
    "买买提 艾力 吐尔逊 亚森 艾尼瓦尔 艾尔肯 阿迪力 木塔力甫 阿依古丽 古丽娜尔 热依汗 帕提古丽 努尔古丽 阿米娜 麦麦提 "
    "阿卜杜拉 阿不都热合曼 玉素普 伊力亚 祖丽皮娅 米热古丽 迪丽努尔 热孜万古丽 叶尔江 努尔兰 古丽巴哈尔 阿娜尔",
    "吐尔逊 艾合买提 买买提 玉素甫 卡德尔 司马义 艾山 肉孜 吾买尔 热合曼 托合提 图尔荪 阿布都拉 艾则孜 伊明 萨迪克 "
    "巴图尔 哈力克",
)
_TIBETAN: Final = (
    "扎西 次仁 格桑 尼玛 达娃 索朗 白玛 边巴 丹增 洛桑 普布 拉巴 米玛 巴桑 仁青 才让 多杰 旦增 贡布 桑吉 德吉 旺姆 "
    "益西 嘎玛 土登",
    "多吉 旺堆 顿珠 平措 央金 拉姆 卓玛 德吉 罗布 次旦 旺久 曲珍 卓嘎 顿巴 加措 群培 晋美 措姆 白珍 南加",
)
_YI: Final = ("吉克 沙马 曲比 吉木 阿苏 马海", "阿依 阿呷 阿支 木呷 尔古 伍呷")
_MONGOL: Final = (
    "巴特尔 其其格 乌云其木格 娜仁托娅 萨仁高娃 苏日娜 乌日娜 图雅 阿拉坦 额尔敦 哈斯巴根 朝鲁 格日勒图 布和 通拉嘎 "
    "塔娜 苏布德 巴雅尔 满都拉 敖登 萨如拉 娜日苏 哈斯其其格 宝音 青格勒 那仁花 乌兰图雅 斯琴 阿古拉 孟和"
)
PHONE_KINDS: Final = {
    "mobile": 0.58,
    "spaced": 0.05,
    "digit_by_digit": 0.025,
    "dashed": 0.045,
    "country_code": 0.05,
    "masked": 0.035,
    "virtual": 0.05,
    "landline": 0.075,
    "landline_extension": 0.03,
    "local_landline": 0.01,
    "hotline": 0.01,
    "numerals": 0.02,
    "full_width": 0.02,
}
# How the parts of a number are written, {} for each: what people type more often stands more often.
_COUNTRY_FORMS: Final = (
    "+86{a}{b}{c}",
    "+86{a}{b}{c}",
    "86-{a}{b}{c}",
    "86-{a}{b}{c}",
    "+86 {a}{b}{c}",
    "+86 {a} {b} {c}",
    "+86-{a}{b}{c}",
    "+86-{a}-{b}-{c}",
    "(+86){a}{b}{c}",
    "86{a}{b}{c}",
    "0086{a}{b}{c}",
    "+86 {a}-{b}-{c}",
)
_DASHED_FORMS: Final = ("{a}-{b}-{c}", "{a}-{b}-{c}", "{a}-{b}-{c}", "{a}.{b}.{c}", "{a}－{b}－{c}", "{a}—{b}—{c}")
_MASKED_FORMS: Final = ("{a}****{c}", "{a}****{c}", "{a}****{c}", "{a}xxxx{c}", "{a}XXXX{c}", "{a}××××{c}")
_EXTENSIONS: Final = ("转", "转", "-", "-", " 转 ", "转接", "分机", "#", ",", " 分机 ", " 转", "转分机")
_LANDLINE_FORMS: Final = (
    *("{area}-{subscriber}",) * 5,
    *("{area}{subscriber}",) * 2,
    "({area}){subscriber}",
    "（{area}）{subscriber}",
    "{area} {subscriber}",
    "{area} {first} {last}",
    "{area} {first} {last}",
    "{area}-{first} {last}",
    "{area}-{first}-{last}",
    "({area}){first} {last}",
    "（{area}）{first} {last}",
    "{area} - {subscriber}",
    "+86-{trunkless}-{subscriber}",
    "{area}—{subscriber}",
    "{area}－{subscriber}",
    "86-{area}-{subscriber}",
)
_LANDLINE_EXTENSIONS: Final = (
    *("转", "转", "-", "-", "分机", "ext.", "ext", " 转 "),
    *(" 分机 ", " ext.", " 转", "转分机", " 分机", "#"),
)
_HOTLINES: Final = (
    "400-{a}-{b}",
    "400-{a}-{b}",
    "400{a}{b}",
    "400 {a} {b}",
    "800-{a}-{b}",
    "400-{a}-{b}转{c}",
    "400-{a}-{b} 转 {c} 再转 0",
)
FULL_WIDTH_DIGITS: Final = dict(zip("0123456789", "０１２３４５６７８９", strict=True))
DIGIT_NUMERALS: Final = dict(zip("0123456789", "零一二三四五六七八九", strict=True))
# How often a mobile number begins so. Our assumption: people keep old numbers, and 16x belongs to resellers; no
# statistic was at hand. 14x is left out: data cards, which take no calls.
_SERIES: Final = {"13": 0.30, "15": 0.24, "16": 0.02, "17": 0.10, "18": 0.26, "19": 0.08}
_SATELLITE: Final = ("174", "1349")
# Subscribers' numbers have eight digits under 010 and 02x, and in these large cities and provinces too (from the public
# numbering plan, as far as we know it); seven elsewhere.
_EIGHT_DIGITS: Final = (
    "0311 0371 0379 0411 0431 0451 0510 0511 0512 0513 0514 0515 0516 0517 0518 0519 0523 0527 0531 0532 0551 0571 "
    "0573 0574 0575 0576 0577 0579 0591 0595 0731 0755 0757 0760 0769 0791 0851 0871 0898"
)
# What a subscriber's number begins with outside the mainland; most are mobiles.
_OUTSIDE_HEADS: Final = {
    "+852": ("5", "6", "6", "9", "9", "2"),
    "+853": ("6", "6", "6", "6", "6", "28"),
    "+886": ("9",) * 6,
}


@functools.lru_cache(maxsize=1)
def surnames() -> tuple[list[str], np.ndarray]:
    """Return the surnames, compound ones last, with their weights."""
    from faker.providers.person.zh_CN import Provider

    shares = {name: share for name, share in (Provider.last_names | _SURNAME_SHARES).items() if share >= _RAREST}
    shares = {name: share for name, share in shares.items() if name not in _COMPOUND}
    unit = sum(shares.values()) * _COMPOUND_SHARE / sum(_COMPOUND.values())
    shares |= {name: parts * unit for name, parts in _COMPOUND.items()}
    unusual = [name for name in _UNUSUAL if name not in shares]
    shares |= dict.fromkeys(unusual, sum(shares.values()) * _UNUSUAL_SHARE / len(unusual))
    return list(shares), np.array(list(shares.values()))


@functools.lru_cache(maxsize=1)
def given_names() -> tuple[list[str], np.ndarray]:
    """Return the given names with their weights."""
    from faker.providers.person.zh_CN import Provider

    frequent = dict.fromkeys(Provider.first_names_male + Provider.first_names_female)
    single = [*(name for name in frequent if len(name) == 1), *_SINGLE]
    double = [name for name in frequent if len(name) == 2]
    shares = dict.fromkeys(single, _SINGLE_SHARE / len(single)) | dict.fromkeys(double, _FREQUENT_SHARE / len(double))
    rest = (1 - _SINGLE_SHARE - _FREQUENT_SHARE) / len(_COMPOSED)
    for firsts, seconds in _COMPOSED:
        ranks = {a + b: 1 / (i + 5) / (j + 5) for i, a in enumerate(firsts) for j, b in enumerate(seconds) if a != b}
        for name, rank in ranks.items():
            shares[name] = shares.get(name, 0) + rest * rank / sum(ranks.values())
    return list(shares), np.array(list(shares.values()))


@functools.lru_cache(maxsize=1)
def coined_given_names() -> list[str]:
    """Return given names that no list holds: 璟湍, 鹮, 灵灵.

    None begins with the second character of a compound surname, else 欧 with 阳明 and 欧阳 with 明 were one name; and
    none ends a name of the smaller peoples.
    """
    seconds = {name[1:] for name in surnames()[0]} - {""}
    drawn = [
        name[0] * 2 if number % _DOUBLED_STEP == 0 else name
        for number, name in enumerate(coined(_COINED, "given names", _COINED_LENGTHS))
    ]
    known = {*given_names()[0], *(name[cut:] for name in minority_names() for cut in (1, 2))}
    return [name for name in dict.fromkeys(drawn) if name[0] not in seconds and name not in known]


@functools.lru_cache(maxsize=1)
def _drawn_given_names() -> tuple[list[str], np.ndarray]:
    """Return the known and the coined given names with their weights; of the coined, too, some have one character."""
    known, weights = given_names()
    new = coined_given_names()
    single = np.array([len(name) == 1 for name in new])
    shares = np.where(single, _SINGLE_SHARE / single.sum(), (1 - _SINGLE_SHARE) / (~single).sum())
    return known + new, np.concatenate([weights / weights.sum() * (1 - COINED_SHARE), shares * COINED_SHARE])


@functools.lru_cache(maxsize=1)
def minority_names() -> list[str]:
    """Return whole names, so that no two peoples mix; each entity block owns some, a stride apart."""
    uyghur = [f"{given}·{father}" for given in _UYGHUR[0].split() for father in _UYGHUR[1].split() if given != father]
    in_two_parts = [a + b for firsts, seconds in (_TIBETAN, _YI) for a in firsts.split() for b in seconds.split()]
    return [*uyghur, *in_two_parts, *_MONGOL.split()]


@functools.lru_cache(maxsize=1)
def familiar_names() -> list[str]:
    """Return what people call themselves without a surname: 阿强, 豆豆妈妈, 静静, 小鹿."""
    parents = [child + parent for child in _CHILDREN.split() for parent in _PARENTS.split()]
    doubled = [form.format(c) for c in _DOUBLED for form in ("{0}{0}", "{0}{0}", "阿{0}", "小{0}")]
    return [*(_FAMILIAR.split() * 2), *parents[::2], *doubled, *(_ONLINE.split() * 2)]


@functools.lru_cache(maxsize=1)
def _name_pools() -> tuple[WeightedPools, WeightedPools, WeightedPools]:
    """Return the pools of surnames (one), given names and minority names (as many as there are blocks)."""
    one_pool = np.zeros(len(surnames()[0]), dtype=np.int64)
    given, minority = _drawn_given_names()[1], np.ones(len(minority_names()))
    return (
        WeightedPools(surnames()[1], one_pool),
        WeightedPools(given, np.arange(len(given)) % BLOCK_COUNT),
        WeightedPools(minority, np.arange(len(minority)) % BLOCK_COUNT),
    )


def sample_names(rng: np.random.Generator, blocks: np.ndarray) -> pl.Series:
    """Draw one name a row; full names of different blocks never coincide (王女士 and 小王 may).

    A full name belongs to the block that is the sum of its parts' positions, modulo the number of blocks: every block
    has all surnames and all given names, and no full name of another.

    Args:
        rng: the generator to draw from.
        blocks: integer array (n,), the entity block of each row.
    """
    count = len(blocks)
    surname_pool, given_pools, minority_pools = _name_pools()
    surname = surname_pool.draw(rng, np.zeros(count, dtype=np.int64))
    columns = pl.DataFrame(
        {
            "surname": surname,
            "given": given_pools.draw(rng, (blocks - surname) % BLOCK_COUNT),
            "minority": minority_pools.draw(rng, blocks),
            "word": rng.random(count),
        }
    )
    surname_word = pl.lit(pl.Series(surnames()[0])).gather("surname")
    spellings = {
        "full": joined(surname_word, pl.lit(pl.Series(_drawn_given_names()[0])).gather("given")),
        "title": surname_word + part(TITLES, "word"),
        "nickname": part(_NICKNAMES, "word") + surname_word,
        "familiar": part(familiar_names(), "word"),
        "latin": part([name + end for name in _LATIN.split() for end in _LATIN_ENDS], "word"),
        "masked": surname_word + part(("*", "**"), "word"),
        "minority": pl.lit(pl.Series(minority_names())).gather("minority"),
    }
    return compose(columns, draw_kinds(rng, NAME_KINDS, count), [spellings[kind] for kind in NAME_KINDS])


@functools.lru_cache(maxsize=1)
def mobile_prefixes() -> tuple[str, ...]:
    """Return the allotted mobile prefixes, three or four digits each."""
    return tuple(sorted(set(reference_table("mobile_prefixes")["prefix"])))


@functools.lru_cache(maxsize=1)
def _weighted_prefixes() -> tuple[np.ndarray, WeightedPools]:
    """Return the prefixes of people's phones as numbers, and how they are drawn: series, then three digits, then row.

    Rows are no measure of use: the table splits a range in four digits where networks share it.
    """
    usable = [p for p in mobile_prefixes() if p[:2] in _SERIES and not p.startswith(_SATELLITE)]
    rows = Counter(prefix[:3] for prefix in usable)
    heads = Counter(head[:2] for head in rows)
    shares = np.array([_SERIES[p[:2]] / heads[p[:2]] / rows[p[:3]] for p in usable])
    return np.array(usable, dtype=np.int64), WeightedPools(shares, np.zeros(len(usable), dtype=np.int64))


def _mobiles(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draw mobile numbers of eleven digits, as integers."""
    prefixes, pool = _weighted_prefixes()
    prefix = prefixes[pool.draw(rng, np.zeros(count, dtype=np.int64))]
    digits = rng.integers(0, 10**8, count)
    return np.where(prefix < 1000, prefix * 10**8 + digits, prefix * 10**7 + digits // 10)


def sample_phones(rng: np.random.Generator, area_codes: pl.Series) -> pl.Series:
    """Draw one phone number a row, in the spelling that a customer would type.

    Landlines carry the row's area code; where that is the code of a country call (+852), so does every number.
    """
    count = len(area_codes)
    kinds = draw_kinds(rng, PHONE_KINDS, count)
    kinds = np.where(area_codes.str.starts_with("+").to_numpy(), len(PHONE_KINDS), kinds)
    columns = pl.DataFrame(
        {
            "area": area_codes,
            "mobile": _mobiles(rng, count),
            # A subscriber's number starts with 2 to 8.
            "subscriber": rng.integers(20_000_000, 90_000_000, count),
            "extension": rng.integers(10_000, 20_000, count),
            "choice": rng.integers(0, 6, count),
            "form": rng.random(count),
            "way": rng.random(count),
        }
    ).with_columns(pl.col("mobile", "subscriber", "extension").cast(pl.String))
    columns = columns.with_columns(
        a=pl.col("mobile").str.head(3),
        b=pl.col("mobile").str.slice(3, 4),
        c=pl.col("mobile").str.tail(4),
        digits=pl.col("subscriber"),
        subscriber=pl.col("subscriber").str.head(subscriber_digits(pl.col("area"))),
        trunkless=pl.col("area").str.strip_prefix("0"),
    ).with_columns(
        first=pl.col("subscriber").str.head(pl.col("subscriber").str.len_bytes() - 4),
        last=pl.col("subscriber").str.tail(4),
    )
    landline, numeral = _written(_LANDLINE_FORMS), pl.col("mobile").str.replace_many(DIGIT_NUMERALS)
    spellings = {
        "mobile": pl.col("mobile"),
        "spaced": _written(("{a} {b} {c}",)),
        "digit_by_digit": pl.col("mobile").str.replace_all(r"(\d)(\d)", "$1 $2 ").str.strip_chars(),
        "dashed": _written(_DASHED_FORMS),
        "country_code": _written(_COUNTRY_FORMS),
        "masked": _written(_MASKED_FORMS),
        "virtual": pl.col("mobile") + part(_EXTENSIONS, "form") + pl.col("extension").str.tail(4),
        "landline": landline,
        "landline_extension": _written(("{area}-{subscriber}", "{area}-{subscriber}", "{area} {first} {last}"))
        + part(_LANDLINE_EXTENSIONS, "way")
        + pl.col("extension").str.tail(pl.col("choice") % 3 + 2),
        "local_landline": pl.col("subscriber"),
        "hotline": _written(_HOTLINES, a=pl.col("c").str.head(3), b=pl.col("b"), c=pl.col("choice").cast(pl.String)),
        # Some type 〇 or O for 零.
        "numerals": numeral.str.replace_all("零", part(("零", "零", "零", "〇", "O"), "form")),
        "full_width": pl.col("mobile").str.replace_many(FULL_WIDTH_DIGITS),
    }
    return compose(columns, kinds, [*(spellings[kind] for kind in PHONE_KINDS), _outside_phone()])


def _written(forms: Sequence[str], **parts: pl.Expr) -> pl.Expr:
    """Return the form that the column `form` picks; a name in braces is one of `parts`, else a column."""
    written = [_filled(form, parts) for form in forms]
    picked = (pl.col("form") * len(forms)).cast(pl.Int64)
    expression = written[0]
    for position, other in enumerate(written[1:], start=1):
        expression = pl.when(picked == position).then(other).otherwise(expression)
    return expression


def _filled(form: str, parts: Mapping[str, pl.Expr]) -> pl.Expr:
    names = re.findall(r"\{(\w+)\}", form)
    return pl.format(re.sub(r"\{\w+\}", "{}", form), *(parts.get(name, pl.col(name)) for name in names))


def subscriber_digits(area_code: pl.Expr) -> pl.Expr:
    """Return how many digits a landline has behind the code of a mainland area."""
    eight = (area_code.str.len_bytes() == 3) | area_code.is_in(_EIGHT_DIGITS.split())
    return pl.when(eight).then(8).otherwise(7)


def _outside_phone() -> pl.Expr:
    """Spell +852 6123 4567, +85261234567 or 852-61234567, in Macao alike; a mobile of Taiwan is +886 912 345 678."""
    head = pl.coalesce(
        pl.when(pl.col("area") == area).then(pl.lit(pl.Series(heads)).gather("choice"))
        for area, heads in _OUTSIDE_HEADS.items()
    )
    taiwan = pl.col("area") == "+886"
    number = (head + pl.col("digits")).str.head(pl.when(taiwan).then(9).otherwise(8))
    groups = (
        pl.when(taiwan)
        .then(pl.format("{} {} {}", number.str.head(3), number.str.slice(3, 3), number.str.tail(3)))
        .otherwise(pl.format("{} {}", number.str.head(4), number.str.tail(4)))
    )
    style = pl.col("extension").cast(pl.Int64) % 3
    return (
        pl.when(style == 0)
        .then(pl.format("{} {}", "area", groups))
        .when(style == 1)
        .then(pl.concat_str("area", number))
        .otherwise(pl.format("{}-{}", pl.col("area").str.strip_chars_start("+"), number))
    )
