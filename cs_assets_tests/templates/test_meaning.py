"""Meaning: what a variant refuses, asks for or tells must be in its seed."""

import pytest

from cs_assets.families.syntax import parse_template
from cs_assets.scenario import load_scenario, scenario_names
from cs_assets.templates.meaning import turned_round


def found(seed: str, variant: str) -> str:
    return turned_round(parse_template(seed, "seed"), parse_template(variant, "variant"))


@pytest.mark.parametrize(
    ("seed", "variant", "reason"),
    [
        ("寄到{{详细地址}}", "别寄了，{{详细地址}}", "'别寄' refuses"),
        ("{{电话}}", "{{电话}}打不通", "电话 is given up"),
        ("电话{{电话}}", "电话不是这个，{{电话}}", "turns the sentence round"),
        ("{{商品}}还没收到", "{{商品}}已经收到了", "tells as done"),
        ("{{订单号}}到哪了", "{{订单号}}退款吧", "'退' is nothing that the seed asks for"),
        ("{{订单号}}别发了", "{{订单号}}快发货", "is wanted, the seed says"),
        ("{{商品}}{{时间}}能到吗", "{{商品}}{{时间}}肯定能到", "states what the seed asks"),
        ("{{商品}}急用", "{{商品}}不急，慢慢发", "says the opposite"),
        ("刚拍的{{商品}}取消吧", "刚拍的{{商品}}别取消", "refuses"),
    ],
)
def test_a_sentence_turned_round_is_found(seed: str, variant: str, reason: str) -> None:
    assert reason in found(seed, variant)


@pytest.mark.parametrize(
    ("seed", "variant"),
    [
        ("寄到{{详细地址}}", "麻烦寄到{{详细地址}}，别寄错了，不着急"),
        ("{{订单号}}怎么还没发货", "{{订单号}}什么时候能发"),
        ("{{订单号}}别发了，我不要了", "{{订单号}}取消吧"),
        ("{{商品}}能退吗", "{{商品}}能不能退"),
        ("不是{{旧电话}}，是{{电话}}", "别打{{旧电话}}了，打{{电话}}"),
        ("地址不用动，电话改{{电话}}", "地址不变，电话换成{{电话}}"),
    ],
)
def test_a_paraphrase_is_not(seed: str, variant: str) -> None:
    assert found(seed, variant) == ""


def test_no_committed_seed_turns_itself_round() -> None:
    for seed in (seed for name in scenario_names() for seed in load_scenario(name).seeds().values()):
        assert turned_round(seed, seed) == ""
