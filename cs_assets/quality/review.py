"""What a person is asked about: samples near the judge's threshold, and the verdicts that come back.

Here belongs the file that a person edits, `reviews/SCENARIO.jsonl` in the store. A line is one sample; whoever reads it
puts 正确 or 错误 into `verdict`. Lines with a verdict are kept for good, and are labels of the next judge.

    lines, broken = read_review(path)      # [ReviewLine(..., verdict="错误"), ...], ["line 3: ..."]
    write_review(path, near_threshold(filtered, threshold, 50, decisions(lines)))
"""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final, Literal

import polars as pl
from upath import UPath

from cs_assets.families.base import Sample
from cs_assets.families.json_lines import read_line
from cs_assets.quality.filtering import DECIDED, JUDGED_FOLDS
from cs_assets.quality.judging import WORDS
from cs_assets.quality.labelling import REVIEWED, SCHEMA, broken_rules
from cs_assets.samples.folds import spaced_evenly
from cs_assets.scenario import Scenario
from resources.files import write_whole


class ReviewLine(Sample):
    """A sample to be judged by a person; `score` is the judge's, if it was asked, `verdict` empty until it was read."""

    sample_id: str
    score: float | None
    verdict: Literal["", "正确", "错误"] = ""


_ASKED: Final = ("sample_id", "message", "tools", "answer", "score")


def near_threshold(filtered: pl.DataFrame, threshold: float, count: int, decided: pl.DataFrame) -> list[ReviewLine]:
    """Return the samples whose score is nearest to the threshold, on either side, nearest first.

    Where the judge was asked nothing, kept ones are taken at even distances: the next judge needs labels all the more.
    Held-out tests are not asked about, for it would learn them.

    Args:
        filtered: the table of `filtered_samples`; a sample without a score was not judged.
        threshold: of the judge.
        count: how many.
        decided: what `decisions` returns; nobody is asked twice.
    """
    asked = filtered.join(decided, on=list(Sample.model_fields), how="anti", maintain_order="left")
    judged = asked.filter(pl.col("score").is_not_null())
    if judged.is_empty():
        kept = asked.filter(pl.col("kept") & pl.col("fold").is_in(list(JUDGED_FOLDS))).sort("sample_id")
        nearest = kept[spaced_evenly(kept.height, count)]
    else:
        nearest = judged.sort((pl.col("score") - threshold).abs(), "sample_id").head(count)
    return [ReviewLine.model_validate(row) for row in nearest.select(*_ASKED).iter_rows(named=True)]


def read_review(path: UPath) -> tuple[list[ReviewLine], list[str]]:
    """Read the file: its lines, and one message for each broken one. Without a file there is none of either."""
    lines: list[ReviewLine] = []
    broken: list[str] = []
    for number, text in enumerate(path.read_text(encoding="utf-8").split("\n") if path.exists() else [], start=1):
        if not text.strip():
            continue
        try:
            lines.append(ReviewLine.model_validate(read_line(text)))
        except ValueError as error:
            broken.append(f"{path}, line {number}: {error}. `verdict` may be {WORDS[0]}, {WORDS[1]} or empty.")
    return lines, broken


def write_review(path: UPath, wanted: Iterable[ReviewLine]) -> list[ReviewLine]:
    """Write what is to be read: lines that have a verdict stay, those without make room for the wanted ones.

    Raises:
        ValueError: a line of the file is broken; it is left as it is, so that no verdict is lost.
    """
    lines, broken = read_review(path)
    if broken:
        raise ValueError("\n".join([*broken, "Mend these lines; nothing was written."]))
    judged = [line for line in lines if line.verdict]
    known = {_sample(line) for line in judged}
    kept = [*judged, *(line for line in wanted if _sample(line) not in known)]
    text = "".join(line.model_dump_json() + "\n" for line in kept)

    def write(beside: Path) -> None:
        beside.write_text(text, encoding="utf-8")

    write_whole(path, write)
    return kept


def decisions(lines: Iterable[ReviewLine]) -> pl.DataFrame:
    """Return what people have decided: columns message, tools, answer and `right`; of two verdicts the later one."""
    rows = [(*sample, line.verdict == WORDS[0]) for sample, line in _last_verdicts(lines).items()]
    return pl.DataFrame(rows, schema=DECIDED, orient="row")


def _last_verdicts(lines: Iterable[ReviewLine]) -> dict[tuple[str, str, str], ReviewLine]:
    return {_sample(line): line for line in lines if line.verdict}


def _sample(line: ReviewLine) -> tuple[str, str, str]:
    return line.message, line.tools, line.answer


def reviewed_cases(scenario: Scenario, lines: Iterable[ReviewLine], held_back: Collection[str]) -> pl.DataFrame:
    """Return what people have decided as labelled samples that train the judge, with the columns of `labelled_samples`.

    None of them is for its calibration or its test: they lie near the threshold of the judge before, and no twin stands
    beside them. What calibration and test hold already is left out: messages without an entity repeat between folds.

    Args:
        scenario: makes the messages of a case.
        lines: of the review; those without a verdict are passed over.
        held_back: the messages of the judge's calibration and test.
    """
    rows = [
        {
            "sample_id": f"{REVIEWED}-{line.sample_id}",
            "fold": "judge",
            "message": line.message,
            "tools": line.tools,
            "answer": line.answer,
            "messages": scenario.conversation(line),
            "part": "train",
            "label": line.verdict == WORDS[0],
            "corruption_kind": REVIEWED,
            "corruption_family": REVIEWED,
            "violations": broken_rules(scenario, line),
            "duplicate_of": "",
            "contradicts": "",
        }
        for line in _last_verdicts(lines).values()
        if line.message not in held_back
    ]
    return pl.DataFrame(rows, schema=SCHEMA)
