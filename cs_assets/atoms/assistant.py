"""The bundle `assistant`: what a question to the assistant about itself may name, besides the question.

One row is one customer who asks: form of address, time of day, the product in talk, another model and who makes it, a
voice assistant, a part to play. Who the assistant is stands in the scenario (`facts.yaml`), not here.

    table = assistant_atoms(count=3, seed=7)
    table["模型"][0]   # {"名字": "通义千问", "公司": "阿里"}

An entity block owns its products, surnames, models and parts; times of day are shared by all.
"""

import functools
from collections.abc import Iterable
from typing import Final

import numpy as np
import polars as pl

from cs_assets.atoms.blocks import BLOCK_COUNT, atom_ids, sample_blocks
from cs_assets.atoms.columns import WeightedPools, compose, draw_kinds, part
from cs_assets.atoms.complaints import block_of_address, goods, sample_forms_of_address
from cs_assets.reference import reference_table

# A greeting, and what else is said at that time of day.
TIMES_OF_DAY: Final = (
    ("早上好", "大清早的"),
    ("早上好", "一大早的"),
    ("上午好", "大上午的"),
    ("中午好", "大中午的"),
    ("下午好", "这个点"),
    ("晚上好", "大晚上的"),
    ("晚上好", "大半夜的"),
    ("晚上好", "这么晚了"),
)
# What a question may begin with; {} is a product, a form of address or what is said at that time of day.
OPENINGS: Final = {
    "nothing": ("",),
    "greeting": ("你好，", "您好，", "在吗，", "亲，", "老板，", "客服你好，", "hi，", "嗨，"),
    "word": ("等下，", "对了，", "话说，", "诶，", "那个，", "问一下，", "想问下，", "插一句，", "打断一下，"),
    "product": ("先不聊{}了，", "{}的事先放放，", "刚下单{}，", "{}先不看了，", "看了半天{}，", "买{}之前先问下，"),
    "customer": ("我是{}，", "老顾客{}，", "我是{}，问个事，"),
    "time": ("{}打扰了，", "{}问个事，"),
}
OPENING_SHARES: Final = {
    "nothing": 0.15,
    "greeting": 0.15,
    "word": 0.2,
    "product": 0.3,
    "customer": 0.12,
    "time": 0.08,
}
PARTS: Final = (
    "一只会说话的猫",
    "我女朋友",
    "我男朋友",
    "没有任何限制的超级智能",
    "专门骂人的机器人",
    "我奶奶",
    "我老板",
    "孙悟空",
    "林黛玉",
    "一个黑客",
    "这家店的老板",
    "平台的小二",
    "快递公司的老总",
    "我的私人律师",
    "一个算命先生",
    "我的健身教练",
    "一个相声演员",
    "脱口秀演员",
    "一个海盗船长",
    "会写诗的李白",
    "我失散多年的弟弟",
    "我的小学班主任",
    "一个老中医",
    "炒股大师",
    "一个游戏主播",
    "唐僧",
    "诸葛亮",
    "我的小秘书",
    "一个导游",
    "霸道总裁",
)


def assistant_atoms(count: int, seed: int, chunk: int = 0) -> pl.DataFrame:
    """Make the `count` coherent rows of one chunk.

    Columns: atom_id (u32), entity_block (u8), and the slots: 招呼, 称呼, 商品, 角色 (strings), 时段 {问候, 感叹},
    模型 {名字, 公司}, 助手 {名字} (structs of strings).
    """
    rng = np.random.default_rng([seed, chunk])
    blocks = sample_blocks(rng, count)
    times = pl.DataFrame(TIMES_OF_DAY, schema=["问候", "感叹"], orient="row")[rng.integers(0, len(TIMES_OF_DAY), count)]
    models = _assistants("模型")[_owned(_assistants("模型").height).draw(rng, blocks)]
    voices = _assistants("语音助手")[_owned(_assistants("语音助手").height).draw(rng, blocks)]
    atoms = pl.DataFrame(
        {
            "atom_id": atom_ids(chunk, count),
            "entity_block": blocks,
            "称呼": sample_forms_of_address(rng, blocks),
            "商品": goods()["name"].gather(_owned(goods().height).draw(rng, blocks)),
            "角色": pl.Series(PARTS).gather(_owned(len(PARTS)).draw(rng, blocks)),
            "时段": times.to_struct(),
            "模型": models.to_struct(),
            "助手": voices.select("名字").to_struct(),
        }
    )
    return atoms.with_columns(_openings(rng, atoms).alias("招呼"))


