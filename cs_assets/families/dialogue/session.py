"""A session as it is composed: what a customer's turn may be for, and what the shop answers, turn by turn.

Here belong the units of the customer's side, the kinds of the shop's, and the talk that grows from them. What a turn
changes is said by `state.py`, which unit may follow which by the scenario.

    session = Session(follows, wordings, atoms, scene)
    session.customer(template)              # 客户：拯救者Y7000P用的内存条有吗
    unit = session.go_on()                  # 客服：有的，拯救者Y7000P能用的有：..., and what the customer says next
    session.customer(scene.pick(unit))
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from cs_assets import catalogue
from cs_assets.catalogue import Moment
from cs_assets.families.base import CUSTOMER, SHOP, Scene, Turn
from cs_assets.families.definition import Definition, ScenarioError, read_templates
from cs_assets.families.dialogue.state import REFERENCE, WISHES, Offer, State, candidates, heard, references, told
from cs_assets.families.dialogue.transcript import amount
from cs_assets.families.syntax import Segment, SentenceTemplate, TemplateError

# Times a unit may come in one session; a customer who says everything twice is a bad actor.
_TIMES: Final = {"pick": 2}


@dataclass(frozen=True)
class Unit:
    """What a customer's turn is for.

    Attributes:
        possible: whether it makes sense in a state of the session.
        new: the fields that a template of the unit must name, with a value that was not said before.
        also: what it may name besides.
        opens: whether a session may begin with it.
    """

    possible: Callable[[State], bool]
    new: frozenset[str] = frozenset()
    also: frozenset[str] = frozenset()
    opens: bool = False


def _has(*names: str) -> Callable[[State], bool]:
    return lambda state: all(state.wishes[name] for name in names)


def _in_stock(state: State) -> bool:
    return any(offer.available for offer in state.offers)


def _offered(*absent: str, present: Sequence[str] = ()) -> Callable[[State], bool]:
    """Return the condition that something can be had, and which fields are empty and which filled."""
    return lambda state: (
        _in_stock(state)
        and not any(state.wishes[name] for name in absent)
        and all(state.wishes[name] for name in present)
    )


def _untouched(state: State) -> bool:
    return not any(state.wishes.values())


def _correction(name: str, possible: Callable[[State], bool], *also: str) -> Unit:
    return Unit(possible, frozenset({name}), frozenset({f"旧.{name}", *also}))


_REST: Final = frozenset({"规格", "数量", "时间", "地点", "动作"})
UNITS: Final[dict[str, Unit]] = {
    "greeting": Unit(_untouched, opens=True),
    "ask_product": Unit(_untouched, frozenset({"设备", "配件"}), _REST, opens=True),
    "ask_accessory": Unit(_untouched, frozenset({"配件"}), _REST, opens=True),
    "give_device": Unit(lambda state: not state.wishes["设备"], frozenset({"设备"})),
    "narrow": Unit(_offered("规格"), frozenset({"规格"})),
    "pick": Unit(lambda state: len(state.offers) > 1, frozenset({REFERENCE}), frozenset({"数量"})),
    "ask_delivery": Unit(_offered("地点", "时间"), frozenset({"地点", "时间"})),
    "ask_time": Unit(_offered("地点", "时间"), frozenset({"时间"})),
    "ask_place": Unit(_offered("地点", "时间"), frozenset({"地点"})),
    "ask_delivery_of": Unit(_offered("地点", "时间"), frozenset({REFERENCE, "地点", "时间"})),
    "give_place": Unit(_offered("地点", present=["时间"]), frozenset({"地点"})),
    "change_time": Unit(_offered(present=["地点"]), frozenset({"时间"})),
    "change_place": Unit(_offered(present=["地点"]), frozenset({"地点"})),
    "set_quantity": Unit(_offered("数量"), frozenset({"数量"})),
    "correct_quantity": _correction("数量", _offered(present=["数量"])),
    "correct_accessory": _correction("配件", lambda state: not state.wishes["数量"], "规格"),
    "correct_device": _correction("设备", _has("设备")),
    "correct_spec": _correction("规格", lambda state: bool(state.wishes["规格"]) and not state.chosen),
    "correct_place": _correction("地点", _offered(present=["地点"])),
    "correct_time": _correction("时间", _offered(present=["地点", "时间"])),
    "revert_place": Unit(lambda state: len(state.places) == 2),
    "cancel_time": Unit(_offered(present=["地点", "时间"]), also=frozenset({"旧.时间"})),
    "switch_item": _correction("配件", _has("设备", "配件"), "规格", "动作"),
    "accept": Unit(lambda state: len(candidates(state)) == 1),
    "complain": Unit(_has("设备"), also=frozenset({"旁.物品"})),
    "aside": Unit(_has("设备"), also=frozenset({"旁.物品", "旁.地点"})),
    "ask_service": Unit(_has("设备")),
}
# What the shop says, and the slots that each wording must have. The first block answers units that change nothing.
_CHAT: Final = {"complain": "soothe", "aside": "chat", "ask_service": "service"}
WORDINGS: Final[dict[str, frozenset[str]]] = {
    **dict.fromkeys(("greet", "ask_device", "ask_place", "ack", *_CHAT.values()), frozenset()),
    "offer": frozenset({"设备", "清单"}),
    "offer_to": frozenset({"设备", "地点", "清单"}),
    "other": frozenset({"设备", "规格", "清单"}),
    "other_to": frozenset({"设备", "规格", "地点", "清单"}),
    "offer_none": frozenset({"设备", "配件"}),
    "delivery": frozenset({"地点", "清单"}),
    "price": frozenset({"商品", "价格"}),
    "cities": frozenset({"商品", "城市"}),
    **dict.fromkeys(("sold_out", "too_few"), frozenset({"商品"})),
    **dict.fromkeys(("in_time", "late", "arrival"), frozenset({"商品", "到货"})),
}
_SHOP_SLOTS: Final = frozenset({*WISHES, "清单", "商品", "价格", "到货", "城市"})
_DAYS: Final = ("今晚", "明天下午", "后天下午", "大后天下午", "四天后下午")
_LOCAL: Final = Moment(0, 21)
# Most shops name who has it tonight only when asked.
_CITIES_SHARE: Final = 0.35
_MOST_CITIES: Final = 3

# --- The shop's words

Wordings = Mapping[str, Sequence[SentenceTemplate]]


def read_wordings(definition: Definition) -> Wordings:
    """Return what the shop says: kind -> the templates in its folder of `templates/bot`.

    Raises:
        ScenarioError: a kind has no wording, or a folder is no kind.
        TemplateError: a wording is malformed or lacks a slot.
    """
    folder = definition.folder / "templates" / "bot"
    found: dict[str, list[SentenceTemplate]] = {}
    for template in read_templates(folder, _SHOP_SLOTS).values():
        if template.unit not in WORDINGS:
            raise ScenarioError(f"{template.source}: the shop says nothing of this kind; allowed are {[*WORDINGS]}.")
        if missing := WORDINGS[template.unit] - set(template.slots):
            raise TemplateError(f"{template.source}: lacks the slots {', '.join(sorted(missing))}; put them in.")
        found.setdefault(template.unit, []).append(template)
    if absent := [kind for kind in WORDINGS if kind not in found]:
        raise ScenarioError(f"{folder}: no wording for {', '.join(absent)}. Write at least one *.j2 in a folder each.")
    return found


def _arrival_words(moment: Moment) -> str:
    return f"{_DAYS[moment.day]}{moment.hour - 12}点"


# --- Composing a session


class Session:
    """A session as it grows: its turns, the state after them, and what was named on the way."""

    def __init__(
        self, follows: Mapping[str, Mapping[str, float]], wordings: Wordings, atoms: Mapping[str, Any], scene: Scene
    ) -> None:
        self._follows, self._wordings, self._atoms, self._scene = follows, wordings, atoms, scene
        self.turns: list[Turn] = []
        self.state = State()
        self._answered = self.state
        self._unit = ""
        self._units: Counter[str] = Counter()
        self._named: set[tuple[str, str]] = set()

    def customer(self, template: SentenceTemplate) -> None:
        """Add a turn of the customer's."""
        values = self._values(template)
        self.turns.append(Turn(segments=template.render(values), speaker=CUSTOMER))
        said = {name: str(values[name]) for name in (*WISHES, REFERENCE) if name in template.slots}
        self.state = heard(self.state, template.unit, said)
        self._unit = template.unit
        self._units[template.unit] += 1
        self._named |= set(self.state.wishes.items())

    def go_on(self) -> str:
        """Let the shop answer, and return the unit of the customer's next turn.

        Where the customer has nothing more to say, the shop's turn is taken back, and the unit is an empty string.
        """
        before = self.state
        text = self._reply()
        units = {unit: weight for unit, weight in self._follows.get(self._unit, {}).items() if self._possible(unit)}
        if not units:
            self.state = before
            return ""
        self._answered = self.state
        self.turns.append(Turn(segments=[Segment(text=text, slot=SHOP)], speaker=SHOP))
        return self._scene.rng.choices(list(units), list(units.values()))[0]

    # What the customer can say

    def _possible(self, unit: str) -> bool:
        """Tell whether a unit may come next; a question of the shop's is answered before all else."""
        wishes = self.state.wishes
        if wishes["配件"] and not wishes["设备"]:
            return unit == "give_device"
        if _in_stock(self.state) and wishes["时间"] and not wishes["地点"]:
            return unit == "give_place"
        if self._units[unit] >= _TIMES.get(unit, 1) or not UNITS[unit].possible(self.state):
            return False
        return all(self._fresh(name, unit, wishes["配件"]) for name in UNITS[unit].new)

    def _fresh(self, name: str, unit: str, accessory: str) -> list[str]:
        """Return what the customer can say for a slot and has not said before."""
        if name == REFERENCE:
            return self._references(unit)
        return [value for value in self._known(name, accessory) if (name, value) not in self._named]

    def _known(self, name: str, accessory: str) -> list[str]:
        """Return the values that the customer has for a slot: for an accessory's measure and number, those of it."""
        if name in ("规格", "数量") and accessory == self._atoms["旧"]["配件"]:
            values = [self._atoms["_other_accessory"][name]]
        else:
            values = [self._atoms[name], self._atoms["旧"][name]]
        return [value for value in values if value]

    def _references(self, unit: str) -> list[str]:
        """Return ways to point at an offer that is in stock and, as far as the shop has said, not too late."""
        found = []
        for offer in self.state.offers:
            if unit == "pick" and offer.product.name == self.state.chosen:
                continue
            found += [
                words
                for words in references(self.state, offer, self._scene.rng)
                if offer in candidates(heard(self.state, unit, {REFERENCE: words}))
            ]
        return self._scene.rng.sample(found, len(found))

    def _values(self, template: SentenceTemplate) -> dict[str, Any]:
        """Return a value for each slot: a fresh one where the unit says something new, else the one that stands."""
        wishes = self.state.wishes
        values: dict[str, Any] = {"旧": dict(wishes), "旁": self._atoms["旁"]}
        accessory = wishes["配件"]
        for name in (*WISHES, REFERENCE):
            if name not in template.slots:
                continue
            stands = wishes.get(name, "") if accessory == wishes["配件"] else ""
            if name in UNITS[template.unit].new:
                sayable = self._fresh(name, template.unit, accessory)
            else:
                sayable = [stands] if stands else self._known(name, accessory)
            if not sayable:
                raise ValueError(f"{template.source}: the customer has nothing to say for the slot {name!r}.")
            values[name] = sayable[0]
            accessory = values.get("配件", accessory)
        other = accessory == self._atoms["旧"]["配件"]
        return values | {"动作": self._atoms["_other_accessory"]["动作"] if other else self._atoms["动作"]}

    # What the shop answers

    def _say(self, kind: str, **values: str) -> str:
        wishes = self.state.wishes
        return self._scene.rng.choice(self._wordings[kind]).fill({**wishes, **values})

    def _reply(self) -> str:
        """Return the shop's answer to the last turn, and note in the state what it tells."""
        wishes, before = self.state.wishes, self._answered.wishes
        changed = {name for name in WISHES if wishes[name] != before[name]}
        if self._unit in _CHAT:
            return self._say(_CHAT[self._unit])
        if not wishes["配件"]:
            return self._say("greet")
        if not wishes["设备"]:
            return self._say("ask_device")
        if not self.state.offers or ("规格" in changed and not self.state.chosen):
            text = self._list()
        elif wishes["时间"] and not wishes["地点"]:
            text = ""
        else:
            text = self._deliver() if wishes["地点"] and changed & {"数量", "时间", "地点"} else self._confirm()
        if _in_stock(self.state) and wishes["时间"] and not wishes["地点"]:
            return f"{text}\n{self._say('ask_place')}".lstrip()
        return text

    def _list(self) -> str:
        """Offer products that fit the device, of the wanted specification if there are any."""
        rng, wishes = self._scene.rng, self.state.wishes
        fitting = catalogue.fitting(wishes["设备"], wishes["配件"])
        if not fitting:
            self.state = told(self.state, [])
            return self._say("offer_none")
        measure = catalogue.specification_of(wishes["规格"])
        exact = [product for product in fitting if measure in ("", product.specification)]
        shown = rng.sample(exact or fitting, min(len(exact or fitting), rng.choice((2, 3, 3))))
        offers = [self._counted(Offer(product)) for product in shown]
        by_city = not wishes["地点"] and rng.random() < _CITIES_SHARE
        items = []
        for number, offer in enumerate(offers):
            label = self._say("price", 商品=offer.product.name, 价格=offer.product.price)
            if not offer.available:
                items.append(self._refuse(offer))
            elif wishes["地点"]:
                offers[number], text = self._arrival(offer, label)
                items.append(text)
            elif by_city:
                offers[number], text = self._cities(offer, label)
                items.append(text)
            else:
                items.append(label)
        self.state = told(self.state, offers)
        kind = ("offer", "offer_to") if exact else ("other", "other_to")
        return self._say(kind[bool(wishes["地点"])], 清单="；".join(items))

    def _deliver(self) -> str:
        """Tell when the products on offer arrive, of the chosen one only if that will do; not the same twice."""
        offers, items = [self._counted(offer) for offer in self.state.offers], []
        for number, offer in enumerate(offers):
            if not offer.available:
                items.append(self._refuse(offer))
                continue
            offers[number], text = self._arrival(offer, offer.product.name)
            items.append(text)
            if offer.product.name == self.state.chosen and offers[number] in candidates(told(self.state, offers)):
                offers, items = [*self.state.offers[:number], offers[number], *self.state.offers[number + 1 :]], [text]
                break
        before, self.state = self.state, told(self.state, offers)
        wishes, known = dict(self.state.wishes), self._answered.wishes
        if before == self.state and {**wishes, "数量": ""} == {**known, "数量": ""}:
            return self._say("ack")
        return self._say("delivery", 清单="；".join(items))

    def _confirm(self) -> str:
        """Say yes, unless there are fewer than the customer wants now."""
        offers = [self._counted(offer) for offer in self.state.offers]
        short = [now for now, before in zip(offers, self.state.offers, strict=True) if before.available > now.available]
        self.state = told(self.state, offers)
        return "；".join(map(self._refuse, short)) or self._say("ack")

    def _counted(self, offer: Offer) -> Offer:
        """Return the offer as it stands for the quantity that is wanted now."""
        return replace(offer, available=bool(catalogue.warehouses(offer.product, amount(self.state.wishes["数量"]))))

    def _refuse(self, offer: Offer) -> str:
        kind = "too_few" if catalogue.warehouses(offer.product) else "sold_out"
        return self._say(kind, 商品=offer.product.name)

    def _arrival(self, offer: Offer, label: str) -> tuple[Offer, str]:
        """Say when a product that is in stock arrives, and whether that is in time."""
        wishes = self.state.wishes
        moment = catalogue.arrival(offer.product, wishes["地点"], amount(wishes["数量"]))
        if moment is None:
            raise ValueError(f"the shop does not deliver to {wishes['地点']!r}; see data/reference/divisions.csv")
        known = replace(offer, arrivals={**offer.arrivals, catalogue.city_of(wishes["地点"]): moment})
        kind = "arrival"
        if wishes["时间"]:
            kind = "in_time" if known.in_time(wishes["地点"], wishes["时间"]) else "late"
        return known, self._say(kind, 商品=label, 到货=_arrival_words(moment))

    def _cities(self, offer: Offer, label: str) -> tuple[Offer, str]:
        """Name some cities where the product arrives tonight, the customer's among them if it is one."""
        held = catalogue.warehouses(offer.product, amount(self.state.wishes["数量"]))
        self._scene.rng.shuffle(held)
        held.sort(key=lambda city: city != catalogue.city_of(self._atoms["地点"]))
        named = sorted(held[:_MOST_CITIES])
        known = replace(offer, arrivals={**offer.arrivals, **dict.fromkeys(named, _LOCAL)})
        return known, self._say("cities", 商品=label, 城市="、".join(named))
