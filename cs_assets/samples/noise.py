"""Noise: what happens to a sentence on its way from a customer's thumb, with the ground truth kept right.

Each function changes the template's own words and what stands between the values, never a value. Its name is the
sample's variation tag. Where a scenario's answers are copied from the message, a spelling (`SPELLINGS`) may cover the
values as well, because the answer is then read from the message as it was typed.
"""

import functools
import random
import re
from collections.abc import Callable, Mapping
from typing import Final

from cs_assets.families.syntax import Segment, boundary_is_lost

_EMOJI: Final = ("😊", "🙏", "😂", "[微笑]", "[玫瑰]", "👌", "~", "🌹", "[抱拳]", "❤️")
_OPENERS: Final = ("嗯", "那个", "额 ", "哦对了，", "发给你了哈，", "在不在？", "好的，", "哈喽，", "啊 ")
_PUNCTUATION: Final = re.compile(r"[，。；、,;！!？?：:\n]")
_UNSPOKEN: Final = re.compile(_PUNCTUATION.pattern + r"|[【】（）()\[\]+/~]")
_EMPTY_LABEL: Final = re.compile(r"[:：]\s*$")
_BEGINS_ITSELF: Final = re.compile(
    r"亲|老板|[您你]好|客服|在吗|在不在|hi|嗯|抱歉|对不起|不好意思|【|[^，。？\n]{1,8}[：:]|收[件货]人|联系人"
)
# What a pinyin keyboard offers for the same keys, or for a neighbouring sound (身份 for 省份).
_HOMOPHONES: Final = (
    ("收货", "收获"),
    ("发货", "发火"),
    ("地址", "地质"),
    ("麻烦", "麻凡"),
    ("手机", "收集"),
    ("联系", "练习"),
    ("姓名", "性命"),
    ("省份", "身份"),
    ("所在", "所再"),
    ("号码", "好吗"),
    ("收到", "受到"),
    ("客服", "克服"),
    ("订单", "定单"),
    ("谢谢", "写写"),
)

Segments = list[Segment]
NoiseFunction = Callable[[Segments, random.Random], Segments]


def _map_words(segments: Segments, change: Callable[[str], str]) -> Segments:
    return [s if s.slot else Segment(text=change(s.text)) for s in segments]


def emoji(segments: Segments, rng: random.Random) -> Segments:
    """Put an emoji or a typed [表情] at the end, unless an empty label stands there, whose value it would seem."""
    if _EMPTY_LABEL.search("".join(segment.text for segment in segments)):
        return segments
    return [*segments, Segment(text=rng.choice(_EMOJI) * rng.choice((1, 1, 2, 3)))]


def filler(segments: Segments, rng: random.Random) -> Segments:
    """Begin with a word that means nothing, unless the sentence has a beginning: a greeting or a label."""
    if _has_beginning(segments):
        return segments
    return [Segment(text=rng.choice(_OPENERS)), *segments]


def _has_beginning(segments: Segments) -> bool:
    return bool(segments) and not segments[0].slot and bool(_BEGINS_ITSELF.match(segments[0].text))


def half_width(segments: Segments, rng: random.Random) -> Segments:
    """Type the punctuation on a half-width keyboard."""
    table = str.maketrans("，。；：！？（）【】", ",.;:!?()[]")
    return _map_words(segments, lambda text: text.translate(table))


def extra_spaces(segments: Segments, rng: random.Random) -> Segments:
    """Put spaces between neighbouring values, and double those that are there."""
    spaced: Segments = []
    for previous, segment in zip([None, *segments], segments, strict=False):
        if previous is not None and previous.slot and segment.slot and previous.text and rng.random() < 0.7:
            spaced.append(Segment(text=" " * rng.choice((1, 1, 2))))
        spaced.append(segment if segment.slot else Segment(text=segment.text.replace(" ", "  ")))
    return spaced


def line_breaks(segments: Segments, rng: random.Random) -> Segments:
    """Press return where others type a comma."""
    return _map_words(segments, lambda text: re.sub("[，,；;]", "\n", text))


def voice_to_text(segments: Segments, rng: random.Random) -> Segments:
    """Speak the message: no punctuation, no line breaks, an opener where a speaker needs one."""
    opener = "" if _has_beginning(segments) else rng.choice(("嗯", "那个", "就是"))
    return [Segment(text=opener), *_map_words(segments, lambda text: _UNSPOKEN.sub("", text))]


def doubled_punctuation(segments: Segments, rng: random.Random) -> Segments:
    """Hit the key twice or three times."""
    return _map_words(segments, lambda text: _PUNCTUATION.sub(lambda m: m.group() * rng.choice((2, 3)), text))


