"""A training by two processes: it learns what one learns, and one that dies is named and can be gone on with."""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest

from cs_assets.learning import sft
from cs_assets.learning.progress import Progress, Report
from cs_assets.learning.ranks import RankDied, in_ranks
from cs_assets.learning.sft import FineTuningSettings, train_adapter
from cs_assets.learning.training import TrainingLog, share_of
from cs_assets_tests.learning.conftest import SMALL, adapter_weights, losses
from cs_assets_tests.learning.killed import Kill, Seen, seen_by, watched

# Six steps, of two batches each that one process adds up and two processes share.
SETTINGS = FineTuningSettings(**{**SMALL, "epochs": 2, "gradient_accumulation": 2})
SAMPLES = [
    [{"role": "user", "content": f"地址 {i}" + "路" * (i % 5)}, {"role": "assistant", "content": f"正确 {i}"}]
    for i in range(12)
]
DIED = "died"  # a file that says that it was so
train_as_it_is = sft._train


class Story(NamedTuple):
    """One training by one process, and by two of which the second was killed before they were done; then again."""

    place: Path
    alone: TrainingLog
    death: str
    left: list[str]
    resumed: TrainingLog
    told: list[Progress]

    def seen(self, *names: str) -> Seen:
        return seen_by([self.place / name for name in names])


def watched_train(*arguments: Any) -> TrainingLog:
    """Be a rank that writes down what it learns from; the second one, the first time, dies before its fifth batch."""
    place, rank = Path(arguments[6]).parent, os.environ.get("RANK", "alone")
    attempt = "second" if (place / DIED).exists() else "first"
    kill = Kill("batch", 5) if (rank, attempt) == ("1", "first") else None
    with watched(place / f"{rank}-{attempt}", kill):
        return train_as_it_is(*arguments)


@pytest.fixture(scope="module")
def story(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    place = tmp_path_factory.mktemp("ranks")
    told: list[Progress] = []

    def train(name: str, ranks: int) -> TrainingLog:
        folders = place / name, place / f"{name}-work"
        return train_adapter(str(tiny_model), SAMPLES, SAMPLES[:2], SETTINGS, *folders, told.append, ranks=ranks)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sft, "_train", watched_train)
        alone = train("one", 1)
        with pytest.raises(RankDied) as died:
            train("two", 2)
        left = [path.name for path in place.iterdir()]
        assert not [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]
        (place / DIED).touch()
        told.clear()
        yield Story(place, alone, str(died.value), left, train("two", 2), told)


def test_a_process_that_is_killed_is_named_and_nothing_is_saved(story: Story) -> None:
    reason = (
        r"rank 1 of 2 died: ended by signal SIGKILL \(process \d+\); .* lower batch_size\. Run again: it goes on .*"
    )
    assert re.fullmatch(reason, story.death)
    assert "two" not in story.left


def test_two_processes_go_on_and_learn_what_one_learns(story: Story) -> None:
    alone, shared = story.alone, story.resumed
    assert (alone.ranks, shared.ranks) == (1, 2)
    assert (alone.resumed_at, shared.resumed_at, shared.steps) == (0, 4, alone.steps)
    assert losses(shared) == pytest.approx(losses(alone), abs=1e-5)
    assert shared.metrics()["validation_loss"] == pytest.approx(alone.metrics()["validation_loss"], rel=0.01)
    assert 0 < shared.tokens < alone.tokens
    expected, got = adapter_weights(story.place / "one"), adapter_weights(story.place / "two")
    assert expected.keys() == got.keys()
    assert max(float((expected[name] - got[name]).abs().max()) for name in expected) < 1e-4
    assert (story.told[-1].step, story.told[-1].steps) == (6, 6)


def test_what_two_processes_save_is_whole(story: Story) -> None:
    one, two = ({path.name for path in (story.place / name).iterdir()} for name in ("one", "two"))
    assert one == two
    assert TrainingLog.load(story.place / "two") == story.resumed


def test_each_process_sees_its_share_of_every_step(story: Story) -> None:
    shares = [story.seen(f"{rank}-first", f"{rank}-second") for rank in (0, 1)]
    assert [step for step, _ in shares[0]] == [step for step, _ in shares[1]] == list(range(6))
    assert not set(shares[0]) & set(shares[1])
    assert sorted(shares[0] + shares[1]) == sorted(story.seen("alone-first"))


def fails(what: str, report: Report) -> None:
    """Be a rank of which the second raises, and the first waits for it."""
    if os.environ["RANK"] == "1":
        raise ValueError(what)
    time.sleep(60)


def test_what_a_process_raises_is_told_in_one_line(tmp_path: Path) -> None:
    ends_in_order = signal.getsignal(signal.SIGTERM)
    with pytest.raises(RankDied) as raised:
        in_ranks(2, fails, ("two\nlines",), tmp_path, lambda progress: None)
    assert str(raised.value) == "rank 1 of 2 died: ValueError: two lines. Run again: it goes on at the last checkpoint."
    assert signal.getsignal(signal.SIGTERM) is ends_in_order


def tells(report: Report) -> None:
    """Be a rank that tells its progress until nobody listens any more."""
    for step in range(600):
        report(Progress(step=step, steps=600, loss=1.0, tokens_per_second=1.0, seconds_left=1.0))
        time.sleep(0.1)


def test_what_the_report_raises_ends_the_training_and_is_raised(tmp_path: Path) -> None:
    def full(progress: Progress) -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        in_ranks(2, tells, (), tmp_path, full)


@pytest.mark.parametrize(
    ("batch_size", "accumulation", "ranks", "share"),
    [(4, 1, 1, (4, 1)), (4, 1, 2, (2, 1)), (4, 8, 2, (4, 4)), (2, 2, 4, (1, 1)), (1, 8, 4, (1, 2)), (3, 4, 6, (1, 2))],
)
def test_the_share_of_a_rank(batch_size: int, accumulation: int, ranks: int, share: tuple[int, int]) -> None:
    settings = SETTINGS.model_copy(update={"batch_size": batch_size, "gradient_accumulation": accumulation})
    assert share_of(settings, ranks) == share
    assert share[0] * share[1] * ranks == batch_size * accumulation


def test_a_batch_that_cannot_be_shared_out_is_an_error_before_anything_starts(tiny_model: Path, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"batch_size": 3, "gradient_accumulation": 1})
    with pytest.raises(ValueError, match=r"batch_size 3 with gradient_accumulation 1 .* CS_TRAINING_GPUS=2; make one"):
        train_adapter(str(tiny_model), SAMPLES, [], settings, tmp_path / "model", tmp_path / "work", ranks=2)
    assert not list(tmp_path.iterdir())
