"""Short answers: what is extracted, and what counts as the same."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.chinese_numerals import chinese_numeral
from cs_assets.families.short_answers import Clock, Day, Quantity, Told, extract, same_value, tells, yes_or_no


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("339元", [Quantity(Decimal(339), "元")]),
        ("¥1,299.00", [Quantity(Decimal(1299), "元")]),
        ("三百三十九块钱", [Quantity(Decimal(339), "元")]),
        ("就剩62件了", [Quantity(Decimal(62), "件")]),
        ("5星", [Quantity(Decimal(5), "星")]),
        ("16GB的", [Quantity(Decimal(16), "gb")]),
        ("１－３个工作日", [Quantity(Decimal(1), ""), Quantity(Decimal(3), "工作日")]),
        ("24小时在线", [Quantity(Decimal(24), "小时")]),
        ("2026-03-05 21:03", [Day(2026, 3, 5), Clock(21 * 60 + 3)]),
        ("2026.3.5", [Day(2026, 3, 5)]),
        ("2件¥339，6月1日", [Quantity(Decimal(2), "件"), Quantity(Decimal(339), "元"), Day(None, 6, 1)]),
        ("六月十号晚上十点半", [Day(None, 6, 10), Clock(22 * 60 + 30)]),
        ("6月1日21点", [Day(None, 6, 1), Clock(21 * 60)]),
        ("2024年6月上线", [Day(2024, 6, None)]),
        ("早上9点到晚上10点", [Clock(9 * 60), Clock(22 * 60)]),
        ("12点半", [Clock(12 * 60 + 30)]),
        ("3.5元。", [Quantity(Decimal("3.5"), "元")]),
        ("共2件，339。", [Quantity(Decimal(2), "件"), Quantity(Decimal(339), "")]),
    ],
)
def test_values_are_read_in_any_spelling(text: str, values: list[Told]) -> None:
    assert extract(text).values == values


@pytest.mark.parametrize("name", ["YT8820193374651", "341472146052", "138****1234", "张**", "USB3"])
def test_a_name_is_no_number(name: str) -> None:
    assert extract(name).values == []


@pytest.mark.parametrize("text", ["25点", "13月", "6月45号", "9点80分", "一百零五十元"])
def test_what_no_clock_calendar_or_numeral_has_is_not_read(text: str) -> None:
    assert not any(isinstance(value, Day | Clock) or value.unit == "元" for value in extract(text).values)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("¥339.00", "339元"),
        ("339 块", "339.00元"),
        ("2026年3月5日21点03分", "2026-03-05 21:03"),
        ("2026-06-01", "6月1日"),
        ("六月一号", "6月1日"),
        ("安克Prime 67w充电器", "安克 Prime 67W 充电器"),
        ("充电很快 包装严实", "充电很快，包装严实"),
        ("ＹＴ８８２０193374651", "YT8820193374651"),
        ("2件，¥339", "2件，339元"),
        ("", ""),
    ],
)
def test_the_same_value_may_be_spelled_in_another_way(said: str, wanted: str) -> None:
    assert same_value(said, wanted)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("339", "339元"),
        ("393元", "339元"),
        ("62个", "62件"),
        ("6月1日", "2026-06-01"),
        ("2026-01-06", "2026-06-01"),
        ("9点", "21点"),
        ("金士顿内存条", "金士顿"),
        ("", "金士顿"),
        ("金士顿", ""),
        ("341472146053", "341472146052"),
        ("2件2件", "2件"),
        ("18:00-9:00", "9:00-18:00"),
        ("5元,9元", "5元,5元"),
        ("5元,5元", "5元,9元"),
        ("3条,2件", "2件,3条"),
    ],
)
def test_another_value_is_another(said: str, wanted: str) -> None:
    assert not same_value(said, wanted)


@given(yuan=st.integers(1, 99_999))
def test_a_price_is_the_same_in_every_style(yuan: int) -> None:
    styles = [f"{yuan}元", f"¥{yuan}.00", f"{yuan:,}元", f"{chinese_numeral(yuan)}块", f"{yuan}.0 块钱"]
    assert all(same_value(one, other) for one in styles for other in styles)
    assert not any(same_value(style, f"{yuan + 1}元") for style in styles)


@given(text=st.text() | st.text("0123456789.,:-年月日号点半元件¥一十百万不能是 "))
def test_a_value_is_always_itself(text: str) -> None:
    assert same_value(text, text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("人工客服每天9:00-22:00在", "每天早上9点到晚上10点"),
        ("我是2024年六月正式上线的", "2024年6月上线"),
        ("抱歉，这边没办法给您退款", "不能直接退款"),
        ("我看不到您的密码和银行卡，放心", "看不到您的密码和银行卡"),
        ("能讲解退换规则、查物流，也能推荐商品", "查物流、推荐商品、讲解退换规则"),
        ("您回复转人工就行", "回复“转人工”"),
        ("我可不是真人，我叫小象", "小象"),
        ("一共三百三十九块，两件", "339元"),
        ("晚上10点后没人，每天早上9点到晚上10点都有人", "每天9点到22点"),
        ("可以的，您在订单页点一下", "可以"),
        ("亲，这个不支持哦", "不能"),
        ("没问题，马上办", "能"),
        ("您要L码的话", "L"),
    ],
)
def test_what_is_said_in_other_words_is_told(text: str, wanted: str) -> None:
    assert tells(text, wanted)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("人工客服每天9:00-21:00在", "每天早上9点到晚上10点"),
        ("工作日9点到22点在", "每天9点到22点"),
        ("人工客服每天22:00-9:00在", "每天早上9点到晚上10点"),
        ("我是2024年3月上线的", "2024年6月上线"),
        ("可以给您退款", "不能直接退款"),
        ("我不能改价，退款没问题", "不能直接退款"),
        ("我不是小象", "小象"),
        ("能查物流、推荐商品", "查物流、推荐商品、讲解退换规则"),
        ("不可以的，抱歉", "可以"),
        ("可以", "不能"),
        ("您好，请稍等", "可以"),
        ("", "小象"),
        ("小象", ""),
    ],
)
def test_what_is_not_said_is_not_told(text: str, wanted: str) -> None:
    assert not tells(text, wanted)


@pytest.mark.parametrize(("answer", "read"), [("是的。", True), ("不是", False), ("没有", False), ("是小象", None)])
def test_a_bare_yes_or_no_is_read(answer: str, read: bool | None) -> None:
    assert yes_or_no(answer) is read
