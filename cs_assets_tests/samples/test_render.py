"""Rendering: folds of the wanted size that share nothing they must not share, with the truth in every sample."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cs_assets.families.base import Rendered, Sample, Turn
from cs_assets.families.definition import ScenarioError
from cs_assets.families.syntax import Segment, SentenceTemplate, parse_template
from cs_assets.samples.folds import FOLDS, HELD_OUT_BLOCKS
from cs_assets.samples.noise import SPELLINGS, TEST_NOISE, TRAINING_NOISE
from cs_assets.samples.render import SCHEMA, _with_noise, render_samples
from cs_assets.scenario import Scenario, load_scenario
from cs_assets.templates.variants import template_variants
from cs_assets_tests.conftest import rendered_alone


def changed(
    scenario: Scenario, folder: Path | None = None, counts: dict[str, int] | None = None, **spec: Any
) -> Scenario:
    sizes = {profile: size.model_copy(update=counts or {}) for profile, size in scenario.spec.counts.items()}
    return Scenario(folder or scenario.folder, scenario.spec.model_copy(update={"counts": sizes, **spec}))


def of(samples: pl.DataFrame, *folds: str) -> pl.DataFrame:
    return samples.filter(pl.col("fold").is_in(folds))


def plain_messages(scenario: Scenario, samples: pl.DataFrame, variants: pl.DataFrame, atoms: pl.DataFrame) -> list[str]:
    """Render each sample's template with its atoms again, without noise."""
    texts = dict(variants.select("template_id", "text").iter_rows())
    rows = {
        row["atom_id"]: row for row in atoms.filter(pl.col("atom_id").is_in(samples["atom_id"].implode())).to_dicts()
    }
    return [
        rendered_alone(scenario, parse_template(texts[template], template), rows[atom]).message
        for template, atom in samples.select("template_id", "atom_id").iter_rows()
    ]


def test_every_fold_has_the_wanted_size(scenario: Scenario, rendered: pl.DataFrame) -> None:
    assert dict(rendered.schema) == SCHEMA
    sizes = dict(rendered.group_by("fold").len().iter_rows())
    assert sizes == {fold: getattr(scenario.counts, fold) for fold in FOLDS}
    assert rendered["sample_id"].is_unique().all()


def test_no_sample_breaks_a_rule(scenario: Scenario, rendered: pl.DataFrame) -> None:
    broken = [row for row in rendered.to_dicts() if scenario.family.verify(Sample.model_validate(row))]
    assert broken == []


def test_the_answer_is_that_of_the_atoms(scenario: Scenario, rendered: pl.DataFrame, atoms: pl.DataFrame) -> None:
    for row in rendered.iter_rows(named=True):
        atom = atoms.row(row["atom_id"], named=True)
        spelling = SPELLINGS.get("".join(row["tags"]), str)
        truth = {"姓名": atom["名字"]["param"]["输出"], "电话": atom["电话"], **atom["地址"]["param"]}
        answer = json.loads(row["answer"])
        assert all(answer[key] in ("", spelling(text.replace(" ", ""))) for key, text in truth.items())


def test_the_conversation_ends_with_the_answer(scenario: Scenario, rendered: pl.DataFrame) -> None:
    row = rendered.row(0, named=True)
    assert row["messages"] == [*scenario.prompt(row["message"]), {"role": "assistant", "content": row["answer"]}]


def test_each_atom_serves_one_sample(rendered: pl.DataFrame) -> None:
    assert rendered["atom_id"].is_unique().all()


def test_held_out_template_families_occur_in_their_test_only(rendered: pl.DataFrame) -> None:
    held_out = set(of(rendered, "test_template_ood")["template_family"])
    rest = set(rendered.filter(pl.col("fold") != "test_template_ood")["template_family"])
    assert held_out
    assert not held_out & rest


def test_held_out_blocks_occur_in_their_test_only(rendered: pl.DataFrame) -> None:
    assert set(of(rendered, "test_entity_ood")["entity_block"]) == set(HELD_OUT_BLOCKS)
    assert not set(rendered.filter(pl.col("fold") != "test_entity_ood")["entity_block"]) & HELD_OUT_BLOCKS