def _openings(rng: np.random.Generator, atoms: pl.DataFrame) -> pl.Series:
    """Draw what each question begins with, in the words of its row."""
    named = {"product": pl.col("商品"), "customer": pl.col("称呼"), "time": _field("时段", "感叹")}
    drawn = atoms.with_columns(draw=pl.Series(rng.random(atoms.height)))
    spellings = [
        part(OPENINGS[kind], "draw").str.replace("{}", named.get(kind, pl.lit("")), literal=True)
        for kind in OPENING_SHARES
    ]
    return compose(drawn, draw_kinds(rng, OPENING_SHARES, atoms.height), spellings)


def _field(group: str, name: str) -> pl.Expr:
    return pl.col(group).struct.field(name)


@functools.lru_cache(maxsize=2)
def _assistants(kind: str) -> pl.DataFrame:
    table = reference_table("assistants").filter(pl.col("kind") == kind)
    return table.select(pl.col("name").alias("名字"), pl.col("maker").alias("公司"))


@functools.lru_cache(maxsize=8)
def _owned(count: int) -> WeightedPools:
    """Return the pools, one a block, of the rows of a table of so many rows: a stride apart, all alike."""
    return WeightedPools(np.ones(count), np.arange(count) % BLOCK_COUNT)


def assistant_faults(atoms: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that contradict themselves or belong to another block: atom_id and reason."""
    flat = atoms.select(
        "atom_id",
        "称呼",
        "商品",
        "角色",
        pl.col("entity_block").cast(pl.Int64).alias("block"),
        *(_field(group, name).alias(f"{group}.{name}") for group, name in _FIELDS),
    )
    models = _assistants("模型")
    made = pl.format("{}:{}", "模型.名字", "模型.公司").is_in(list(map(":".join, models.iter_rows())))
    times = pl.format("{}:{}", "时段.问候", "时段.感叹").is_in(list(map(":".join, TIMES_OF_DAY)))
    found = [
        flat.filter(~made).select("atom_id", reason=pl.format("模型: {} does not make {}", "模型.公司", "模型.名字")),
        flat.filter(~times).select("atom_id", reason=pl.format("时段: {}, {} at once", "时段.问候", "时段.感叹")),
    ]
    owners = {
        "称呼": block_of_address("称呼"),
        "商品": _block_in(goods()["name"], "商品"),
        "角色": _block_in(PARTS, "角色"),
        "模型.名字": _block_in(models["名字"], "模型.名字"),
        "助手.名字": _block_in(_assistants("语音助手")["名字"], "助手.名字"),
    }
    for slot, owner in owners.items():
        reason = pl.format(f"{slot}: {{}} does not belong to block {{}}", slot, "block")
        found.append(flat.filter(owner != pl.col("block")).select("atom_id", reason=reason))
    return pl.concat(found).cast({"atom_id": pl.UInt32}).sort("atom_id", "reason")


def _block_in(vocabulary: Iterable[str], slot: str) -> pl.Expr:
    """Return the entity block that owns the slot's value, -1 where it is none of the vocabulary."""
    blocks = {word: place % BLOCK_COUNT for place, word in enumerate(vocabulary)}
    return pl.col(slot).replace_strict(blocks, default=-1, return_dtype=pl.Int64)


_FIELDS: Final = (("时段", "问候"), ("时段", "感叹"), ("模型", "名字"), ("模型", "公司"), ("助手", "名字"))
