"""The family `dialogue`: its options, the rules of a right answer, its score.

Here belongs what can be said of a whole session and its answer. How it is composed, and how an answer goes wrong, is in
the modules beside; the package says which.

    family = DialogueFamily(definition)
    family.render(template, atoms, scene).answer        # {"设备": "拯救者Y7000P", "配件": "内存条", ...}
"""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from cs_assets import catalogue
from cs_assets.catalogue import Product
from cs_assets.families.base import CUSTOMER, SHOP, Rendered, Sample, Scene, Score, SingleMessageFamily, Violation
from cs_assets.families.definition import Definition, ScenarioError
from cs_assets.families.dialogue.corruptions import CORRUPTIONS
from cs_assets.families.dialogue.session import UNITS, Session, read_wordings
from cs_assets.families.dialogue.state import FIELDS, WISHES, answer
from cs_assets.families.dialogue.transcript import Transcript, is_value, mentioned, read_transcript
from cs_assets.families.json_answers import dump_answer, read_strict, score_values
from cs_assets.families.syntax import SentenceTemplate
from cs_assets.families.yaml_files import read_options

_TURNS: Final = range(2, 9)
# A greeting belongs at the beginning of a session, and announces no address here.
_GREETING: Final = re.compile(r"(?:客服)?[您你]好|在吗|在不在|哈喽|h[ie]|亲亲|地址发你|就这个地址")

Weight = Annotated[float, Field(gt=0)]


