"""Noise: it changes the sentence and never a value, so the truth can still be read back."""

import random
import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.families.base import CopyingFamily, Sample
from cs_assets.families.syntax import Segment, SentenceTemplate, boundary_is_lost
from cs_assets.samples.noise import SPELLINGS, TEST_NOISE, TRAINING_NOISE, NoiseFunction, apply_noise
from cs_assets.scenario import Scenario
from cs_assets_tests.conftest import rendered_alone

EVERY_NOISE = TRAINING_NOISE | TEST_NOISE


def word(text: str) -> Segment:
    return Segment(text=text)


def value(text: str) -> Segment:
    return Segment(text=text, slot="电话")


SEGMENTS = [
    word("您好，收件人："),
    value("张，三"),
    word("，电话 "),
    value("138 0013"),
    value("518，"),
    word("！（谢谢）"),
]


def applied(name: str, segments: list[Segment] = SEGMENTS, seed: int = 1) -> str:
    return "".join(s.text for s in EVERY_NOISE[name](segments, random.Random(seed)))


@given(
    segments=st.lists(st.builds(Segment, text=st.text(max_size=8), slot=st.sampled_from(["", "电话", "邮编"]))),
    noise=st.sampled_from([noise for name, noise in EVERY_NOISE.items() if name not in SPELLINGS]),
    seed=st.integers(),
)
def test_values_stay_whole_and_in_order(segments: list[Segment], noise: NoiseFunction, seed: int) -> None:
    noisy = noise(segments, random.Random(seed))
    assert [s for s in noisy if s.slot] == [s for s in segments if s.slot]


@given(data=st.data(), name=st.sampled_from(sorted(set(EVERY_NOISE) - set(SPELLINGS))), seed=st.integers())
def test_the_truth_can_be_read_back_from_a_noisy_message(
    scenario: Scenario,
    seeds: list[SentenceTemplate],
    atoms: pl.DataFrame,
    data: st.DataObject,
    name: str,
    seed: int,
) -> None:
    template = data.draw(st.sampled_from(seeds))
    row = atoms.row(data.draw(st.integers(0, atoms.height - 1)), named=True)
    rendered = rendered_alone(scenario, template, row)
    message = applied(name, rendered.turns[0].segments, seed)
    assert scenario.family.verify(Sample(message=message, answer=rendered.answer)) == []


@pytest.mark.parametrize("name", EVERY_NOISE)
def test_the_same_seed_gives_the_same_noise(name: str) -> None:
    assert applied(name, seed=3) == applied(name, seed=3)


def test_training_and_test_share_no_noise() -> None:
    assert not set(TRAINING_NOISE) & set(TEST_NOISE)
    assert all(function.__name__ == name for name, function in EVERY_NOISE.items())


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("half_width", "您好,收件人:张，三,电话 138 0013518，!(谢谢)"),
        ("line_breaks", "您好\n收件人：张，三\n电话 138 0013518，！（谢谢）"),
    ],
)
def test_noise_without_chance(name: str, wanted: str) -> None:
    assert applied(name) == wanted


@pytest.mark.parametrize(
    ("name", "words", "wanted"),
    [
        ("colloquial", "您好，请问什么时候发货", "哈喽，问下啥时候发货"),
        ("colloquial", "师傅能不能再来？", "师傅能不能再来？"),
        ("colloquial", "谢谢啦", "谢啦"),
        ("colloquial", "请问下有没有货", "问下有没有货"),
        ("colloquial", "没有收到，快递柜里没有", "没收到，快递柜里没有"),
        ("colloquial", "快递员一下午没来", "快递员一下午没来"),
        ("colloquial", "你好像弄错了", "你好像弄错了"),
        ("elided", "你好，麻烦帮我催下，谢谢啦~", "帮我催下"),
        ("elided", "在吗，请问下，东西发了没", "东西发了没"),
        ("elided", "放门口哈，别敲门啊", "放门口，别敲门"),
        ("elided", "型号对吧", "型号对吧"),
        ("elided", "多少钱啊", "多少钱啊"),
        ("elided", "到货啦", "到货啦"),
        ("elided", "在吗？东西呢", "东西呢"),
        ("traditional", "麻烦发个快递，谢谢", "麻煩發個快遞，謝謝"),
        ("full_width", "寄到3号楼A座", "寄到３号楼Ａ座"),
        ("pinyin", "退款呢", "tuikuan呢"),
    ],
)
def test_words_are_changed_as_the_name_says(name: str, words: str, wanted: str) -> None:
    assert applied(name, [word(words)]) == wanted


@pytest.mark.parametrize("name", ["colloquial", "elided", "pinyin", "homophone"])
def test_words_without_an_occasion_stay(name: str) -> None:
    assert applied(name, [word("在"), value("麻烦谢谢 3"), word("上")]) == "在麻烦谢谢 3上"


