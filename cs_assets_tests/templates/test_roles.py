"""Roles: a slot keeps what the seed says of its value."""

import pytest

from cs_assets.families.syntax import parse_template
from cs_assets.scenario import load_scenario, scenario_names
from cs_assets.templates.roles import given_up, role_change, superseded


def change(seed: str, variant: str) -> str:
    return role_change(parse_template(seed, "seed"), parse_template(variant, "variant"))


@pytest.mark.parametrize(
    ("seed", "variant", "found"),
    [
        ("电话不用{{旧电话}}了，改{{电话}}", "{{电话}}停机了，打{{旧电话}}", "旧电话"),
        ("{{旧电话}}停机了，打{{电话}}", "打{{旧电话}}，{{电话}}打不通", "旧电话"),
        ("打{{电话}}别打{{备用电话}}", "打{{备用电话}}别打{{电话}}", "备用电话"),
        ("{{旧上门时间}}我有事，换成{{上门时间}}行吗", "{{上门时间}}我有事，换成{{旧上门时间}}行吗", "旧上门时间"),
        ("{{名字.param.输出}}，{{电话}}", "姓名：{{电话}}，电话：{{名字.param.输出}}", "'姓名'"),
        ("{{电话}} {{详细地址}}", "打{{详细地址}}，寄到{{电话}}", "'打'"),
        ("{{订单号}}买的{{商品}}", "{{商品}}买的{{订单号}}", "changed places"),
        ("省：{{地址.param.省}} 市：{{地址.param.市}}", "省：{{地址.param.市}} 市：{{地址.param.省}}", "'省'"),
    ],
)
def test_a_changed_role_is_found(seed: str, variant: str, found: str) -> None:
    assert found in change(seed, variant)


@pytest.mark.parametrize(
    ("seed", "variant"),
    [
        ("电话不用{{旧电话}}了，改{{电话}}", "{{旧电话}}已经停机了，麻烦打{{电话}}"),
        ("旧的：{{旧地址}}，{{旧电话}}，这个别用了", "{{旧地址}}、{{旧电话}}都不用了"),
        ("{{城市}}{{日期}}有师傅吗", "{{日期}}{{城市}}有师傅吗"),
        ("{{地点}}这边{{时间}}能到吗", "{{时间}}{{地点}}这边能到吗"),
        ("{{工单号}}不用来了", "师傅别来了，{{工单号}}"),
        ("{{名字.param.输出}} {{电话}}", "姓名、电话：{{名字.param.输出}}，{{电话}}"),
        ("{{名字.param.输出}} {{电话}} {{详细地址}}", "地址：{{名字.param.输出}}，{{电话}}，{{详细地址}}"),
        ("订单{{订单号}}", "单号：{{订单号}}"),
    ],
)
def test_other_words_and_another_order_change_none(seed: str, variant: str) -> None:
    assert change(seed, variant) == ""


@pytest.mark.parametrize(
    ("text", "slots"),
    [
        ("是{{地点}}不是{{旧.地点}}", {"旧.地点"}),
        ("我要的是{{配件}}，不是{{旧.配件}}", {"旧.配件"}),
        ("旧的：{{旧地址}}，{{旧电话}}，这个别用了\n新的：{{详细地址}}，{{电话}}", {"旧地址", "旧电话"}),
        ("{{时间}}能不能到{{地点}}", set()),
        ("{{商品}}是不是降价了", set()),
        ("打错了，{{时间}}", set()),
        ("收件人照旧{{名字.param.输出}}", set()),
        ("{{电话}}不是我的号", {"电话"}),
    ],
)
def test_what_is_given_up(text: str, slots: set[str]) -> None:
    assert given_up(parse_template(text, "t")) == slots


def test_only_what_has_a_rival_is_superseded() -> None:
    assert superseded(parse_template("{{工单号}}不用来了", "t")) == set()
    assert superseded(parse_template("不是{{旧电话}}，是{{电话}}", "t")) == {"旧电话"}


def test_no_committed_seed_changes_a_role_against_itself() -> None:
    for seed in (seed for name in scenario_names() for seed in load_scenario(name).seeds().values()):
        assert role_change(seed, seed) == ""
