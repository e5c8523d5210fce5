"""Transcripts: whose turn a line is, and which values a turn names."""

import pytest

from cs_assets.families.dialogue.transcript import amount, is_value, mentioned, read_transcript


def test_a_line_without_a_speaker_goes_on_with_the_turn() -> None:
    talk = read_transcript("客户：在吗\n客服：在的\n请问送到哪个城市呢？\n客户：杭州\n谢谢")
    assert talk.customer == ("在吗", "杭州\n谢谢")
    assert talk.shop == ("在的\n请问送到哪个城市呢？",)


def test_a_text_that_is_no_transcript_has_no_turns() -> None:
    assert read_transcript("今晚能到吗").customer == ()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("地点", "打错了，是苏州不是杭州", ["苏州", "杭州"]),
        ("时间", "今晚9点前能到吗，今晚也行", ["今晚9点前", "今晚"]),
        ("设备", "是苹果15 Pro Max不是苹果15", ["苹果15 Pro Max", "苹果15"]),
        ("设备", "佳能R50用的", ["佳能R50"]),
        ("配件", "不是内存条，是硬盘", ["内存条", "硬盘"]),
        ("规格", "16G还是1T，或者65瓦、1.8米", ["16G", "1T", "65瓦", "1.8米"]),
        ("数量", "不要2条了，要三根", ["2条", "三根"]),
        ("商品", "三星 990 PRO 1TB 799元；三星 990 PRO 2TB", ["三星 990 PRO 1TB", "三星 990 PRO 2TB"]),
    ],
)
def test_the_words_of_a_field_are_found_in_their_longest_reading(name: str, text: str, words: list[str]) -> None:
    assert mentioned(name, text) == words
    assert all(is_value(name, word) for word in words)


@pytest.mark.parametrize(("name", "text"), [("时间", "改天"), ("地点", "月球"), ("数量", "很多"), ("设备", "它")])
def test_other_words_are_no_values(name: str, text: str) -> None:
    assert not is_value(name, text)


@pytest.mark.parametrize(
    ("said", "number"), [("两条", 2), ("2条", 2), ("12个", 12), ("二十根", 20), ("十条", 10), ("五块", 5), ("", 1)]
)
def test_a_quantity_is_counted(said: str, number: int) -> None:
    assert amount(said) == number
