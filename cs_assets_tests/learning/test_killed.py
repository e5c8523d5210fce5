"""A training killed again and again, at random steps and while it writes checkpoints, ends as one that was not."""

import json
import random
import sys
from pathlib import Path

import pytest

from cs_assets.learning.sft import FineTuningSettings, train_adapter
from cs_assets.learning.streaming import Stream
from cs_assets.learning.training import TrainingLog
from cs_assets_tests.learning.conftest import SMALL, adapter_weights
from cs_assets_tests.learning.killed import KILLED, Kill, in_own_process, seen_by, watched

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")

# Eleven samples in batches of two, two batches a step, twice: six steps, of which the last ends within a step.
CHANGED = {"epochs": 2, "batch_size": 2, "gradient_accumulation": 2, "patience": 9}
SAMPLES = 11


def conversation(i: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"地址 {i}" + "路" * (i % 5)}, {"role": "assistant", "content": f"正确 {i}"}]


def train(base: Path, place: Path, number: int, packing: bool, streamed: bool, kill: Kill | None = None) -> None:
    """Train in this process until the end or the kill; `number` says which run at `place` it is."""
    settings = FineTuningSettings(**{**SMALL, **CHANGED, "packing": packing})
    taught = [conversation(i) for i in range(SAMPLES)]
    file = place / "train.jsonl"
    file.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in taught), encoding="utf-8")
    with watched(place / f"seen-{number}", kill):
        train_adapter(
            str(base),
            Stream(file, 4) if streamed else taught,
            [conversation(99)],
            settings,
            place / "model",
            place / "work",
        )


def kills(seed: int) -> list[Kill]:
    """Two at random steps, and one in each part of a checkpoint; a run gets as far as the next one at least."""
    early, late = random.Random(seed).randint(1, 4), random.Random(seed + 1).randint(1, 3)
    return [Kill("batch", early), Kill("state", 2), Kill("optimizer", 4), Kill("batch", late), Kill("curve", 6)]


@pytest.mark.parametrize(
    ("packing", "streamed", "seed"),
    [(False, False, 1), (True, False, 2), (False, True, 3), (True, True, 4)],
    ids=["padded", "packed", "padded-stream", "packed-stream"],
)
def test_a_training_killed_again_and_again_ends_as_one_that_was_not(
    tiny_model: Path, tmp_path: Path, packing: bool, streamed: bool, seed: int
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    assert in_own_process(train, tiny_model, whole, 0, packing, streamed) == 0
    chain = kills(seed)
    for number, kill in enumerate(chain):
        assert in_own_process(train, tiny_model, cut, number, packing, streamed, kill) == KILLED, kill
        assert not (cut / "model").exists()
    assert in_own_process(train, tiny_model, cut, len(chain), packing, streamed) == 0

    seen = seen_by([whole / "seen-0"])
    assert seen_by([cut / f"seen-{number}" for number in range(len(chain) + 1)]) == seen
    assert [step for step, _ in seen] == [step for step in range(6) for _ in range(2)]
    expected, got = TrainingLog.load(whole / "model"), TrainingLog.load(cut / "model")
    assert (expected.resumed_at, got.resumed_at) == (0, 4)
    assert got.curve == expected.curve  # to the bit, on a CPU
    weights, others = adapter_weights(whole / "model"), adapter_weights(cut / "model")
    assert all(weights[name].equal(others[name]) for name in weights)