def test_training_never_sees_the_noise_of_the_test(rendered: pl.DataFrame) -> None:
    tags = {fold: set(of(rendered, fold).explode("tags")["tags"].drop_nulls()) for fold in FOLDS}
    assert tags["test_noise"] <= set(TEST_NOISE)
    assert all(tags[fold] <= set(TRAINING_NOISE) for fold in FOLDS if fold != "test_noise")


@pytest.mark.parametrize(("share", "low", "high"), [(0.0, 0.0, 0.0), (1.0, 0.9, 1.0)])
def test_the_share_of_noise_is_the_wanted_one(
    scenario: Scenario, variants: pl.DataFrame, atoms: pl.DataFrame, share: float, low: float, high: float
) -> None:
    samples = render_samples(changed(scenario, noise_share=share), variants, atoms)
    tagged = samples.filter(pl.col("fold") != "test_noise")["tags"].list.len().mean()
    assert isinstance(tagged, float)
    assert low <= tagged <= high


def test_a_sample_without_tag_is_the_plain_sentence(
    scenario: Scenario, rendered: pl.DataFrame, variants: pl.DataFrame, atoms: pl.DataFrame
) -> None:
    untouched = rendered.filter(pl.col("tags").list.len() == 0)
    assert untouched["message"].to_list() == plain_messages(scenario, untouched, variants, atoms)


def test_a_sample_with_a_tag_is_not_the_plain_sentence(
    scenario: Scenario, variants: pl.DataFrame, atoms: pl.DataFrame
) -> None:
    noisy = render_samples(changed(scenario, counts={"test_noise": 60}), variants, atoms)
    noisy = noisy.filter(pl.col("tags").list.len() > 0)
    plain = plain_messages(scenario, noisy, variants, atoms)
    assert [m for m, p in zip(noisy["message"], plain, strict=True) if m == p] == []


def test_the_same_seed_gives_identical_frames_and_another_does_not(
    scenario: Scenario, variants: pl.DataFrame, atoms: pl.DataFrame, rendered: pl.DataFrame
) -> None:
    assert render_samples(scenario, variants, atoms).equals(rendered)
    assert not render_samples(changed(scenario, seed=5), variants, atoms).equals(rendered)


def test_rejected_variants_are_passed_over(scenario: Scenario, variants: pl.DataFrame, atoms: pl.DataFrame) -> None:
    marked = variants.with_columns(accepted=pl.col("origin") == "seed")
    samples = render_samples(scenario, marked, atoms)
    assert set(samples["template_origin"]) == {"seed"}


def test_every_family_gets_its_turn(scenario: Scenario, variants: pl.DataFrame, atoms: pl.DataFrame) -> None:
    samples = of(render_samples(changed(scenario, counts={"train": 90}), variants, atoms), "train")
    sizes = samples.group_by("template_family").len()["len"]
    assert sizes.max() - sizes.min() <= 1  # type: ignore[operator]


def test_too_few_atoms_are_answered_with_the_folds_and_what_to_do(
    scenario: Scenario, variants: pl.DataFrame, atoms: pl.DataFrame
) -> None:
    said = r"^18 atoms for the 48 samples of train, validation, .*test_noise: raise `rows` of atomic_table"
    with pytest.raises(ValueError, match=said):
        render_samples(scenario, variants, atoms.filter(pl.col("entity_block") == 1).head(18))


def test_one_family_is_answered_with_what_to_do(
    scenario: Scenario, variants: pl.DataFrame, atoms: pl.DataFrame
) -> None:
    with pytest.raises(ValueError, match="at least two are needed"):
        render_samples(scenario, variants.head(1), atoms)


def test_a_fold_that_nothing_can_begin_is_answered_with_the_units_and_what_to_do(
    scenario: Scenario, variants: pl.DataFrame, atoms: pl.DataFrame
) -> None:
    with pytest.raises(ValueError, match=r"train: no accepted template may .* there are units none\. Write"):
        render_samples(scenario, variants.with_columns(accepted=pl.lit(False)), atoms)
    sessions = changed(load_scenario("delivery_time_product_query"), counts=scenario.counts.model_dump())
    corrections = variants.with_columns(unit=pl.lit("correct_time"))
    with pytest.raises(ValueError, match=r"train: no accepted .* there are units correct_time\. Write .*human"):
        render_samples(sessions, corrections, atoms)


