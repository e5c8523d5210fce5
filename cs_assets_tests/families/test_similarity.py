"""How alike two texts are: BLEU, chrF and ROUGE-L."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.families.similarity import bleu, chrf, rouge_l, similarities

REPLY = "让您等了半个月，真的很抱歉。我这就联系快递网点核实，24小时内把结果发给您。"
CLOSER = REPLY.replace("半个月", "很久")
FARTHER = "您好，请稍等。"
WORDS = st.text("甲乙丙丁", max_size=12)


def longest_common(one: str, other: str) -> int:
    """The table that every textbook has."""
    lengths = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            longer = max(lengths[i][j + 1], lengths[i + 1][j])
            lengths[i + 1][j + 1] = lengths[i][j] + 1 if a == b else longer
    return lengths[-1][-1]


@pytest.mark.parametrize("measure", [bleu, chrf, rouge_l])
def test_a_closer_text_has_the_higher_figure(measure: Callable[[str, str], float]) -> None:
    assert measure(REPLY, REPLY) == pytest.approx(1)
    assert 1 > measure(CLOSER, REPLY) > measure(FARTHER, REPLY) >= 0
    assert measure("", REPLY) == 0


@given(prediction=st.text(), answer=st.text(min_size=1))
def test_any_two_texts_have_figures_between_0_and_1(prediction: str, answer: str) -> None:
    found = similarities(prediction, answer)
    assert list(found) == ["bleu", "chrf", "rouge_l"]
    assert all(0 <= value <= 1 for value in found.values())


@given(one=WORDS, other=WORDS)
def test_rouge_l_is_that_of_the_longest_common_subsequence(one: str, other: str) -> None:
    total = len(one) + len(other)
    wanted = 2 * longest_common(one, other) / total if one and other else 0
    assert rouge_l(one, other) == pytest.approx(wanted)


def test_rouge_l_by_hand() -> None:
    # 我马上查物流 is common: 6 of 9 characters here, of 10 there.
    assert rouge_l("抱歉我马上查物流呀", "对不起，我马上查物流") == pytest.approx(2 * 6 / 19)
    assert rouge_l("马 上\n查", "马上查") == 1


def test_chinese_is_cut_by_character_and_english_by_word() -> None:
    assert bleu("我马上查", "我马上催") > 0
    # One word of two is the same; by character most would be.
    assert bleu("parcel", "parcels") == 0
