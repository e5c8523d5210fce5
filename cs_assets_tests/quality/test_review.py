"""What a person reads and decides: nearest first, and no verdict is ever lost."""

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from upath import UPath

from cs_assets.quality.filtering import DECIDED
from cs_assets.quality.judging import judge_prompt, task_to_learn, verdicts_to_learn
from cs_assets.quality.labelling import SCHEMA
from cs_assets.quality.review import ReviewLine, decisions, near_threshold, read_review, reviewed_cases, write_review
from cs_assets.scenario import Scenario

NOBODY = decisions([])
SCORES = [0.1, 0.49, 0.8, None, 0.52]


def filtered(scores: list[float | None]) -> pl.DataFrame:
    rows = [
        {
            "sample_id": f"train-{n}",
            "message": f"地址{n}",
            "tools": "",
            "answer": "{}",
            "score": score,
            "kept": n != 1,
            "fold": "train",
        }
        for n, score in enumerate(scores)
    ]
    return pl.DataFrame(rows, schema_overrides={"score": pl.Float64})


def decided(path: UPath, verdicts: dict[str, str]) -> None:
    """Put verdicts into the file as a person does, with an empty line at the end."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    texts = [json.dumps(row | {"verdict": verdicts.get(row["sample_id"], "")}, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(texts) + "\n\n", encoding="utf-8")


@pytest.mark.parametrize(
    "bad",
    [
        "[" * 100_000,
        f'{{"sample_id": "{"}" * 60_000}", "message": {"[" * 60_000}{"]" * 60_000}}}',
        "x" * 50_000_000,
        '{"sample_id": "\\ud83d"}',
    ],
    ids=len,
)
def test_a_hostile_line_is_a_broken_line_and_no_verdict_is_lost(tmp_path: Path, bad: str) -> None:
    path = UPath(tmp_path / "review.jsonl")
    good = ReviewLine(message="地址", answer="{}", sample_id="a", score=None, verdict="正确").model_dump_json()
    path.write_text(f"{good}\n{bad}\n{good}\n", encoding="utf-8")
    lines, [broken] = read_review(path)
    assert len(lines) == 2
    assert f"{path}, line 2: " in broken
    assert len(broken) < 500


def test_the_samples_nearest_to_the_threshold_are_asked_about_nearest_first() -> None:
    assert [line.sample_id for line in near_threshold(filtered(SCORES), 0.5, 3, NOBODY)] == [
        "train-1",
        "train-4",
        "train-2",
    ]


def test_where_the_judge_was_not_asked_some_of_the_kept_are_at_even_distances() -> None:
    table = filtered([None] * 9)
    lines = near_threshold(table, 0.0, 4, NOBODY)
    assert [(line.sample_id, line.score) for line in lines] == [(f"train-{n}", None) for n in (0, 3, 5, 7)]
    assert len(near_threshold(filtered([None] * 3), 0.0, 4, NOBODY)) == 2
    assert near_threshold(filtered([None]), 0.0, 0, NOBODY) == []
    tests = table.with_columns(fold=pl.lit("test_iid"), sample_id="test_" + pl.col("sample_id"))
    assert (
        near_threshold(pl.concat([tests, table]), 0.0, 4, NOBODY) == lines
    )  # nobody is to learn what a model is tested on


@pytest.mark.parametrize("scores", [SCORES, [None] * 5])
def test_what_was_decided_makes_room_for_others(tmp_path: Path, scores: list[float | None]) -> None:
    path, asked = UPath(tmp_path / "s.jsonl"), []
    for _ in range(3):
        lines = write_review(path, near_threshold(filtered(scores), 0.5, 1, decisions(read_review(path)[0])))
        asked += [line.sample_id for line in lines if not line.verdict]
        decided(path, {line.sample_id: "正确" for line in lines})
    assert len(set(asked)) == 3


def test_a_sample_is_another_one_where_other_functions_are_on_offer(tmp_path: Path) -> None:
    path = UPath(tmp_path / "s.jsonl")
    table = filtered([0.5])
    write_review(path, near_threshold(table, 0.5, 1, NOBODY))
    decided(path, {"train-0": "正确"})
    offered = table.with_columns(tools=pl.lit("[]"))
    lines = write_review(path, near_threshold(offered, 0.5, 1, decisions(read_review(path)[0])))
    assert [(line.tools, line.verdict) for line in lines] == [("", "正确"), ("[]", "")]


def test_a_verdict_stays_when_other_samples_are_to_be_read(tmp_path: Path) -> None:
    path = UPath(tmp_path / "reviews" / "s.jsonl")
    lines = near_threshold(filtered(SCORES), 0.5, 2, NOBODY)
    assert write_review(path, lines) == lines
    decided(path, {"train-1": "错误"})
    kept = write_review(path, near_threshold(filtered(SCORES), 0.9, 2, NOBODY))
    assert [(line.sample_id, line.verdict) for line in kept] == [("train-1", "错误"), ("train-2", ""), ("train-4", "")]
    assert read_review(path) == (kept, [])
    # What has a verdict is not asked about again.
    assert write_review(path, lines)[0].verdict == "错误"
    assert len(write_review(path, lines)) == 2


def test_verdicts_are_labels_of_the_next_judge(scenario: Scenario, tmp_path: Path) -> None:
    path = UPath(tmp_path / "s.jsonl")
    write_review(path, near_threshold(filtered(SCORES), 0.5, 3, NOBODY))
    decided(path, {"train-1": "错误", "train-4": "正确"})
    lines, _ = read_review(path)
    table = reviewed_cases(scenario, lines, held_back=[])
    assert table.schema == pl.Schema(SCHEMA)
    assert table["label"].to_list() == [False, True]
    assert set(table["part"]) == {"train"}
    assert all(table["violations"].to_list())  # {} lacks every key
    cases = verdicts_to_learn(scenario, table)
    assert [(case.correct, case.twins) for case in cases] == [(False, ""), (True, "")]
    assert cases[0].prompt == judge_prompt(scenario, lines[0])
    assert task_to_learn(table) == [scenario.conversation(lines[1])]


def test_of_two_verdicts_on_a_sample_the_later_one_counts(scenario: Scenario) -> None:
    lines = [
        ReviewLine(sample_id="a", message="地址1", answer="{}", score=None, verdict=verdict)
        for verdict in ("正确", "", "错误")
    ]
    assert decisions(lines).rows() == [("地址1", "", "{}", False)]
    assert reviewed_cases(scenario, lines, held_back=[])["label"].to_list() == [False]
    assert decisions([]).schema == pl.Schema(DECIDED)


def test_a_message_that_the_judge_is_tested_on_is_not_learnt_by_a_verdict(scenario: Scenario) -> None:
    lines = [
        ReviewLine(sample_id=message, message=message, answer="{}", score=None, verdict="正确")
        for message in ("在吗", "地址1")
    ]
    assert reviewed_cases(scenario, lines, held_back=["在吗"])["message"].to_list() == ["地址1"]


@pytest.mark.parametrize("bad", ['{"sample_id"', '{"sample_id": "a"}', None])
def test_a_broken_line_is_named_and_nothing_is_overwritten(tmp_path: Path, bad: str | None) -> None:
    path = UPath(tmp_path / "s.jsonl")
    write_review(path, near_threshold(filtered(SCORES), 0.5, 1, NOBODY))
    good = path.read_text(encoding="utf-8")
    text = good + (bad or good.replace('"verdict":""', '"verdict":"对"'))
    path.write_text(text, encoding="utf-8")
    lines, [message] = read_review(path)
    assert len(lines) == 1
    assert message.startswith(f"{path}, line 2: ")
    assert "may be 正确, 错误 or empty" in message
    with pytest.raises(ValueError, match="nothing was written"):
        write_review(path, [])
    assert path.read_text(encoding="utf-8") == text


def test_without_a_file_nobody_was_asked(tmp_path: Path) -> None:
    assert read_review(UPath(tmp_path / "none.jsonl")) == ([], [])


@given(st.lists(st.tuples(st.text(), st.text(), st.sampled_from(["", "正确", "错误"])), max_size=6))
def test_any_text_survives_the_file(
    tmp_path_factory: pytest.TempPathFactory, texts: list[tuple[str, str, str]]
) -> None:
    path = UPath(tmp_path_factory.mktemp("review") / "s.jsonl")
    lines = [
        ReviewLine.model_validate(
            {"sample_id": str(n), "message": message, "answer": answer, "score": 0.5, "verdict": verdict}
        )
        for n, (message, answer, verdict) in enumerate(texts)
    ]
    write_review(path, lines)
    assert read_review(path) == (lines, [])
