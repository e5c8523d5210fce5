"""The retention probe: its items are sound, and its checks take right answers and no others."""

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.evaluation.probe import Check, ProbeItem, load_probe

PROBE = load_probe()
# Right answers to the items whose check is a pattern.
RIGHT = {
    "列出三种水果": "苹果，香蕉，橙子",
    "列出三种颜色": "红，黄，蓝",
    "列出三种动物": "猫\n狗\n老虎",
    "说出两种交通工具": "火车和飞机",
    "按顺序输出数字": "1 2 3 4 5",
    "从5倒数": "5,4,3,2,1",
    "把“我爱你”": "I love you.",
    "把“Good morning”": "早上好！",
    "用“因为”开头": "因为下雨了，所以我没有出门。",
    "把3、1、2": "1，2，3",
    "数字五": "five",
}
# What a model says that was tuned too hard, or never answered anything.
USELESS = ("", "我不知道", '{"姓名": "", "电话": "", "省": "", "市": "", "县": ""}', "无法识别的请求")


def item(check: Check, *accept: str) -> ProbeItem:
    return ProbeItem(id="x", kind="k", check=check, question="?", accept=list(accept))


def right_answer(of: ProbeItem) -> str:
    if of.check != "regex":
        return of.accept[0]
    [answer] = [answer for begin, answer in RIGHT.items() if of.question.startswith(begin)]
    return answer


def test_the_probe_is_large_and_each_kind_has_enough_to_say_something() -> None:
    assert len(PROBE) >= 120
    assert min(Counter(of.kind for of in PROBE).values()) >= 20
    assert len({of.id for of in PROBE}) == len({of.question for of in PROBE}) == len(PROBE)


@pytest.mark.parametrize("of", PROBE, ids=lambda of: of.id)
def test_each_item_takes_its_answer_and_neither_its_own_question_nor_nonsense(of: ProbeItem) -> None:
    answer = right_answer(of)
    assert of.is_right(answer)
    assert of.is_right(f"\n{answer} ")
    assert [wrong for wrong in (*USELESS, of.question) if of.is_right(wrong)] == []


@pytest.mark.parametrize("of", [of for of in PROBE if of.check == "contains"], ids=lambda of: of.id)
def test_a_fact_may_be_told_in_a_sentence(of: ProbeItem) -> None:
    assert of.is_right(f"这个问题的答案是{of.accept[-1]}。")


@pytest.mark.parametrize(
    ("of", "right", "wrong"),
    [
        (item("exact", "好的"), ["好的", "“好的”", "好的。", "\n好的\n"], ["好的，没问题", "好", "不好的"]),
        (item("exact", "HELLO"), ["HELLO", "ＨＥＬＬＯ"], ["hello", "Hello"]),
        (item("contains", "thank"), ["Thank you", "THANKS"], ["tank"]),
        (item("contains", "H2O"), ["水的化学式是H₂O"], ["HO2"]),
        (
            item("number", "1000"),
            ["1,000", "等于1000。", "1千克等于1000克", "1０００"],
            ["100", "10000", "一千", "1000克等于1"],
        ),
        (item("number", "8"), ["5+3=8", "8.0"], ["8.5", "-8", "8 或 9"]),
        (item("regex", "1[,，]2"), ["1，2", "1,2。"], ["1,2,3", "答：1,2"]),
        (item("json", '{"a": 1}'), ['{"a":1}', '```json\n{"a": 1}\n```'], ['{"a": "1"}', '结果：{"a": 1}', "{"]),
        (item("json", "[1, 2]"), ["[1,2]"], ["[2,1]", "[" * 3_000, "[" * 3_000 + "]" * 3_000]),
    ],
)
def test_checks(of: ProbeItem, right: list[str], wrong: list[str]) -> None:
    assert [answer for answer in right if not of.is_right(answer)] == []
    assert [answer for answer in wrong if of.is_right(answer)] == []


@given(answer=st.text())
def test_any_text_is_an_answer(answer: str) -> None:
    assert not any(item(check, "7").is_right(re.sub(r"\d", "", answer)) for check in ("exact", "number", "json"))


@given(count=st.integers(1, 400))
def test_a_part_of_the_probe_is_spread_over_its_kinds(count: int) -> None:
    part = load_probe(count)
    assert len(part) == min(count, len(PROBE))
    assert len({of.id for of in part}) == len(part)
    if count >= 20:
        assert {of.kind for of in part} == {of.kind for of in PROBE}


@pytest.mark.parametrize(
    "line", ["{", '{"id": "a"}', '{"id":"a","kind":"k","check":"guess","question":"?","accept":["b"]}']
)
def test_a_broken_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "probe.jsonl"
    path.write_text(f"{item('exact', 'b').model_dump_json()}\n\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"probe\.jsonl, line 3: "):
        load_probe(path=path)