class Options(BaseModel):
    """The key `options` of `scenario.yaml`.

    Attributes:
        turns: how many turns a customer takes, 2 to 8 -> weight.
        follows: unit -> unit that may come next -> weight.
    """

    model_config = ConfigDict(extra="forbid")

    turns: Annotated[dict[Annotated[int, Field(ge=_TURNS[0], le=_TURNS[-1])], Weight], Field(min_length=1)]
    follows: dict[str, dict[str, Weight]]

    @field_validator("follows")
    @classmethod
    def _units_are_known(cls, value: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        unknown = sorted({*value, *(unit for following in value.values() for unit in following)} - set(UNITS))
        if unknown:
            raise ValueError(f"unknown units {', '.join(unknown)}; allowed are {', '.join(UNITS)}")
        return value


class DialogueFamily(SingleMessageFamily):
    """The verbs of `base.Family` for sessions.

    Raises:
        ScenarioError: an option is missing or not allowed, or a wording of the shop is missing.
        TemplateError: a wording of the shop is malformed or lacks a slot.
    """

    def __init__(self, definition: Definition) -> None:
        self.corruptions = CORRUPTIONS
        self._wordings = read_wordings(definition)
        self._options = read_options(definition, Options)
        human = definition.folder / "templates" / "human"
        units = sorted(unit for following in self._options.follows.values() for unit in following)
        if absent := [unit for unit in dict.fromkeys(units) if not (human / unit).is_dir()]:
            raise ScenarioError(
                f"{human}: no folder for {', '.join(absent)}, which options.follows names. Write seeds."
            )

    def opens(self, unit: str) -> bool:
        return unit in UNITS and UNITS[unit].opens

    def render(self, template: SentenceTemplate, atoms: Mapping[str, Any], scene: Scene) -> Rendered:
        session = Session(self._options.follows, self._wordings, atoms, scene)
        session.customer(template)
        turns = self._options.turns
        for _ in range(scene.rng.choices(list(turns), list(turns.values()))[0] - 1):
            unit = session.go_on()
            if not unit:
                break
            session.customer(scene.pick(unit))
        return Rendered(turns=session.turns, answer=dump_answer(answer(session.state)))

    def check_template(self, template: SentenceTemplate, atoms: Mapping[str, Any]) -> list[Violation]:
        """Check the slots of the unit, and the rules on a talk of two turns: what was said before, and the template."""
        unit = UNITS.get(template.unit)
        if unit is None:
            detail = f"no unit {template.unit!r}; the folders of templates/human may be {', '.join(UNITS)}"
            return [Violation(rule="unit", detail=detail)]
        missing, extra = unit.new - set(template.slots), set(template.slots) - unit.new - unit.also
        if missing or extra:
            detail = f"{template.unit}: lacks {sorted(missing)}, may not have {sorted(extra)}"
            return [Violation(rule="slots", detail=detail)]
        if not unit.opens and _GREETING.match(template.text):
            return [Violation(rule="greeting", detail="a greeting in the middle of the session")]
        old = "，".join(atoms["旧"][slot.removeprefix("旧.")] for slot in template.slots if slot.startswith("旧."))
        text = "".join(segment.text for segment in template.render(atoms))
        values = {name: atoms[name] if name in template.slots else "" for name in WISHES} | {"商品": ""}
        message = f"{CUSTOMER}：{old}\n{CUSTOMER}：{text}"
        return self.verify(Sample(message=message, answer=dump_answer(values)))

    def verify(self, sample: Sample) -> list[Violation]:
        values = read_strict(sample.answer, FIELDS)
        if values is None:
            return [Violation(rule="strict_json", detail=f"not a JSON object with the keys {', '.join(FIELDS)}")]
        talk = read_transcript(sample.message)
        return [found for rule in _RULES for found in rule(values, talk)]

    def score(self, prediction: str, answer: str) -> Score:
        return score_values(prediction, answer, FIELDS)


# --- Rules: what can be read off the transcript and the tables again. They know nothing of units and states.

# What stands before or behind a value that is taken back.
_BEFORE: Final = ("不是", "不要", "不买", "不看", "不用赶")
_BEHIND: Final = ("先不要", "不要", "不买", "说错", "写错", "不合适", "到不了也", "下次")
Values = Mapping[str, str]
Rule = Callable[[Values, Transcript], list[Violation]]


def _copied(values: Values, talk: Transcript) -> list[Violation]:
    """What is wanted stands in the customer's turns, the product in the shop's."""
    customer, shop = "\n".join(talk.customer), "\n".join(talk.shop)
    return [
        Violation(rule="copied", detail=f"{name}: {value!r} does not stand in the turns of {side}")
        for name, value in values.items()
        for side, text in [(SHOP, shop) if name == "商品" else (CUSTOMER, customer)]
        if value not in text
    ]


def _shaped(values: Values, talk: Transcript) -> list[Violation]:
    return [
        Violation(rule="shape", detail=f"{name}: {value!r} is none that the shop's tables know")
        for name, value in values.items()
        if value and not is_value(name, value)
    ]


def _replaced(values: Values, talk: Transcript) -> list[Violation]:
    """What the customer has taken back (不是内存条) is no longer wanted, unless it is named again after that."""
    found = []
    for name, value in values.items():
        turns = [text for text in talk.customer if value and value in text]
        if turns and _is_taken_back(name, value, turns[-1]):
            found.append(Violation(rule="replaced", detail=f"{name}: {value!r} was taken back"))
    return found


def _is_taken_back(name: str, value: str, text: str) -> bool:
    longer = [word for word in mentioned(name, text) if word != value and word.startswith(value)]
    return any(
        text[: match.start()].endswith(_BEFORE) or text[match.end() :].startswith(_BEHIND)
        for match in re.finditer(re.escape(value), text)
        if not any(text.startswith(word, match.start()) for word in longer)
    )


def _missed(values: Values, talk: Transcript) -> list[Violation]:
    """A device or an accessory that is named is always wanted, if not this one then another; so is an address."""
    named = {name: [word for text in talk.customer for word in mentioned(name, text)] for name in ("设备", "配件")}
    named["地点"] = [
        place
        for text in talk.customer
        for place in mentioned("地点", text)
        if re.search(rf"(?:送到?|寄到?|发到?|到){place}", text)
    ]
    return [
        Violation(rule="missed", detail=f"{name} is empty, the customer said {words[0]}")
        for name, words in named.items()
        if words and not values[name]
    ]


def _product(values: Values, talk: Transcript) -> list[Violation]:
    """The product fits, is in stock, and arrives in time; the shop has said so for that place."""
    product = catalogue.products().get(values["商品"])
    if product is None:
        return []
    faults = []
    if product not in catalogue.fitting(values["设备"], values["配件"]):
        faults.append(f"is no {values['配件']} for {values['设备']}")
    if catalogue.specification_of(values["规格"]) not in ("", product.specification):
        faults.append(f"has {product.specification}, not {values['规格']}")
    if not catalogue.warehouses(product):
        faults.append("is out of stock")
    if values["时间"] and not _arrives(product, values["地点"], values["时间"], talk):
        faults.append(f"does not arrive at {values['地点']} by {values['时间']}, or the shop did not say so")
    return [Violation(rule="product", detail=f"{product.name} {fault}") for fault in faults]


def _arrives(product: Product, place: str, time: str, talk: Transcript) -> bool:
    moment, end, city = catalogue.arrival(product, place), catalogue.deadline(time), catalogue.city_of(place)
    said = any(product.name in text and city in text for text in talk.shop)
    return bool(city) and said and moment is not None and end is not None and moment <= end


_RULES: Final[tuple[Rule, ...]] = (_copied, _shaped, _replaced, _missed, _product)
