"""The state of a session: folds over sessions written by hand, and what holds for any session."""

import random
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cs_assets.catalogue import Moment, fitting, products
from cs_assets.families.dialogue.state import (
    WISHES,
    Offer,
    State,
    answer,
    candidates,
    heard,
    references,
    resolve,
    told,
)

TONIGHT, TOMORROW = Moment(0, 21), Moment(1, 18)
KINGSTON, CRUCIAL, ADATA = (
    products()[name] for name in ("金士顿 FURY Impact DDR5 5600 32GB", "英睿达 DDR5 5600 16GB", "威刚 DDR5 5600 16GB")
)
DISK = products()["致态 TiPlus7100 1TB"]
# A customer's turn is the unit with what is said, a turn of the shop's the products on offer.
Step = tuple[str, Mapping[str, str]] | Sequence[Offer]


def fold(*steps: Step) -> State:
    state = State()
    for step in steps:
        state = heard(state, step[0], step[1]) if isinstance(step, tuple) else told(state, step)
    return state


def wants(state: State, **wishes: str) -> bool:
    return answer(state) == dict.fromkeys((*WISHES, "商品"), "") | wishes


ASKED: Step = ("ask_product", {"设备": "Y7000P", "配件": "内存条"})
OFFERED: Sequence[Offer] = [Offer(KINGSTON), Offer(CRUCIAL), Offer(ADATA)]
IN_WUHAN: Sequence[Offer] = [
    Offer(KINGSTON, arrivals={"武汉": TOMORROW}),
    Offer(CRUCIAL, arrivals={"武汉": TONIGHT}),
    Offer(ADATA, arrivals={"武汉": TOMORROW}),
]


def test_the_reference_case() -> None:
    """A memory module for a laptop, several are offered, one of them arrives in the city tonight."""
    state = fold(ASKED, OFFERED, ("ask_delivery", {"地点": "武汉", "时间": "今晚"}))
    assert wants(state, 设备="Y7000P", 配件="内存条", 时间="今晚", 地点="武汉")
    state = told(state, IN_WUHAN)
    assert wants(state, 设备="Y7000P", 配件="内存条", 时间="今晚", 地点="武汉", 商品=CRUCIAL.name)


def test_several_in_time_are_one_too_many_until_one_is_chosen() -> None:
    state = fold(ASKED, OFFERED, ("ask_delivery", {"地点": "武汉", "时间": "明天"}), IN_WUHAN)
    assert answer(state)["商品"] == ""
    assert answer(heard(state, "pick", {"指代": "威刚那款"}))["商品"] == ADATA.name


def test_another_accessory_makes_what_was_said_of_the_first_void() -> None:
    state = fold(
        ("ask_product", {"设备": "Y7000P", "配件": "内存条", "规格": "32G", "数量": "两条"}),
        OFFERED,
        ("correct_accessory", {"配件": "硬盘"}),
    )
    assert wants(state, 设备="Y7000P", 配件="硬盘")
    state = told(state, [Offer(DISK)])
    assert wants(state, 设备="Y7000P", 配件="硬盘", 商品=DISK.name)


def test_another_accessory_may_bring_its_own_specification() -> None:
    state = fold(ASKED, OFFERED, ("switch_item", {"配件": "固态", "规格": "1T"}), [Offer(DISK)])
    assert wants(state, 设备="Y7000P", 配件="固态", 规格="1T", 商品=DISK.name)


def test_another_device_keeps_the_wishes_and_voids_the_offers() -> None:
    state = fold(ASKED, OFFERED, ("pick", {"指代": "32G的那个"}), ("correct_device", {"设备": "天选4"}))
    assert wants(state, 设备="天选4", 配件="内存条", 规格="32G")


def test_pointing_by_the_specification_says_it() -> None:
    state = fold(ASKED, OFFERED, ("ask_delivery_of", {"指代": "32g那款", "地点": "苏州昆山", "时间": "明天"}))
    assert wants(state, 设备="Y7000P", 配件="内存条", 规格="32g", 时间="明天", 地点="苏州昆山")


def test_a_district_is_reached_as_its_city_is() -> None:
    state = fold(ASKED, OFFERED, ("ask_delivery", {"地点": "武汉洪山区", "时间": "今晚9点前"}), IN_WUHAN)
    assert answer(state)["商品"] == CRUCIAL.name


