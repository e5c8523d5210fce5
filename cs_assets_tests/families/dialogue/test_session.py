"""Composing a session: what the customer can say, also where it was said before of something else."""

import random

from cs_assets.atoms.shop_visit import shop_visit_atoms
from cs_assets.families.base import Scene
from cs_assets.families.dialogue.session import Session
from cs_assets.families.syntax import SentenceTemplate, parse_template
from cs_assets_tests.families.conftest import committed

QUERY = committed("delivery_time_product_query")


def template(unit: str, text: str) -> SentenceTemplate:
    return parse_template(text, f"{unit}/01.j2", QUERY.slots, unit)


def test_another_accessory_may_be_wanted_in_the_measure_that_was_named_of_the_first() -> None:
    visit = shop_visit_atoms(1, seed=5).row(0, named=True)
    visit |= {"配件": "机械硬盘", "规格": "1T"}
    visit["旧"] |= {"配件": "固态"}
    visit["_other_accessory"] |= {"规格": "1T"}
    session = Session({}, {}, visit, Scene(rng=random.Random(1), pick=lambda unit: template(unit, unit)))
    session.customer(template("ask_product", "{{设备}}要{{规格}}的{{配件}}"))
    session.customer(template("switch_item", "{{旧.配件}}不买了，换成{{配件}}，{{规格}}的有没有"))
    assert "".join(segment.text for segment in session.turns[-1].segments) == "机械硬盘不买了，换成固态，1T的有没有"
