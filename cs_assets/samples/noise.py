"""Noise: what happens to a sentence on its way from a customer's thumb, with the ground truth kept right.

Each function changes the template's own words and what stands between the values, never a value; a spelling
(`SPELLINGS`) covers the values as well, and suits only scenarios whose answers are copied from the message as it was
typed. A function's name is the sample's variation tag. Where it has no occasion, it returns the segments as they are.
"""

import functools
import random
import re
from collections.abc import Callable, Mapping
from typing import Final

from cs_assets.families.syntax import LATIN_OR_DIGIT, Segment, boundary_is_lost

_EMOJI: Final = ("😊", "🙏", "😂", "😅", "[微笑]", "[捂脸]", "[抱拳]", "~")
_OPENERS: Final = ("嗯，", "那个，", "额，", "在吗，", "在不在？", "哈喽，", "你好，", "您好，", "亲，")
_HAN: Final = re.compile("[\u4e00-\u9fff]")
_PUNCTUATION: Final = re.compile(r"[，。；、,;！!？?：:\n]")
_MARK: Final = r"[，。；、,;！!？?：:\n【】（）()\[\]+/~…]"
# What nobody speaks. Between letters or digits, as in 10:30 or CPU/GPU, a mark is part of the word.
_UNSPOKEN: Final = re.compile(f"(?<!{LATIN_OR_DIGIT}){_MARK}|{_MARK}(?!{LATIN_OR_DIGIT})")
# An empty label, whose value a tail would seem, or the end of a record in JSON or of a table.
_CLOSED: Final = re.compile(r"[}|:：】\s]$")
_BEGINS_ITSELF: Final = re.compile(
    r"亲|老板|[您你]好|客服|在吗|在不在|哈喽|hi|嗨|[早晚上中下午]{1,2}好|嗯|抱歉|对不起|不好意思|打扰|【|[^，。？\n]{1,8}[：:]|收[件货]人|联系人"
)
# What a pinyin keyboard offers for the same keys, where the reader still sees what is meant.
_HOMOPHONES: Final = (
    ("收货", "收获"),
    ("地址", "地质"),
    ("手机", "收集"),
    ("联系", "连系"),
    ("姓名", "性命"),
    ("所在", "所再"),
    ("客服", "克服"),
    ("订单", "定单"),
    ("详细", "祥细"),
    ("账号", "帐号"),
    ("账户", "帐户"),
    ("现在", "现再"),
    ("正在", "正再"),
    ("再来", "在来"),
    ("再发", "在发"),
    ("再说", "在说"),
    ("再寄", "在寄"),
    ("再看", "在看"),
    ("记得", "记的"),
    ("觉得", "觉的"),
    ("来得及", "来的及"),
    ("时候", "时侯"),
    ("师傅", "师父"),
    ("安排", "按排"),
    ("应该", "因该"),
    ("已经", "以经"),
    ("好像", "好象"),
    ("充电", "冲电"),
    ("咨询", "资询"),
    ("查询", "查寻"),
    ("登录", "登陆"),
    ("需要", "须要"),
    ("可以", "可已"),
    ("一直", "一只"),
    ("其他", "其它"),
    ("包裹", "包果"),
)

Segments = list[Segment]
NoiseFunction = Callable[[Segments, random.Random], Segments]


def _map_words(segments: Segments, change: Callable[[str], str]) -> Segments:
    return [s if s.slot else Segment(text=change(s.text)) for s in segments]


def _text(segments: Segments) -> str:
    return "".join(segment.text for segment in segments)


def _with_tail(segments: Segments, tail: str) -> Segments:
    """Append words, an emoji or a mark as the last character allows; return `segments` where nothing may follow."""
    text = _text(segments)
    if not text or _CLOSED.search(text):
        return segments
    ends_in_a_word = text[-1].isalnum() or text[-1] in "）)]”"
    if not ends_in_a_word and tail[0] in "~！":
        return segments
    joint = ("\n" if "\n" in text else "，") if ends_in_a_word and _HAN.match(tail) else ""
    return [*segments, Segment(text=joint + tail)]


def emoji(segments: Segments, rng: random.Random) -> Segments:
    """Put an emoji or a typed [表情] at the end; one of Chinese words only where the message has Chinese words."""
    allowed = [mark for mark in _EMOJI if not _HAN.search(mark) or _HAN.search(_text(segments))]
    return _with_tail(segments, rng.choice(allowed) * rng.choice((1, 1, 2, 3)))


def filler(segments: Segments, rng: random.Random) -> Segments:
    """Begin with a greeting or a word that means nothing, unless a greeting or a label stands there."""
    if _has_beginning(segments):
        return segments
    return [Segment(text=rng.choice(_OPENERS)), *segments]


