"""Labelled samples: every rendered sample, and beside those of the judge's fold a programmatically corrupted twin.

The judge's fold is divided once into three parts, by message, so that a good sample and its bad twin stay together, and
so do all that repeat one message: `train`, `calibration` (threshold) and `test`. Corruption families that are held out
occur in `test` only. A sample of this fold that breaks a rule has no twin: it is a bad case of `train` as it stands.
"""

import random
from collections import Counter
from typing import Any, Final

import polars as pl

from cs_assets.families.base import Sample
from cs_assets.quality.duplicates import near_duplicates
from cs_assets.samples import render
from cs_assets.scenario import Scenario

PARTS: Final = {"train": 0.54, "calibration": 0.16, "test": 0.30}
GATE: Final = "gate"  # the family of what was not corrupted: it breaks a rule all the same, or a gate rejected it
REVIEWED: Final = "reviewed"  # the family of what a person has decided
ALONE: Final = (GATE, REVIEWED)  # families whose samples have no twin
SCHEMA: Final[dict[str, Any]] = render.SCHEMA | {
    "part": pl.String,  # of the judge's data: train, calibration, test; empty elsewhere
    "label": pl.Boolean,  # True: good by construction
    "corruption_kind": pl.String,
    "corruption_family": pl.String,
    "violations": pl.List(pl.String),  # rules that the answer breaks
    "duplicate_of": pl.String,  # the earlier sample that this one repeats nearly word for word; empty for most
    "contradicts": pl.String,  # a sample with the same message and another answer, where only one can be right
}


def label_samples(scenario: Scenario, rendered: pl.DataFrame) -> pl.DataFrame:
    """Label rendered samples and add the corrupted twins; rows keep the order of `rendered`, a twin follows its sample.

    Raises:
        ValueError: `holdout_corruptions` names an unknown family, or all of them.
    """
    seen, unseen = _corruption_families(scenario)
    contradictions = _contradictions(scenario, rendered)
    samples = [_row(scenario, sample) for sample in rendered.iter_rows(named=True)]
    parts = _parts([sample for sample in samples if sample["fold"] == "judge"], scenario.spec.seed)
    tested = 0
    rows: list[dict[str, Any]] = []
    for sample in samples:
        if sample["fold"] != "judge":
            rows.append(sample | {"contradicts": contradictions.get(sample["sample_id"], "")})
            continue
        sample["part"] = parts[sample["message"]]
        if sample["violations"]:
            rows.append(sample | {"label": False, "corruption_kind": "rejected", "corruption_family": GATE})
            continue
        families = unseen if sample["part"] == "test" and unseen and tested % 2 else seen
        rows += [sample, _twin(scenario, sample, families, seen)]
        tested += sample["part"] == "test"
    table = pl.DataFrame(rows, schema=SCHEMA)
    repeated = _repeated(scenario, table)
    return table.with_columns(pl.col("sample_id").replace_strict(repeated, default="").alias("duplicate_of"))


def _repeated(scenario: Scenario, labelled: pl.DataFrame) -> dict[str, str]:
    """Return the good samples that repeat an earlier one, train before tests: sample_id -> sample_id.

    Outside train, a message that stands in train is a repetition whatever its answer: it would test nothing new.
    """
    good = labelled.filter(
        (pl.col("fold") != "judge") & (pl.col("violations").list.len() == 0) & (pl.col("contradicts") == "")
    )
    trained = dict(good.filter(fold="train").select("message", "sample_id").reverse().rows())
    known = {
        sample_id: trained[message]
        for sample_id, fold, message in good.select("sample_id", "fold", "message").iter_rows()
        if fold != "train" and message in trained
    }
    samples = good.filter(~pl.col("sample_id").is_in(list(known)))
    ids = samples["sample_id"].to_list()
    similarity = scenario.spec.near_duplicates
    found = near_duplicates(
        samples["message"].to_list(),
        samples["answer"].to_list(),
        similarity,
        answer_similarity=1.0 if scenario.family.answer_is_determined else similarity,
    )
    return known | {ids[number]: ids[first] for number, first in found.items()}


