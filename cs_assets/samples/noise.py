"""Noise: what happens to a sentence on its way from a customer's thumb, with the ground truth kept right.

Each function changes the template's own words and what stands between the values, never a value. Its name is the
sample's variation tag.
"""

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


def mistyped_words(segments: Segments, rng: random.Random) -> Segments:
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


TRAINING_NOISE: Final[dict[str, NoiseFunction]] = {
    f.__name__: f for f in (emoji, filler, half_width, extra_spaces, line_breaks)
}
# Kept from training, so that `test_noise` measures what a model does with noise of a new kind.
TEST_NOISE: Final[dict[str, NoiseFunction]] = {
    f.__name__: f for f in (voice_to_text, doubled_punctuation, mistyped_words, interrupted)
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