@pytest.mark.parametrize(
    "segments",
    [
        [word("您好，麻烦发到"), value("张三")],
        [value("张三"), word("，邮编：")],
        [word("再不发我就申请退款了")],
        [word("什么破店，退货")],
    ],
)
def test_courtesy_is_not_doubled_fills_no_label_and_follows_no_threat(segments: list[Segment]) -> None:
    assert EVERY_NOISE["polite"](segments, random.Random(1)) == segments


@pytest.mark.parametrize("name", ["polite", "angry", "emoji"])
@pytest.mark.parametrize("end", ["}", "\n| 状态 | 已签收 |", "【邮编】", "邮编 "])
def test_nothing_follows_a_record_or_an_empty_label(name: str, end: str) -> None:
    texts = {applied(name, [word("亲，"), value("张三"), word(end)], seed) for seed in range(20)}
    assert texts == {f"亲，张三{end}"}


@given(seed=st.integers(), name=st.sampled_from(["polite", "angry", "emoji"]), mark=st.sampled_from("？！，。…?"))
def test_no_comma_and_no_tilde_follow_a_mark(seed: int, name: str, mark: str) -> None:
    noisy = applied(name, [word(f"亲，发货了吗{mark}")], seed)
    assert not re.search("[？！，。…?!][，~]", noisy)


def test_a_tail_stands_behind_a_comma_or_on_a_line_of_its_own() -> None:
    assert applied("polite", [word("寄到"), value("3号楼")]).startswith("寄到3号楼，")
    assert applied("polite", [value("张三"), word("\n"), value("3号楼")]).startswith("张三\n3号楼\n")


@pytest.mark.parametrize("words", ["第三次回购，质量一直挺好", "麻烦帮我改下", "请问几点下班"])
def test_no_one_is_angry_about_what_is_well(words: str) -> None:
    assert {applied("angry", [word(words)], seed) for seed in range(20)} == {words}


@given(seed=st.integers())
def test_anger_keeps_what_was_said(seed: int) -> None:
    noisy = applied("angry", [word("我要退货。"), value("张三")], seed)
    assert "我要退货！！张三" in noisy
    assert noisy != "我要退货！！张三"
    assert applied("angry", [value("张三"), word("，邮编：")], seed).endswith("，邮编：")


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("traditional", "张三1", "張三1"),
        ("traditional", "余志华", "余志華"),
        ("traditional", "于谦", "于謙"),
        ("traditional", "胡同里18号", "胡同里18號"),
        ("full_width", "张三12", "张三１２"),
    ],
)
def test_a_spelling_covers_the_values(name: str, text: str, wanted: str) -> None:
    assert EVERY_NOISE[name]([value(text)], random.Random(1)) == [value(wanted)]


def test_words_are_written_as_in_taiwan() -> None:
    assert applied("traditional", [word("刚才在里面等于没说")]) == "剛才在裡面等於沒說"


@pytest.mark.parametrize("tag", SPELLINGS)
def test_values_typed_in_another_spelling_are_copied_so(
    scenario: Scenario, seeds: list[SentenceTemplate], atoms: pl.DataFrame, tag: str
) -> None:
    assert isinstance(scenario.family, CopyingFamily)
    for number, template in enumerate(seeds):
        rendered = rendered_alone(scenario, template, atoms.row(number, named=True))
        segments = EVERY_NOISE[tag](rendered.turns[0].segments, random.Random(1))
        message = "".join(segment.text for segment in segments)
        assert scenario.family.verify(Sample(message=message, answer=scenario.family.copied_answer(segments))) == []


def test_a_message_is_never_emptied() -> None:
    only = {"elided": EVERY_NOISE["elided"]}
    assert apply_noise([word("谢谢")], only, random.Random(1)) == ([word("谢谢")], "")
    assert apply_noise([word("在吗，谢谢")], only, random.Random(1)) == ([word("在吗，谢谢")], "")


@given(seed=st.integers())
def test_english_gets_no_chinese(seed: int) -> None:
    said = [word("Where is my order, "), value("4021"), word("? It is late.")]
    noisy, tag = apply_noise(said, EVERY_NOISE, random.Random(seed))
    assert tag in {"emoji", "doubled_punctuation"}
    assert not re.search("[\u4e00-\u9fff，]", "".join(segment.text for segment in noisy))


def test_speaking_does_not_join_two_values() -> None:
    said = [word("型号"), value("Silver CFexpress B"), word("，"), value("256GB")]
    assert apply_noise(said, {"voice_to_text": EVERY_NOISE["voice_to_text"]}, random.Random(1)) == (said, "")


def test_a_digit_alone_in_a_value_is_typed_in_full_width() -> None:
    said = [word("电话"), value("138")]
    noisy, tag = apply_noise(said, {"full_width": EVERY_NOISE["full_width"]}, random.Random(1))
    assert (noisy, tag) == ([word("电话"), value("１３８")], "full_width")


@pytest.mark.parametrize("name", ["emoji", "interrupted"])
def test_noise_that_adds_leaves_the_rest(name: str) -> None:
    plain, noisy = "".join(s.text for s in SEGMENTS), applied(name)
    assert len(noisy) > len(plain)
    assert set(plain) <= set(noisy)