def _contradictions(scenario: Scenario, rendered: pl.DataFrame) -> dict[str, str]:
    """Return the samples whose message has another answer elsewhere: sample_id -> sample_id of one of those."""
    if not scenario.family.answer_is_determined:
        return {}
    first: dict[tuple[str, str], dict[str, str]] = {}
    samples = rendered.filter(pl.col("fold") != "judge").select("sample_id", "message", "tools", "answer").rows()
    for sample_id, message, tools, answer in samples:
        first.setdefault((message, tools), {}).setdefault(answer, sample_id)
    return {
        sample_id: next(other for text, other in answers.items() if text != answer)
        for sample_id, message, tools, answer in samples
        if len(answers := first[message, tools]) > 1
    }


def _corruption_families(scenario: Scenario) -> tuple[list[str], list[str]]:
    known, held_out = scenario.family.corruption_families, scenario.spec.holdout_corruptions
    unknown = sorted(set(held_out) - set(known))
    seen = [family for family in known if family not in held_out]
    if unknown or not seen:
        raise ValueError(
            f"{scenario.folder / 'scenario.yaml'}: key 'holdout_corruptions': found {held_out}; allowed are some, not "
            f"all, of {', '.join(known)}."
        )
    return seen, list(held_out)


def _parts(samples: list[dict[str, Any]], seed: int) -> dict[str, str]:
    """Divide the messages of the judge's fold: message -> part. Every message stands in one part only.

    The most frequent come first, each to the part that lacks most of its share, so that the parts are alike. What
    breaks a rule is trained on, and its message with it.
    """
    rejected = {sample["message"] for sample in samples if sample["violations"]}
    counts = Counter(sample["message"] for sample in samples if sample["message"] not in rejected)
    wanted = {part: round(PARTS[part] * counts.total()) for part in ("train", "calibration")}
    wanted["test"] = counts.total() - sum(wanted.values())
    messages = sorted(counts)
    random.Random(f"{seed}:parts").shuffle(messages)
    lacking = dict(wanted)
    parts = dict.fromkeys(rejected, "train")
    for message in sorted(messages, key=lambda message: -counts[message]):
        parts[message] = max(wanted, key=lambda part: lacking[part] / max(wanted[part], 1))
        lacking[parts[message]] -= counts[message]
    return parts


def _twin(scenario: Scenario, sample: dict[str, Any], families: list[str], otherwise: list[str]) -> dict[str, Any]:
    """Return the sample corrupted by one of `families`, or `otherwise`, where none of those applies."""
    case, family = Sample.model_validate(sample), scenario.family
    rng = random.Random(f"{scenario.spec.seed}:{sample['sample_id']}")
    corruption = family.corrupt(case, rng, families) or family.corrupt(case, rng, otherwise)
    if corruption is None:
        raise ValueError(f"{sample['sample_id']}: no corruption applies to the answer {sample['answer']}")
    messages = scenario.conversation(case.model_copy(update={"answer": corruption.answer}))
    changed = {"sample_id": f"{sample['sample_id']}-bad", "answer": corruption.answer, "messages": messages}
    wrong = {"label": False, "corruption_kind": corruption.kind, "corruption_family": corruption.family}
    return _row(scenario, sample | changed) | {"part": sample["part"]} | wrong


def _row(scenario: Scenario, sample: dict[str, Any]) -> dict[str, Any]:
    """Return the sample as a good one, with the rules that it breaks."""
    return sample | {
        "part": "",
        "label": True,
        "corruption_kind": "",
        "corruption_family": "",
        "violations": broken_rules(scenario, Sample.model_validate(sample)),
        "duplicate_of": "",
        "contradicts": "",
    }


def broken_rules(scenario: Scenario, sample: Sample) -> list[str]:
    """Return the rules that the answer breaks, each with its detail."""
    return [f"{v.rule}: {v.detail}" for v in scenario.family.verify(sample)]
