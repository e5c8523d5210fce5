"""What a customer wants at a point of a conversation with the shop, and how each turn changes it.

Here belongs the state of a session as pure functions: `heard` takes a customer's turn, `told` one of the shop's, and
the answer to the whole session is the fold over its turns. How a turn is worded is not known here.

    state = heard(State(), "ask_product", {"设备": "拯救者Y7000P", "配件": "内存条"})
    state = told(state, [Offer(product) for product in fitting("拯救者Y7000P", "内存条")[:2]])
    answer(heard(state, "pick", {"指代": "32G的那个"}))["商品"]     # 金士顿 FURY Impact DDR5 5600 32GB

Rules. The latest word counts. Another accessory takes specification and quantity with it; another device or accessory
makes what was offered void. 商品 is the one product on offer that fits all that is wanted now: it is in stock, has the
specification, is the one that the customer chose (if one was chosen), and, where a time is wanted, the shop has said
when it arrives at the place, and that is not too late. Where none is left, or more than one, it is empty.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from cs_assets.catalogue import Moment, Product, city_of, deadline, specification_of, spellings

WISHES: Final[tuple[str, ...]] = ("设备", "配件", "规格", "数量", "时间", "地点")
FIELDS: Final = (*WISHES, "商品")
# How a customer points at something that was named before; the slot of the templates, and no field of the answer.
REFERENCE: Final = "指代"
_POINTERS: Final = ("{}的那个", "{}那款", "{}那个")
_POSITIONS: Final = ("第一个", "第二个", "第三个"), ("第一款", "第二款", "第三款")
_CHEAPEST: Final = ("便宜的那个", "最便宜的那款", "便宜点的那个")
_DEAREST: Final = ("贵的那个", "最贵的那款")
_SAME: Final = ("它", "这款", "刚才那款")
_POINTED: Final = re.compile(r"(.+?)(?:的那个|那款|那个)")


@dataclass(frozen=True)
class Offer:
    """A product as the shop offered it.

    Attributes:
        available: whether the shop has as many as are wanted, as far as it has said.
        arrivals: city (without 市) -> when the shop said that it arrives there.
    """

    product: Product
    available: bool = True
    arrivals: Mapping[str, Moment] = field(default_factory=dict)

    def in_time(self, place: str, time: str) -> bool:
        """Tell whether the shop has said that it arrives at the place by the end of that time."""
        promised, end = self.arrivals.get(city_of(place)), deadline(time)
        return promised is not None and end is not None and promised <= end


@dataclass(frozen=True)
class State:
    """What stands after some turns.

    Attributes:
        wishes: each of `WISHES` as the customer said it last; empty where it was not named or is void.
        offers: the products on offer, in the order in which the shop named them.
        chosen: the name of the product that the customer pointed at last; empty if none.
        places: all places that were named, in their order.
    """

    wishes: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(WISHES, ""))
    offers: tuple[Offer, ...] = ()
    chosen: str = ""
    places: tuple[str, ...] = ()


def heard(state: State, unit: str, said: Mapping[str, str]) -> State:
    """Return the state after a customer's turn.

    Args:
        state: before the turn.
        unit: what the turn is for; `cancel_time` and `revert_place` change what they do not name.
        said: the values in the turn, by field, and `REFERENCE` if it points at an offer.

    Raises:
        ValueError: it points at nothing that is on offer.
    """
    changes = {name: value for name, value in said.items() if name in WISHES}
    if unit == "cancel_time":
        changes["时间"] = ""
    if unit == "revert_place":
        changes["地点"] = state.places[-2]
    chosen = state.chosen
    if REFERENCE in said:
        chosen = resolve(said[REFERENCE], state)
        if measure := _measure_in(said[REFERENCE]):
            changes["规格"] = measure
    elif "规格" in changes:
        chosen = ""
    if changes.get("配件", state.wishes["配件"]) != state.wishes["配件"]:
        changes = {"规格": "", "数量": ""} | changes
    moved = changes.get("地点", "") not in ("", state.wishes["地点"])
    places = (*state.places, changes["地点"]) if moved else state.places
    void = any(changes.get(name, state.wishes[name]) != state.wishes[name] for name in ("设备", "配件"))
    return State({**state.wishes, **changes}, () if void else state.offers, "" if void else chosen, places)


def told(state: State, offers: Sequence[Offer]) -> State:
    """Return the state after the shop has named products, with all that it has said of them so far."""
    return replace(state, offers=tuple(offers))


def candidates(state: State) -> list[Offer]:
    """Return the offers that fit all that is wanted, as far as the shop has said."""
    wishes = state.wishes
    measure = specification_of(wishes["规格"])
    return [
        offer
        for offer in state.offers
        if offer.available
        and state.chosen in ("", offer.product.name)
        and measure in ("", offer.product.specification)
        and (not wishes["时间"] or offer.in_time(wishes["地点"], wishes["时间"]))
    ]


def answer(state: State) -> dict[str, str]:
    """Return the fields of the answer."""
    left = candidates(state)
    return {**state.wishes, "商品": left[0].product.name if len(left) == 1 else ""}


# --- Pointing at what was named. `references` makes the words and `resolve` reads them, so that each proves the other.


def references(state: State, target: Offer, rng: random.Random) -> list[str]:
    """Return ways to point at `target` that no other product on offer answers to, in random order."""
    offers = [offer.product for offer in state.offers]
    wanted = target.product
    found = [rng.choice(_POSITIONS)[offers.index(wanted)]] if 1 < len(offers) <= len(_POSITIONS[0]) else []
    found.append(rng.choice(_POINTERS[1:]).format(wanted.brand))
    found.append(_POINTERS[0].format(wanted.price))
    found.append(rng.choice(_POINTERS).format(rng.choice(spellings(wanted.specification))))
    found += [rng.choice(_CHEAPEST), rng.choice(_DEAREST)] if len(offers) > 1 else []
    found += [rng.choice(_SAME)] if state.chosen == wanted.name else []
    rng.shuffle(found)
    return [words for words in found if _pointed_at(words, state) == [wanted]]


def resolve(reference: str, state: State) -> str:
    """Return the name of the offered product that is pointed at.

    Raises:
        ValueError: none is, or more than one.
    """
    found = _pointed_at(reference, state)
    if len(found) != 1:
        raise ValueError(f"{reference!r} points at {len(found)} of the {len(state.offers)} products on offer")
    return found[0].name


def _pointed_at(reference: str, state: State) -> list[Product]:
    offers = [offer.product for offer in state.offers]
    for positions in _POSITIONS:
        if reference in positions:
            return offers[positions.index(reference) :][:1]
    if reference in _SAME:
        return [product for product in offers if product.name == state.chosen]
    if reference in _CHEAPEST or reference in _DEAREST:
        extreme: Callable[[list[float]], float] = min if reference in _CHEAPEST else max
        price = extreme([float(product.price) for product in offers])
        return [product for product in offers if float(product.price) == price]
    if not (pointed := _POINTED.fullmatch(reference)):
        return []
    measure = specification_of(pointed[1])
    return [p for p in offers if pointed[1] in (p.brand, p.price) or (measure and measure == p.specification)]


def _measure_in(reference: str) -> str:
    """Return the specification that a reference names, as it is spelt there; empty if it names none."""
    pointed = _POINTED.fullmatch(reference)
    return pointed[1] if pointed and specification_of(pointed[1]) else ""