def _has_beginning(segments: Segments) -> bool:
    return bool(_BEGINS_ITSELF.match(_text(segments)))


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
    return _map_words(segments, lambda text: re.sub(r"[，；]|[,;](?!\d)", "\n", text))


def voice_to_text(segments: Segments, rng: random.Random) -> Segments:
    """Speak the message: no punctuation, no line breaks, an opener where a speaker needs one."""
    opener = "" if _has_beginning(segments) else rng.choice(("嗯", "那个", "就是"))
    return [Segment(text=opener), *_map_words(segments, lambda text: _UNSPOKEN.sub("", text))]


def doubled_punctuation(segments: Segments, rng: random.Random) -> Segments:
    """Hit the key of one mark or more twice or three times."""
    marks = sum(len(_PUNCTUATION.findall(s.text)) for s in segments if not s.slot)
    times = iter(rng.sample([rng.choice((2, 3)) if hit <= marks // 2 else 1 for hit in range(marks)], marks))
    return _map_words(segments, lambda text: _PUNCTUATION.sub(lambda mark: mark.group() * next(times), text))


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
    places = [(i, m) for i, s in enumerate(segments) if not s.slot for m in re.finditer("[，。\n]", s.text)]
    places = [(i, m) for i, m in places if i < len(segments) - 1 or m.end() < len(m.string)]
    if not places:
        return segments
    at, mark = rng.choice(places)
    remark = rng.choice(("（等下啊）", "。。。稍等。。。", " 不好意思刚才手滑 ", "……"))
    kept = mark.group().removesuffix("，")
    text = mark.string[: mark.start()] + kept + remark + mark.string[mark.end() :]
    return [*segments[:at], Segment(text=text), *segments[at + 1 :]]


# Said in another way, with the same meaning wherever the pattern matches: not in 有没有, 一下单, 你好像.
_COLLOQUIAL: Final = tuple(
    (re.compile(formal), loose)
    for formal, loose in (
        ("请问(?:一?下)?", "问下"),
        ("什么", "啥"),
        ("怎么", "咋"),
        (r"(?<!有)没有(?![吗呢啊吧呀了的])(?=[\u4e00-\u9fff])", "没"),
        (r"^[您你]好(?=[，,。！!~\s]|在吗)", "哈喽"),
        ("谢谢[啦了哈]?(?![您你])", "谢啦"),
        ("可以吗", "行不"),
        ("(?<=到)现在|现在(?=还|能|才|怎么|咋)", "这会儿"),
        ("非常", "特别"),
        ("(?<=[问看查等改说催帮])一下(?![子午单次])", "下"),
    )
)


def colloquial(segments: Segments, rng: random.Random) -> Segments:
    """Talk as one talks at home: 咋, 啥, 行不."""

    def loosely(text: str) -> str:
        for formal, loose in _COLLOQUIAL:
            text = formal.sub(loose, text)
        return text

    return _map_words(segments, loosely)


# What a customer in a hurry leaves out. Nothing here names a value, says what the customer wants or makes a question.
_GREETING: Final = re.compile(r"^(?:(?:[您你]好[啊呀]?|亲|在吗|老板)[，,！!。？?~\s]+)*(?:请问(?:一?下)?[，,]?)?")
_BEFORE_A_REQUEST: Final = re.compile(r"(?<![太很不])麻烦[您你]?(?=帮|给|把|寄|发|送)")
_THANKS: Final = re.compile(r"(?:[，,。！!\s]*(?:谢谢[您你啦了]?|多谢|辛苦[了啦]|拜托了))+[~～。！!]*$")
_PARTICLE: Final = re.compile(r"(?<=[\u4e00-\u9fff])[啊呀哈哦]+(?=[，。！,!]|$)")
_QUESTION: Final = re.compile(r"[？?吗呢么吧啥谁哪咋几不]|什么|多少|没有|没$")


def elided(segments: Segments, rng: random.Random) -> Segments:
    """Leave out greeting and thanks and, where nothing is asked, particles."""
    asks = bool(_QUESTION.search(_text(segments)))
    shorter: Segments = []
    for number, segment in enumerate(segments):
        text = segment.text
        if not segment.slot:
            text = _GREETING.sub("", text) if number == 0 else text
            text = _THANKS.sub("", text) if number == len(segments) - 1 else text
            text = _BEFORE_A_REQUEST.sub("", text)
            text = text if asks else _PARTICLE.sub("", text)
        shorter.append(Segment(text=text, slot=segment.slot))
    return shorter


_COURTESY: Final = re.compile("谢|辛苦|麻烦|拜托")
# What no one says thank you after, and what no one is angry about.
_ANNOYED: Final = re.compile(
    "[！!]|投诉|差评|举报|曝光|12315|消协|再不|凭什么|什么破|垃圾|骗|气死|烦|无语|服了|离谱|什么态度|太慢|笨|废物|智障"
)
_PLEASED: Final = re.compile("好评|不错|满意|喜欢|继续保持|哈哈|回购|夸|表扬|点赞|个赞|棒|真好|很好|挺好|请问")


def polite(segments: Segments, rng: random.Random) -> Segments:
    """End with a courtesy, unless there is one or the customer is annoyed; a question causes no 麻烦."""
    text = _text(segments)
    if _COURTESY.search(text) or _ANNOYED.search(text):
        return segments
    asks = _QUESTION.search(text)
    return _with_tail(segments, rng.choice(("谢谢", "谢谢您", "谢谢啦", *(() if asks else ("麻烦您了", "辛苦了")))))


# None of these asks for anything.
_ANGRY_OPENERS: Final = ("搞什么啊，", "真是服了，", "我说第三遍了，", "烦死了，", "无语了，", "气死我了，")
_ANGRY_ENDS: Final = ("！！！", "真是服了", "真是醉了", "烦死了", "无语")


def angry(segments: Segments, rng: random.Random) -> Segments:
    """Lose patience before or after saying what there is to say, and shout the full stops; not where one is pleased."""
    text = _text(segments)
    if _COURTESY.search(text) or _PLEASED.search(text):
        return segments
    louder = _map_words(segments, lambda words: words.replace("。", "！！").replace("~", "！"))
    if _has_beginning(segments) or rng.random() < 0.5:
        return _with_tail(louder, rng.choice(_ANGRY_ENDS))
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


# What names of people and places are written with in Taiwan too, where a converter takes them for another word: 余, not
# 餘; 沈, not 瀋; 里, not 裡.
_SAME_IN_NAMES: Final = frozenset("余于范涂占游胡同岳郁姜朱朴周沈俊里溪谷凌涌巨采斗淀澄")
_FULL_WIDTH: Final = {code: code + 0xFEE0 for code in range(0x21, 0x7F) if chr(code).isalnum()}


@functools.lru_cache(maxsize=1)
def _taiwanese_converter() -> Callable[[str], str]:
    from opencc import OpenCC

    convert: Callable[[str], str] = OpenCC("s2tw").convert
    return convert


def _traditional_value(text: str) -> str:
    written = zip(text, _taiwanese_converter()(text), strict=True)
    return "".join(simple if simple in _SAME_IN_NAMES else converted for simple, converted in written)


# How a value may be typed, by the noise that types the whole message so.
SPELLINGS: Final[dict[str, Callable[[str], str]]] = {
    "traditional": _traditional_value,
    "full_width": lambda text: text.translate(_FULL_WIDTH),
}


def traditional(segments: Segments, rng: random.Random) -> Segments:
    """Write in traditional characters, as customers of Taiwan do, values included."""
    return [
        Segment(text=_traditional_value(s.text) if s.slot else _taiwanese_converter()(s.text), slot=s.slot)
        for s in segments
    ]


def full_width(segments: Segments, rng: random.Random) -> Segments:
    """Type letters and digits in full width, values included."""
    return [Segment(text=s.text.translate(_FULL_WIDTH), slot=s.slot) for s in segments]


TRAINING_NOISE: Final[dict[str, NoiseFunction]] = {
    f.__name__: f
    for f in (emoji, filler, half_width, extra_spaces, line_breaks, colloquial, elided, polite, full_width)
}
# Kept from training, so that `test_noise` measures what a model does with noise of a new kind.
TEST_NOISE: Final[dict[str, NoiseFunction]] = {
    f.__name__: f for f in (voice_to_text, doubled_punctuation, homophone, interrupted, angry, traditional, pinyin)
}
# For what is said first in a session only.
OPENING_NOISE: Final = frozenset({"filler"})
# For a message without Chinese characters; the others add or look for Chinese words.
_NOISE_OF_ANY_LANGUAGE: Final = frozenset({"emoji", "doubled_punctuation"})


def apply_noise(segments: Segments, functions: Mapping[str, NoiseFunction], rng: random.Random) -> tuple[Segments, str]:
    """Apply one of `functions` that changes the message, leaves text and loses no boundary; return its name as tag.

    Where none does, the message comes back as it was, with an empty tag.
    """
    before = _text(segments)
    suitable = set(functions) if _HAN.search(before) else set(functions) & _NOISE_OF_ANY_LANGUAGE
    for name in rng.sample(sorted(suitable), len(suitable)):
        noisy = functions[name](segments, rng)
        after = _text(noisy)
        if after.strip() and after != before and not boundary_is_lost(noisy):
            return noisy, name
    return segments, ""
