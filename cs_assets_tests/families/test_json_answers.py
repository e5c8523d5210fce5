"""Answers that are one JSON object: written, read strictly or repaired, compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.families.json_answers import (
    dump_answer,
    parse_answer,
    read_repaired,
    read_strict,
    score_values,
    without_spaces,
)

FIELDS = ("姓名", "电话")
TRUTH = {"姓名": "张三", "电话": "13800138000"}
ANSWER = '{"姓名": "张三", "电话": "13800138000"}'


def test_there_is_one_spelling() -> None:
    assert dump_answer(TRUTH) == ANSWER


@given(values=st.lists(st.text(), min_size=2, max_size=2))
def test_what_is_written_is_read_back(values: list[str]) -> None:
    told = dict(zip(FIELDS, values, strict=True))
    assert read_strict(dump_answer(told), FIELDS) == told
    assert score_values(dump_answer(told), dump_answer(told), FIELDS).exact == 1


def test_strict_reading_allows_white_space_around_the_object() -> None:
    assert read_strict(f"\n {ANSWER} \n", FIELDS) == TRUTH


@pytest.mark.parametrize(
    "prediction",
    ["", "[]", "null", f"好的：{ANSWER}", ANSWER[:-1], '{"姓名": "张三"}', "[" * 5000],
)
def test_anything_else_is_not_strict(prediction: str) -> None:
    assert read_strict(prediction, FIELDS) is None


@pytest.mark.parametrize("first", ["李四", "张三"])
def test_a_doubled_key_is_not_strict(first: str) -> None:
    doubled = ANSWER.replace('{"姓名"', f'{{"姓名": "{first}", "姓名"')
    assert read_strict(doubled, FIELDS) is None
    assert read_repaired(doubled, FIELDS) == TRUTH
    with pytest.raises(ValueError, match="doubled"):
        parse_answer(doubled)


@pytest.mark.parametrize(
    ("prediction", "wanted"),
    [
        ('{"姓名": null, "电话": 138}', {"姓名": "", "电话": "138"}),
        ('{"姓名": " 张三 ", "其他": "x"}', {"姓名": "张三"}),
        ('```\n{"姓名": "张三"}\n```', {"姓名": "张三"}),
        ('{"姓名": "张三", "电话": "138', {"姓名": "张三"}),
        ("{", {}),
        ("没有", {}),
    ],
)
def test_repaired_reading_takes_what_is_there(prediction: str, wanted: dict[str, str]) -> None:
    assert read_repaired(prediction, FIELDS) == wanted


@pytest.mark.parametrize(
    ("prediction", "wanted"),
    [
        ('{"姓名": null, "电话": "138', {"姓名": ""}),
        ('{"姓名": "张\\"三", "电话": "138', {"姓名": '张"三'}),
    ],
)
def test_repaired_reading_of_a_cut_object_reads_nulls_and_escapes(prediction: str, wanted: dict[str, str]) -> None:
    assert read_repaired(prediction, FIELDS) == wanted


@given(prediction=st.text() | st.text(st.sampled_from('{}[]":,姓名电话\\null 1')))
def test_any_prediction_gets_a_score(prediction: str) -> None:
    score = score_values(prediction, ANSWER, FIELDS)
    assert score.exact == 0
    assert set(score.fields) == set(FIELDS)


def test_a_right_value_in_a_wrong_form_counts_as_a_field() -> None:
    score = score_values(f"好的：{dump_answer(TRUTH | {'电话': '139'})}", ANSWER, FIELDS)
    assert (score.strict_json, score.exact, score.fields) == (0, 0, {"姓名": 1, "电话": 0})


@given(text=st.text())
def test_no_white_space_is_left(text: str) -> None:
    assert without_spaces(text) == "".join(text.split())
