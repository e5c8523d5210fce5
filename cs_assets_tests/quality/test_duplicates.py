"""Near-duplicates: found, verified, and each pointing to one that stays."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.quality.duplicates import jaccard, near_duplicates, trigrams

TEXTS = st.lists(st.text(st.sampled_from("东西呢到哪了退货1 ，"), max_size=9), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("left", "right", "wanted"), [("abcd", "abcd", 1.0), ("abcd", "bcde", 1 / 3), ("abc", "xyz", 0.0), ("", "", 1.0)]
)
def test_similarity_counts_common_trigrams(left: str, right: str, wanted: float) -> None:
    assert jaccard(trigrams(left), trigrams(right)) == pytest.approx(wanted)


@given(texts=TEXTS, similarity=st.floats(0.3, 1))
def test_what_is_left_out_repeats_what_stays_and_no_two_equal_ones_stay(texts: list[str], similarity: float) -> None:
    found = near_duplicates(texts, texts, similarity, similarity)
    assert not set(found) & set(found.values())
    for number, first in found.items():
        assert first < number
        assert jaccard(trigrams(texts[number]), trigrams(texts[first])) >= similarity
    stay = [text for number, text in enumerate(texts) if number not in found]
    assert len(set(stay)) == len(stay)


@given(texts=TEXTS)
def test_what_differs_is_kept(texts: list[str]) -> None:
    distinct = sorted(set(texts))
    if any(jaccard(trigrams(a), trigrams(b)) >= 0.9 for a, b in itertools.combinations(distinct, 2)):
        return
    assert near_duplicates(distinct, distinct, 0.9, 0.9) == {}


def test_a_changed_character_in_a_long_message_is_a_near_duplicate() -> None:
    message = "我上周五买的那个小新Pro14的内存条到现在都还没有发货，麻烦帮我看看是什么情况，谢谢"
    texts = ["完全不同的一句话，和上面没有关系", message, message.replace("谢谢", "谢啦")]
    assert near_duplicates(texts, ["催发货"] * 3, 0.85, 1.0) == {2: 1}
    assert near_duplicates(texts, ["催发货", "催发货", "投诉客服态度"], 0.85, 0.85) == {}
    counted = [f'{{"配件": "内存条", "规格": "16GB", "数量": "{count}个"}}' for count in (0, 3, 4)]
    assert near_duplicates(texts, counted, 0.85, 0.6) == {2: 1}
    assert near_duplicates(texts, counted, 0.85, 1.0) == {}
