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

Segments = list[Segment]
NoiseFunction = Callable[[Segments, random.Random], Segments]


def _map_words(segments: Segments, change: Callable[[str], str]) -> Segments:
    return [s if s.slot else Segment(text=change(s.text)) for s in segments]


def emoji(segments: Segments, rng: random.Random) -> Segments:
    """Put an emoji or a typed [表情] at the end."""
    return [*segments, Segment(text=rng.choice(_EMOJI) * rng.choice((1, 1, 2, 3)))]


def filler(segments: Segments, rng: random.Random) -> Segments:
    """Begin with a word that means nothing."""
    return [Segment(text=rng.choice(_OPENERS)), *segments]


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
    """Speak the message: no punctuation, no line breaks, an opener."""
    return [Segment(text=rng.choice(("嗯", "那个", "就是"))), *_map_words(segments, lambda t: _PUNCTUATION.sub("", t))]


def doubled_punctuation(segments: Segments, rng: random.Random) -> Segments:
    """Hit the key twice or three times."""
    return _map_words(segments, lambda text: _PUNCTUATION.sub(lambda m: m.group() * rng.choice((2, 3)), text))


def mistyped_words(segments: Segments, rng: random.Random) -> Segments:
    """Write the words around the values with the usual homophones."""
    pairs = (
        ("地址", "地止"),
        ("电话", "电化"),
        ("收件人", "收见人"),
        ("收货人", "收或人"),
        ("麻烦", "马烦"),
        ("谢谢", "蟹蟹"),
        ("您好", "您号"),
    )

    def mistype(text: str) -> str:
        for right, wrong in pairs:
            text = text.replace(right, wrong)
        return text

    return _map_words(segments, mistype)


def interrupted(segments: Segments, rng: random.Random) -> Segments:
    """Break off between two parts and go on."""
    places = [i for i, s in enumerate(segments) if not s.slot and _PUNCTUATION.search(s.text)]
    if not places:
        return segments
    at = rng.choice(places)
    remark = rng.choice(("（等下啊）", "。。。稍等。。。", " 不好意思刚才手滑 ", "……"))
    return [*segments[: at + 1], Segment(text=remark), *segments[at + 1 :]]


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
