"""Damage: what it does to a message, whether rules can see it, and that nothing else is touched."""

import random

import polars as pl
import pytest

from benchmarks.damage import DAMAGED_FOLDS, DAMAGES, SHARE, Damage, with_damage
from cs_assets.families.base import CopyingFamily, Sample
from cs_assets.families.syntax import parse_template
from cs_assets.samples.render import render_samples
from cs_assets.scenario import Scenario, load_scenario

OWN = {"名字": {"param": {"输出": "张三"}}, "电话": "13800138000", "旧电话": "13911112222", "邮编": "518057"}
EXAMPLE = {"名字": {"param": {"输出": "李雷"}}, "电话": "13655556666", "旧电话": "13455556666", "邮编": "100000"}


@pytest.fixture(scope="module")
def quiet(scenario: Scenario) -> Scenario:
    """The small scenario without noise."""
    return Scenario(scenario.folder, scenario.spec.model_copy(update={"noise_share": 0.0}))


@pytest.fixture(scope="module")
def accepted(variants: pl.DataFrame) -> pl.DataFrame:
    return variants.filter("accepted")


@pytest.mark.parametrize(
    ("kind", "text", "messages", "rule"),
    [
        ("lost", "收件人{{名字.param.输出}}", {""}, "copied"),
        ("lost", "{{名字.param.输出}}，电话{{电话}}", {"，电话13800138000", "张三"}, "copied"),
        ("example_kept", "收件人{{名字.param.输出}}，谢谢", {"收件人李雷，谢谢"}, "copied"),
        ("continued", "收件人{{名字.param.输出}}，谢谢", {"收件人张三先生，谢谢", "收件人张三女士，谢谢"}, ""),
        ("continued", "打{{电话}}", {"打13800138000转801", "打13800138000转2206"}, ""),
        ("added", "{{名字.param.输出}}{{电话}}", {"张三13800138000，邮编518057"}, ""),
        ("roles_exchanged", "打{{电话}}，别打{{旧电话}}", {"打13911112222，别打13800138000"}, ""),
    ],
)
def test_a_kind_of_damage(quiet: Scenario, kind: str, text: str, messages: set[str], rule: str) -> None:
    assert isinstance(quiet.family, CopyingFamily)
    segments = parse_template(text, "test").render(OWN)
    answer = quiet.family.copied_answer(segments)
    found = set()
    for seed in range(20):
        damaged = DAMAGES[kind](segments, OWN, EXAMPLE, random.Random(seed))
        assert damaged is not None
        assert quiet.family.copied_answer(damaged) != answer
        sample = Sample(message="".join(segment.text for segment in damaged), answer=answer)
        assert {violation.rule for violation in quiet.family.verify(sample)} == ({rule} if rule else set())
        found.add(sample.message)
    assert found == messages


@pytest.mark.parametrize("name", ["lost", "example_kept", "continued", "roles_exchanged"])
def test_a_template_without_the_slots_cannot_be_damaged(name: str) -> None:
    damage: Damage = DAMAGES[name]
    assert damage(parse_template("在吗", "test").render({}), {}, {}, random.Random(1)) is None


def test_a_fifth_of_the_variants_is_damaged_and_the_tests_stay_as_they_are(
    quiet: Scenario, accepted: pl.DataFrame, atoms: pl.DataFrame
) -> None:
    rendered = render_samples(quiet.with_counts(train=120), accepted, atoms)
    found, kinds, damaged = with_damage(quiet, accepted, rendered, atoms)
    assert len(damaged) == round(SHARE * accepted.height)
    assert set(kinds.values()) >= {"lost", "example_kept", "continued", "added"}
    for before, after in zip(rendered.iter_rows(named=True), found.iter_rows(named=True), strict=True):
        assert after["answer"] == before["answer"]
        if after["sample_id"] not in kinds:
            assert after == before
            continue
        assert after["template_id"] in damaged
        assert after["fold"] in DAMAGED_FOLDS
        assert after["message"] != before["message"]
        assert after["messages"] == quiet.conversation(Sample.model_validate(after))
    train = found.filter(pl.col("template_id").is_in(list(damaged)) & (pl.col("fold") == "train"))
    assert train["sample_id"].is_in(list(kinds)).mean() > 0.6  # type: ignore[operator]
    again, same, _ = with_damage(quiet, accepted, rendered, atoms)
    assert again.equals(found)
    assert same == kinds


def test_other_atoms_are_refused(variants: pl.DataFrame, rendered: pl.DataFrame, atoms: pl.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"repair_workflow: found atoms 'repairs'"):
        with_damage(load_scenario("repair_workflow"), variants, rendered, atoms)