def test_a_template_that_no_atoms_suit_is_named(
    scenario: Scenario, variants: pl.DataFrame, atoms: pl.DataFrame
) -> None:
    glued = variants.with_columns(text=pl.lit("{{邮编}}{{邮编}}"))
    with pytest.raises(ValueError, match=r"^\d\d_\w+-\d\d: none of \d+ atoms gives a sample.*mend the template"):
        render_samples(scenario, glued, atoms)


def test_a_changed_template_changes_its_own_samples_only(
    scenario: Scenario, atoms: pl.DataFrame, rendered: pl.DataFrame, tmp_path: Path
) -> None:
    folder = tmp_path / "edited"
    shutil.copytree(scenario.folder, folder)
    path = folder / "templates" / "human" / "42_chat_short_lines.j2"
    path.write_text(path.read_text(encoding="utf-8").replace("在吗", "在不在呀"), encoding="utf-8")
    edited = changed(scenario, folder)
    again = render_samples(edited, template_variants(edited, atoms.head(3).to_dicts()), atoms)
    others = pl.col("template_id").str.starts_with("42_").not_()
    columns = ["sample_id", "message", "answer"]
    assert again.filter(others).select(columns).equals(rendered.filter(others).select(columns))


def test_excluded_noises_do_not_occur(scenario: Scenario, variants: pl.DataFrame, atoms: pl.DataFrame) -> None:
    for excluded in (["emoji", "angry"], {"": ["emoji", "angry"]}):
        spared = changed(scenario, counts={"test_noise": 40}, noise_share=1.0, noise_excluded=excluded)
        tags = set(render_samples(spared, variants, atoms)["tags"].explode().drop_nulls())
        assert {"polite", "filler", "full_width"} <= tags
        assert not tags & {"emoji", "angry"}


@pytest.mark.parametrize(
    ("excluded", "said"),
    [
        (["emojis"], r"scenario\.yaml: key 'noise_excluded': found emojis; allowed are angry, .*voice_to_text"),
        ({"": ["shouted"]}, "found shouted"),
        ({"returns": ["angry"]}, "key 'noise_excluded': found returns; allowed are"),
    ],
)
def test_an_unknown_noise_or_unit_is_answered_with_file_and_key(
    scenario: Scenario, variants: pl.DataFrame, atoms: pl.DataFrame, excluded: Any, said: str
) -> None:
    with pytest.raises(ScenarioError, match=said):
        render_samples(changed(scenario, noise_excluded=excluded), variants, atoms)


def test_a_noise_that_breaks_a_rule_is_not_taken(
    scenario: Scenario, seeds: list[SentenceTemplate], atoms: pl.DataFrame
) -> None:
    rendered = rendered_alone(scenario, seeds[0], atoms.row(0, named=True))
    broken = {"broken": lambda segments, rng: [*segments, Segment(text="，12", slot="邮编")]}
    assert _with_noise(scenario.family, rendered, broken, random.Random(1)) == (rendered, "")


def test_a_later_turn_gets_no_opener() -> None:
    def turn(speaker: str, text: str) -> Turn:
        return Turn(segments=[Segment(text=text)], speaker=speaker)

    answer = '{"intent": "改地址"}'
    family = load_scenario("intent_routing").family
    session = Rendered(turns=[turn("客户", "要2米的线"), turn("客服", "好"), turn("客户", "送到北京")], answer=answer)
    noisy = [_with_noise(family, session, TRAINING_NOISE, random.Random(seed)) for seed in range(60)]
    changed_turns = {(i, tag) for rendered, tag in noisy for i in (0, 2) if rendered.turns[i] != session.turns[i]}
    assert (0, "filler") in changed_turns
    assert (2, "filler") not in changed_turns
    assert any(i == 2 for i, _ in changed_turns)