def test_a_corrected_place_is_not_known_yet() -> None:
    state = fold(
        ASKED,
        OFFERED,
        ("ask_delivery", {"地点": "武汉", "时间": "今晚"}),
        IN_WUHAN,
        ("correct_place", {"地点": "苏州"}),
    )
    assert wants(state, 设备="Y7000P", 配件="内存条", 时间="今晚", 地点="苏州")


def test_a_place_comes_back() -> None:
    state = fold(
        ASKED,
        OFFERED,
        ("ask_delivery", {"地点": "武汉", "时间": "今晚"}),
        IN_WUHAN,
        ("change_place", {"地点": "苏州"}),
        ("revert_place", {}),
    )
    assert answer(state)["地点"] == "武汉"
    assert answer(state)["商品"] == CRUCIAL.name


def test_a_called_off_time_no_longer_counts() -> None:
    late = fold(
        ASKED,
        OFFERED,
        ("pick", {"指代": "威刚那个"}),
        ("ask_delivery", {"地点": "武汉", "时间": "今晚"}),
        IN_WUHAN,
    )
    assert answer(late)["商品"] == ""
    assert wants(heard(late, "cancel_time", {}), 设备="Y7000P", 配件="内存条", 地点="武汉", 商品=ADATA.name)


def test_a_later_time_is_judged_by_what_the_shop_has_said() -> None:
    asked = fold(ASKED, OFFERED, ("pick", {"指代": "威刚那个"}), ("ask_delivery", {"地点": "武汉", "时间": "今晚"}))
    state = told(asked, IN_WUHAN)
    assert answer(heard(state, "change_time", {"时间": "明天下午"}))["商品"] == ADATA.name
    assert answer(heard(state, "change_time", {"时间": "明天下午五点前"}))["商品"] == ""


def test_what_is_sold_out_is_no_candidate() -> None:
    state = fold(ASKED, [Offer(CRUCIAL), Offer(ADATA, available=False)])
    assert answer(state)["商品"] == CRUCIAL.name


def test_a_time_without_a_place_leaves_no_candidate() -> None:
    state = fold(ASKED, IN_WUHAN, ("ask_time", {"时间": "三天内"}))
    assert candidates(state) == []


def test_chat_changes_nothing() -> None:
    state = fold(ASKED, OFFERED, ("pick", {"指代": "第一个"}))
    assert heard(state, "complain", {}) == state == heard(state, "set_quantity", {"数量": ""})


@pytest.mark.parametrize("words", ["16G的那个", "芝奇那款", "第四个", "它", "便宜", ""])
def test_pointing_at_nothing_or_at_several_is_an_error(words: str) -> None:
    with pytest.raises(ValueError, match="points at"):
        resolve(words, fold(ASKED, OFFERED))


@given(st.integers(0, 10_000), st.sampled_from(["Y7000P", "R7000", "苹果15", "绿联DX4600", "Steam Deck"]))
def test_every_way_to_point_leads_back_to_what_is_pointed_at(seed: int, device: str) -> None:
    rng = random.Random(seed)
    accessory = rng.choice([word for word in ("内存条", "固态", "充电器", "存储卡") if fitting(device, word)])
    found = fitting(device, accessory)
    offers = [Offer(product) for product in rng.sample(found, min(3, len(found)))]
    state = fold(("ask_product", {"设备": device, "配件": accessory}), offers)
    for offer in offers:
        pointing = references(state, offer, rng)
        assert pointing
        for words in pointing:
            assert resolve(words, state) == offer.product.name


CHANGES = st.lists(
    st.tuples(st.sampled_from(("规格", "数量", "时间", "地点")), st.sampled_from(("16G", "两条", "今晚", "杭州"))),
    max_size=12,
)


@given(CHANGES)
def test_the_latest_word_counts(changes: list[tuple[str, str]]) -> None:
    state = fold(ASKED, *[("set", {name: value}) for name, value in changes])
    last = dict(changes)
    assert {name: state.wishes[name] for name in last} == last
    assert all(not state.wishes[name] for name in set(WISHES) - set(last) - {"设备", "配件"})


@given(CHANGES, st.booleans())
def test_the_product_fits_everything_or_there_is_none(changes: list[tuple[str, str]], offered: bool) -> None:
    state = fold(ASKED, IN_WUHAN if offered else [], *[("set", {name: value}) for name, value in changes])
    left = candidates(state)
    assert answer(state)["商品"] == (left[0].product.name if len(left) == 1 else "")
    assert all(offer in state.offers for offer in left)
