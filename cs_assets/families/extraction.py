"""Extraction: a customer's message in, one JSON object out, every value copied from the message.

Here belong the rules of copying: what is true, what breaks a rule, how an answer goes wrong, how one is scored. The
fields are not named here; they are the keys of the scenario's `bot.j2`, and so are the slots that fill them.

Example (`address_extraction`):

    张三，13800138000，广东省深圳市南山区高新技术园区创新大厦，518057
    {"姓名": "张三", "电话": "13800138000", "邮编": "518057", "省": "广东省", "市": "深圳市", "县": "南山区",
     "详细地址": "高新技术园区创新大厦"}
"""

import functools
import json
import random
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from cs_assets.families.base import Corrupter, Rendered, Sample, Scene, Score, SingleMessageFamily, Turn, Violation
from cs_assets.families.definition import Definition
from cs_assets.families.json_answers import dump_answer, read_strict, score_values, without_spaces
from cs_assets.families.json_corruptions import (
    Values,
    blanked,
    changed_character,
    cut,
    fenced,
    filled,
    invented,
    missing_key,
    moved,
    of_values,
    prose_before,
    swapped,
)
from cs_assets.families.syntax import Segment, SentenceTemplate, TemplateError
from cs_assets.families.yaml_files import refuse_options

# White space as `\s` of `re` has it; that of Polars lacks the separators.
_COLUMN_SPACE = r"[\s\x1c-\x1f]+"
# What counts as a digit of a phone: masked ones (138****1234, 138xxxx1234) and numerals (一三八) too.
_PHONE_DIGITS: Final = r"\d*xX×〇零Oo幺一二三四五六七八九"
_MOBILE = re.compile(r"(?<!\d)1[3-9]\d{9}(?!\d)")


class ExtractionFamily(SingleMessageFamily):
    """The verbs of `base.Family` for one answer template.

    Raises:
        TemplateError: the answer template does not render to a JSON object of strings.
    """

    def __init__(self, definition: Definition) -> None:
        refuse_options(definition)
        self._answer_template = definition.answer_template()
        self._slots = definition.slots
        self.corruptions = CORRUPTIONS
        try:
            self.fields: tuple[str, ...] = tuple(self._answer(dict.fromkeys(self._slots, "")))
        except ValueError as error:
            raise TemplateError(
                f"{self._answer_template.source}: does not render to a JSON object ({error}). Write each value as "
                '"姓名": {{名字.param.输出 | tojson}}.'
            ) from error

    def _answer(self, values: Mapping[str, str]) -> dict[str, str]:
        parsed = json.loads(self._answer_template.fill(_nested(values)))
        if not isinstance(parsed, dict) or not all(isinstance(value, str) for value in parsed.values()):
            raise ValueError("it must be an object whose values are strings")
        return {key: without_spaces(value) for key, value in parsed.items()}

    def render(self, template: SentenceTemplate, atoms: Mapping[str, Any], scene: Scene) -> Rendered:
        segments = template.render(atoms)
        return Rendered(turns=[Turn(segments=segments)], answer=self.copied_answer(segments))

    def copied_answer(self, segments: Sequence[Segment]) -> str:
        return dump_answer(self._answer(dict.fromkeys(self._slots, "") | {s.slot: s.text for s in segments if s.slot}))

    @functools.cached_property
    def field_sources(self) -> dict[str, tuple[str, ...]] | None:
        """Return, for each field, the slots of which the first with a value fills it.

        Found by filling every slot with a mark and taking away, one after the other, those that show. None where a
        field is more than the value of one slot.
        """
        marks = {slot: f"\ue003{number}\ue003" for number, slot in enumerate(sorted(self._slots))}
        slot_of = {mark: slot for slot, mark in marks.items()}
        sources: dict[str, list[str]] = {field: [] for field in self.fields}
        for field, found in sources.items():
            left = dict(marks)
            while value := self._answer(left)[field]:
                if value not in slot_of:
                    return None
                found.append(slot_of[value])
                left[slot_of[value]] = ""
        return {field: tuple(found) for field, found in sources.items()}

    def answer_columns(self, slots: pl.DataFrame) -> pl.DataFrame | None:
        """Return the answers to many messages: a column for each field, and `answer`.

        Args:
            slots: a column for each slot, empty where the message does not show it.

        Returns:
            None where the answer template is richer than one slot a field.
        """
        if self.field_sources is None:
            return None
        fields = {}
        for field, sources in self.field_sources.items():
            value = pl.lit("")
            for slot in reversed([source for source in sources if source in slots.columns]):
                value = pl.when(pl.col(slot) != "").then(pl.col(slot)).otherwise(value)
            fields[field] = value.str.replace_all(_COLUMN_SPACE, "")
        # The canonical spelling of a mark shows what stands between the values.
        written = dump_answer(dict.fromkeys(fields, "\ue003")).split("\ue003")
        parts = [part for text, field in zip(written, fields, strict=False) for part in (pl.lit(text), pl.col(field))]
        # `with_columns` first, because a field without a column of its own is one value, not one for each row.
        return (
            slots.with_columns(**fields)
            .select(*fields)
            .with_columns(answer=pl.concat_str([*parts, pl.lit(written[-1])]))
        )

    def verify_columns(self, messages: pl.Series, answers: pl.DataFrame) -> pl.Series:
        """Return of each sample of `answer_columns` whether it is good as it is: `verify` would find nothing.

        Where a value would need an escape, it is not: the values stand in the answer as they are.
        """
        table = answers.with_columns(message=messages, source=messages.str.replace_all(_COLUMN_SPACE, ""))
        copied = [pl.col("source").str.contains(pl.col(field), literal=True) for field in self.fields]
        good = pl.all_horizontal(copied) & ~pl.concat_str(self.fields).str.contains(r'["\\\x00-\x1f]')
        good = good & pl.any_horizontal(pl.col(field) != "" for field in self.fields)
        if "电话" in self.fields:
            digits = pl.col("电话").str.count_matches(f"[{_PHONE_DIGITS}]")
            missed = pl.col("message").str.contains(r"(?:^|\D)1[3-9]\d{9}(?:\D|$)")
            good = good & pl.when(pl.col("电话") == "").then(~missed).otherwise(digits >= 7)
        if "邮编" in self.fields:
            good = good & pl.col("邮编").str.contains(r"^(?:\d{3}(?:\d{3})?)?$")
        return table.select(good).to_series()

    def verify(self, sample: Sample) -> list[Violation]:
        values = read_strict(sample.answer, self.fields)
        if values is None:
            return [Violation(rule="strict_json", detail=f"not a JSON object with the keys {', '.join(self.fields)}")]
        source = without_spaces(sample.message)
        found = [
            Violation(rule="copied", detail=f"{key}: {value!r} does not stand in the message")
            for key, value in values.items()
            if value not in source
        ]
        found += [
            Violation(rule="no_space", detail=f"{key}: {value!r} holds white space")
            for key, value in values.items()
            if value != without_spaces(value)
        ]
        if not any(values.values()):
            found.append(Violation(rule="empty", detail="no field has a value"))
        found += [rule for check in (_phone_rule, _postcode_rule) for rule in check(sample.message, values)]
        return found

    def score(self, prediction: str, answer: str) -> Score:
        return score_values(prediction, answer, self.fields)