def homophone(segments: Segments, rng: random.Random) -> Segments:
    """Pick the wrong word on a pinyin keyboard, once a message."""
    found = [(i, *pair) for i, s in enumerate(segments) for pair in _HOMOPHONES if not s.slot and pair[0] in s.text]
    if not found:
        return segments
    at, right, wrong = rng.choice(found)
    mistyped = Segment(text=segments[at].text.replace(right, wrong, 1))
    return [*segments[:at], mistyped, *segments[at + 1 :]]


def interrupted(segments: Segments, rng: random.Random) -> Segments:
    """Break off behind a comma, a full stop or a line, and go on; a label stays with its value."""
    places = [(i, m.end()) for i, s in enumerate(segments) if not s.slot for m in re.finditer("[，。\n]", s.text)]
    if not places:
        return segments
    at, end = rng.choice(places)
    remark = rng.choice(("（等下啊）", "。。。稍等。。。", " 不好意思刚才手滑 ", "……"))
    text = segments[at].text
    return [*segments[:at], Segment(text=text[:end] + remark + text[end:]), *segments[at + 1 :]]


# Said in another way, with the same meaning wherever it stands.
_COLLOQUIAL: Final = (
    ("请问一下", "问下"),
    ("请问", "问下"),
    ("什么时候", "啥时候"),
    ("为什么", "咋"),
    ("怎么样", "咋样"),
    ("怎么", "咋"),
    ("什么", "啥"),
    ("没有", "没"),
    ("您好", "哈喽"),
    ("你好", "哈喽"),
    ("谢谢", "谢啦"),
    ("可以吗", "行不"),
    ("是不是", "是不"),
    ("能不能", "能不"),
    ("现在", "这会儿"),
    ("非常", "老"),
    ("一下", "下"),
    ("快递", "件儿"),
)


def colloquial(segments: Segments, rng: random.Random) -> Segments:
    """Talk as one talks at home: 咋, 啥, 行不."""

    def loosely(text: str) -> str:
        for formal, loose in _COLLOQUIAL:
            text = text.replace(formal, loose)
        return text

    return _map_words(segments, loosely)


# What a customer in a hurry leaves out. Nothing here names a value or says what the customer wants.
_DISPENSABLE: Final = re.compile(
    r"^(?:[您你]好[，,！!。\s]*|亲[，,]\s*|在吗[，,？?\s]*|老板[，,]\s*|请问(?:一下)?[，,]?)"
    r"|麻烦(?:您|你)?(?=帮|给|把|寄|发|送)"
    r"|(?:[，,。！!\s]*(?:谢谢|谢谢啦|谢谢了|多谢|辛苦了|辛苦啦|拜托了))+[~～。！!]*$"
    r"|(?<=[\u4e00-\u9fff])[吧啊呀哈哦啦]+(?=[，。！？,!?]|$)"
)


def elided(segments: Segments, rng: random.Random) -> Segments:
    """Leave out greeting, thanks and particles."""
    return _map_words(segments, lambda text: _DISPENSABLE.sub("", text))


_POLITE_OPENERS: Final = ("您好，麻烦您了，", "您好，打扰了，", "不好意思打扰一下，", "亲，辛苦您看一下，", "您好，")
_POLITE_ENDS: Final = ("，谢谢您", "，麻烦您啦", "，辛苦您了", "，非常感谢", "，谢谢您的帮助", "，麻烦了哈")


def polite(segments: Segments, rng: random.Random) -> Segments:
    """Begin or end with a courtesy; one that is there already is enough."""
    text = "".join(segment.text for segment in segments)
    ending = [] if re.search("谢|辛苦|麻烦", text) or _ENDED.search(text) else [Segment(text=rng.choice(_POLITE_ENDS))]
    opening = [] if _has_beginning(segments) else [Segment(text=rng.choice(_POLITE_OPENERS))]
    chosen = rng.choice([side for side in ("open", "end", "both") if opening or side != "open"])
    return [*(opening if chosen != "end" else []), *segments, *(ending if chosen != "open" else [])]


_ENDED: Final = re.compile(r"[:：？?~！!]\s*$|[）)】\]]$")
_ANGRY_OPENERS: Final = (
    "搞什么啊，",
    "真是服了，",
    "我说第三遍了，",
    "你们到底有没有人看消息，",
    "烦死了，",
    "赶紧的，",
)
_ANGRY_ENDS: Final = ("，赶紧的", "！！！", "，别再让我说一遍", "，能不能上点心", "，快点行不行！", "，真是醉了")


