"""How an object of texts goes wrong, whatever its fields: what the families have in common that answer with one.

Here belong changes of true values, as pure functions; each takes them and a generator, and returns wrong ones, or None
where it does not apply. Which of them a scenario has, under which names, and what only it has, is its family's.

    blanked({"姓名": "张三", "电话": ""}, rng)        # {"姓名": "", "电话": ""}
    of_values(swapped)(sample, rng)                  # the answer with two values exchanged
"""

import json
import random
from collections.abc import Callable, Mapping, Sequence

from cs_assets.families.base import Corrupter, Sample
from cs_assets.families.json_answers import dump_answer

Values = dict[str, str]
# Returns the wrong values, or a whole wrong answer.
ValueCorrupter = Callable[[Values, random.Random], Values | str | None]


def of_values(make: ValueCorrupter) -> Corrupter:
    """Return the corrupter of samples that `make`, a corrupter of values, stands for."""

    def corrupt(sample: Sample, rng: random.Random) -> str | None:
        return written(make(json.loads(sample.answer), rng))

    return corrupt


def written(wrong: Values | str | None) -> str | None:
    """Return the answer that a corrupter of values makes."""
    return dump_answer(wrong) if isinstance(wrong, dict) else wrong


def filled(values: Values) -> list[str]:
    """Return the fields that have a value."""
    return [name for name, value in values.items() if value]


def blanked(values: Values, rng: random.Random, among: Sequence[str] | None = None) -> Values | None:
    """Leave a field out: one of those `among`, or of all that have a value."""
    names = filled(values) if among is None else among
    return values | {rng.choice(names): ""} if names else None


def cut(
    values: Values, rng: random.Random, among: Sequence[str] | None = None, parts: int = 3, end: str = ""
) -> Values | None:
    """Cut the end off a value of four characters or more.

    Args:
        values: the true values.
        rng: chooses the value and how much goes.
        among: the fields that may be cut, all if None.
        parts: at most one of so many equal parts goes.
        end: characters that go, too, where they would then end the value.
    """
    long = [name for name in (values if among is None else among) if len(values[name]) >= 4]
    if not long:
        return None
    name = rng.choice(long)
    return values | {name: values[name][: -rng.randint(1, len(values[name]) // parts)].rstrip(end)}


def changed_character(values: Values, rng: random.Random, letters: str) -> Values | None:
    """Change one character: a digit to another digit, anything else to one of `letters`."""
    if not filled(values):
        return None
    name = rng.choice(filled(values))
    value = values[name]
    at = rng.randrange(len(value))
    pool = "0123456789" if value[at].isdigit() else letters
    return values | {name: value[:at] + rng.choice([c for c in pool if c != value[at]]) + value[at + 1 :]}


def swapped(values: Values, rng: random.Random, among: Sequence[str] | None = None) -> Values | None:
    """Exchange two values, of the fields `among`, or of all that have one."""
    names = filled(values) if among is None else among
    if len(names) < 2:
        return None
    first, second = rng.sample(names, 2)
    return values | {first: values[second], second: values[first]}


def moved(values: Values, rng: random.Random) -> Values | None:
    """Put a value into a field that has none."""
    empty = [name for name, value in values.items() if not value]
    if not empty or not filled(values):
        return None
    source = rng.choice(filled(values))
    return values | {rng.choice(empty): values[source], source: ""}


def invented(values: Values, rng: random.Random, inventions: Mapping[str, Sequence[str]]) -> Values | None:
    """Fill a field about which nothing was said with one of its inventions."""
    empty = [name for name in inventions if not values.get(name, "-")]
    if not empty:
        return None
    name = rng.choice(empty)
    return values | {name: rng.choice(inventions[name])}


def missing_key(values: Values, rng: random.Random) -> Values:
    """Leave a key out, which a program that reads the answer looks for."""
    dropped = rng.choice(list(values))
    return {name: value for name, value in values.items() if name != dropped}


def fenced(values: Values, rng: random.Random) -> str:
    """Write the right values as a block of code."""
    return f"```json\n{json.dumps(values, ensure_ascii=False, indent=2)}\n```"


def prose_before(openings: Sequence[str]) -> ValueCorrupter:
    """Return the corrupter that says something before the right answer."""
    return lambda values, rng: rng.choice(openings) + dump_answer(values)