def _nested(values: Mapping[str, str]) -> dict[str, Any]:
    """Turn dotted slots into the nested mappings that a template reads."""
    tree: dict[str, Any] = {}
    for slot, value in values.items():
        *parents, leaf = slot.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
    return tree


def _phone_rule(message: str, values: Mapping[str, str]) -> list[Violation]:
    phone = values.get("电话")
    if phone is None:
        return []
    if phone and len(re.findall(f"[{_PHONE_DIGITS}]", phone)) < 7:
        return [Violation(rule="phone", detail=f"电话: {phone!r} has fewer than 7 digits")]
    if not phone and _MOBILE.search(message):
        return [Violation(rule="phone_missed", detail=f"电话 is empty, the message has {_MOBILE.search(message)[0]}")]  # type: ignore[index]
    return []


def _postcode_rule(message: str, values: Mapping[str, str]) -> list[Violation]:
    postcode = values.get("邮编")
    if postcode and not re.fullmatch(r"\d{3}(?:\d{3})?", postcode):
        return [Violation(rule="postcode", detail=f"邮编: {postcode!r} is neither six digits nor Taiwan's three")]
    return []


# --- Corruptions of the fields of an address.


def _neighbour_swallowed(sample: Sample, rng: random.Random) -> str | None:
    """Extend a value over what stands next to it in the message, as a model does that misses a boundary."""
    source, values = without_spaces(sample.message), json.loads(sample.answer)
    keys = [key for key in filled(values) if source.find(values[key]) + len(values[key]) + 2 <= len(source)]
    if not keys:
        return None
    key = rng.choice(keys)
    end = source.find(values[key]) + len(values[key])
    return dump_answer(values | {key: values[key] + source[end : end + rng.randint(2, 5)]})


_INVENTIONS: Final = {
    "姓名": ("张三", "李女士", "王伟", "收件人"),
    "电话": ("13800138000", "13912345678", "400-800-8888"),
    "邮编": ("518057", "100000", "200030", "610000"),
    "省": ("广东省", "北京市", "浙江省", "江苏省", "四川省"),
    "市": ("深圳市", "杭州市", "成都市", "市辖区"),
    "县": ("南山区", "朝阳区", "西湖区", "城关区"),
}


def _completed_region(values: Values, rng: random.Random) -> Values | None:
    """Correct a region's short name to its full one: helpful, and against the rule that values are copied."""
    suffix = {"省": "省", "市": "市", "县": "区"}
    keys = [k for k in suffix if values.get(k) and values[k][-1] not in "省市县区州盟旗"]
    if not keys:
        return None
    key = rng.choice(keys)
    return values | {key: values[key] + suffix[key]}


def _shifted_region(values: Values, rng: random.Random) -> Values | None:
    if not values.get("县") or not values.get("市"):
        return None
    return values | {"省": values["市"], "市": values["县"], "县": ""}


def _region_kept_in_detail(values: Values, rng: random.Random) -> Values | None:
    if not values.get("详细地址") or not values.get("县"):
        return None
    return values | {"详细地址": values["县"] + values["详细地址"], "县": ""}


_OPENINGS: Final = ("好的，解析结果如下：\n", "根据您提供的信息：", "解析结果：")
CORRUPTIONS: Final[dict[str, dict[str, Corrupter]]] = {
    "omission": {"blank_field": of_values(blanked), "cut_value": of_values(cut)},
    "boundary": {
        "neighbour_swallowed": _neighbour_swallowed,
        "region_kept_in_detail": of_values(_region_kept_in_detail),
    },
    "invention": {
        "invented_field": of_values(functools.partial(invented, inventions=_INVENTIONS)),
        "completed_region": of_values(_completed_region),
        "changed_character": of_values(functools.partial(changed_character, letters="明华丽东新园大中海天")),
    },
    "exchange": {
        "swapped_fields": of_values(swapped),
        "moved_value": of_values(moved),
        "shifted_region": of_values(_shifted_region),
    },
    "format": {
        "fenced": of_values(fenced),
        "missing_key": of_values(missing_key),
        "prose_around": of_values(prose_before(_OPENINGS)),
    },
}