def angry(segments: Segments, rng: random.Random) -> Segments:
    """Lose patience before or after saying what there is to say, and shout the full stops."""
    louder = _map_words(segments, lambda text: text.replace("。", "！！").replace("~", "！"))
    if _EMPTY_LABEL.search("".join(segment.text for segment in segments)):
        return louder if _has_beginning(segments) else [Segment(text=rng.choice(_ANGRY_OPENERS)), *louder]
    if _has_beginning(segments) or rng.random() < 0.5:
        return [*louder, Segment(text=rng.choice(_ANGRY_ENDS))]
    return [Segment(text=rng.choice(_ANGRY_OPENERS)), *louder]


# Typed without looking up: the keyboard stayed in Latin letters for a word.
_PINYIN: Final = (
    ("收货地址", "dizhi"),
    ("地址", "dizhi"),
    ("电话", "dianhua"),
    ("手机号", "sjh"),
    ("手机", "shouji"),
    ("姓名", "xingming"),
    ("收件人", "sjr"),
    ("收货人", "shr"),
    ("邮编", "youbian"),
    ("谢谢", "xiexie"),
    ("什么", "shenme"),
    ("怎么", "zenme"),
    ("快递", "kuaidi"),
    ("发货", "fahuo"),
    ("麻烦", "mafan"),
    ("可以", "keyi"),
    ("订单", "dingdan"),
    ("退款", "tuikuan"),
    ("今天", "jintian"),
    ("现在", "xianzai"),
    ("客服", "kefu"),
    ("你好", "nihao"),
    ("您好", "ninhao"),
    ("没有", "meiyou"),
    ("东西", "dongxi"),
    ("帮我", "bangwo"),
)


def pinyin(segments: Segments, rng: random.Random) -> Segments:
    """Leave a word or two in pinyin."""
    found = [(i, *pair) for i, s in enumerate(segments) for pair in _PINYIN if not s.slot and pair[0] in s.text]
    typed = list(segments)
    for at, word, letters in rng.sample(found, min(len(found), rng.choice((1, 1, 2)))):
        typed[at] = Segment(text=typed[at].text.replace(word, letters, 1))
    return typed


@functools.lru_cache(maxsize=1)
def _traditional_converter() -> Callable[[str], str]:
    from opencc import OpenCC

    convert: Callable[[str], str] = OpenCC("s2t").convert
    return convert


_FULL_WIDTH: Final = {code: code + 0xFEE0 for code in range(0x21, 0x7F) if chr(code).isalnum()}
# How a whole message may be typed, values included.
SPELLINGS: Final[dict[str, Callable[[str], str]]] = {
    "traditional": lambda text: _traditional_converter()(text),
    "full_width": lambda text: text.translate(_FULL_WIDTH),
}


def traditional(segments: Segments, rng: random.Random) -> Segments:
    """Write in traditional characters, as customers of Hong Kong, Macao and Taiwan do."""
    return _map_words(segments, SPELLINGS["traditional"])


def full_width(segments: Segments, rng: random.Random) -> Segments:
    """Type letters and digits in full width."""
    return _map_words(segments, SPELLINGS["full_width"])


TRAINING_NOISE: Final[dict[str, NoiseFunction]] = {
    f.__name__: f
    for f in (emoji, filler, half_width, extra_spaces, line_breaks, colloquial, elided, polite, full_width)
}
# Kept from training, so that `test_noise` measures what a model does with noise of a new kind.
TEST_NOISE: Final[dict[str, NoiseFunction]] = {
    f.__name__: f for f in (voice_to_text, doubled_punctuation, homophone, interrupted, angry, traditional, pinyin)
}


def apply_noise(segments: Segments, functions: Mapping[str, NoiseFunction], rng: random.Random) -> tuple[Segments, str]:
    """Apply one of `functions` that changes the sentence and loses no boundary; return its name as tag.

    Where none does, the sentence comes back as it was, with an empty tag.
    """
    before = "".join(segment.text for segment in segments)
    for name in rng.sample(sorted(functions), len(functions)):
        noisy = functions[name](segments, rng)
        if "".join(segment.text for segment in noisy) != before and not boundary_is_lost(noisy):
            return noisy, name
    return segments, ""


def spelled(segments: Segments, tag: str) -> Segments:
    """Write the values in the spelling of `tag`, where it is one."""
    spelling = SPELLINGS.get(tag, str)
    return [Segment(text=spelling(segment.text), slot=segment.slot) for segment in segments]