def test_emoji_come_at_the_end_and_fillers_at_the_beginning() -> None:
    plain = "".join(s.text for s in SEGMENTS)
    assert applied("emoji").startswith(plain)
    assert applied("filler", SEGMENTS[1:]).endswith(plain.removeprefix("您好，收件人："))


@pytest.mark.parametrize("end", ["\n邮编：", "，邮编: ", " 固定电话:"])
def test_no_emoji_fills_an_empty_label(end: str) -> None:
    segments = [value("138 0013"), word(end)]
    assert TRAINING_NOISE["emoji"](segments, random.Random(1)) == segments


@pytest.mark.parametrize(
    "start", ["您好，", "亲，", "在吗\n", "客服你好，请寄到", "收货人：", "【收货人】", "收件人", "区/县:", "tel："]
)
def test_no_filler_stands_before_a_greeting_or_a_label(start: str) -> None:
    segments = [word(start), value("张三")]
    assert TRAINING_NOISE["filler"](segments, random.Random(1)) == segments
    assert "就是" not in applied("voice_to_text", segments)


@pytest.mark.parametrize("start", ["订单", "都几天了，", ""])
def test_a_filler_stands_before_other_words(start: str) -> None:
    assert applied("filler", [word(start), value("张三")]).endswith(f"{start}张三")


@given(seed=st.integers())
def test_one_word_of_a_message_is_mistyped(seed: int) -> None:
    words = [word("收货人 "), value("收货地址"), word(" 手机号 "), value("138"), word("，麻烦发货，谢谢")]
    noisy = EVERY_NOISE["homophone"](words, random.Random(seed))
    changed = [(a.text, b.text) for a, b in zip(words, noisy, strict=True) if a != b]
    assert len(changed) == 1
    assert sum(a != b for a, b in zip(*changed[0], strict=True)) in (1, 2)


def test_words_are_mistyped_as_a_pinyin_keyboard_does() -> None:
    texts = {applied("homophone", [word("收货"), value("张三")], seed=seed) for seed in range(20)}
    assert texts == {"收获张三"}
    plain = [value("张三"), word("，"), value("138")]
    assert EVERY_NOISE["homophone"](plain, random.Random(1)) == plain


@given(seed=st.integers())
def test_an_interruption_leaves_a_label_at_its_value(seed: int) -> None:
    segments = [word("您好，姓名："), value("张三"), word("\n电话："), value("138"), word("，邮编:")]
    noisy = applied("interrupted", segments, seed)
    assert "姓名：张三" in noisy
    assert "电话：138" in noisy
    assert noisy.endswith("邮编:")
    assert applied("interrupted", segments[3:4]) == "138"


def test_voice_has_no_punctuation_of_the_sentence_left() -> None:
    assert applied("voice_to_text") == "您好收件人张，三电话 138 0013518，谢谢"
    framed = [word("【电话】"), value("138"), word("+（")]
    assert applied("voice_to_text", framed) == "电话138"


def test_doubled_punctuation_doubles_the_sentence_s_own() -> None:
    texts = {applied("doubled_punctuation", seed=seed) for seed in range(20)}
    assert any("您好，，" in text for text in texts)
    assert all("张，三" in text for text in texts)


def test_extra_spaces_come_between_values_and_within_words() -> None:
    noisy = {applied("extra_spaces", seed=seed) for seed in range(20)}
    assert any("138 0013 518" in text for text in noisy)
    assert all("电话  138 0013" in text for text in noisy)


def test_an_interruption_needs_a_place() -> None:
    assert applied("interrupted", [value("张三"), value("13800138000")]) == "张三13800138000"


@pytest.mark.parametrize(
    ("segments", "lost"),
    [
        ([value("518057"), value("13800138000")], True),
        ([value("A座1201"), word(""), value("13800138000")], True),
        ([value("518057"), value(""), value("13800138000")], True),
        ([value("518057"), word(" "), value("13800138000")], False),
        ([value("1201室"), value("13800138000")], False),
        ([value("518057"), value("+8613800138000")], False),
        ([value("CFexpress B"), value("256GB")], True),
        ([value("CFexpress B"), word("，"), value("256GB")], False),
        ([value("iPhone"), word("壳")], False),
        ([value("13800138000"), value("张三")], False),
        ([], False),
    ],
)
def test_a_boundary_is_lost_where_letters_or_digits_meet(segments: list[Segment], lost: bool) -> None:
    assert boundary_is_lost(segments) == lost


@pytest.mark.parametrize(
    "segments",
    [
        [word("买了2"), value("13800138000")],
        [value("13800138000"), word("2件")],
        [word("dianhua"), value("13800138000")],
    ],
)
def test_a_boundary_is_lost_where_letters_or_digits_of_the_words_meet_a_value(segments: list[Segment]) -> None:
    assert boundary_is_lost(segments)
