"""What the tests of the trainings share: small settings, and a run that is cut short."""

import functools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cs_assets.learning import training
from cs_assets.learning.progress import Progress, Report, progress_callback
from cs_assets.learning.sft import FineTuningSettings, train_adapter

SMALL: dict[str, Any] = {
    "base_model": "tiny",
    "learning_rate": 1e-2,
    "epochs": 3,
    "batch_size": 2,
    "checkpoint_steps": 2,
    "top_layers": 1.0,
    "rank": 4,
    "max_length": 128,
}
# For processes with little memory: Arrow's own pool takes a gigabyte at once, in which everything would fit unseen.
NO_RESERVE = {"ARROW_DEFAULT_MEMORY_POOL": "system"}
Train = Callable[[Path, Path, Report], training.TrainingLog]


def limit_memory(room: int) -> None:
    """Let this process allocate no more than `room` bytes beyond what it holds now; Linux alone can."""
    import resource

    # The stacks of its threads count in full, used or not: of the usual 8 MiB a few would be the whole room.
    threading.stack_size(1024 * 1024)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    limit = int(status["VmData"].split()[0]) * 1024 + room
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


class Interrupted(Exception):
    """The machine went away."""


@pytest.fixture(params=[4, 6])
def resumed_equals_undisturbed(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[Train], None]:
    """Assert that a training cut after a checkpoint and started again ends where an undisturbed one ends.

    The parameter is the step of the checkpoint. With four steps per epoch, as eight samples in batches of two make, it
    stands after the first epoch, and in the middle of the second.
    """
    monkeypatch.setattr(training, "progress_callback", functools.partial(progress_callback, every=0.0))

    def cut(progress: Progress) -> None:
        if progress.step == request.param + 1:
            raise Interrupted

    def check(train: Train) -> None:
        whole = train(tmp_path / "whole", tmp_path / "whole_work", lambda progress: None)
        with pytest.raises(Interrupted):
            train(tmp_path / "cut", tmp_path / "cut_work", cut)
        resumed = train(tmp_path / "cut", tmp_path / "cut_work", lambda progress: None)
        assert (whole.resumed_at, resumed.resumed_at) == (0, request.param)
        assert [point.step for point in resumed.curve] == [point.step for point in whole.curve]
        assert resumed.final_loss == pytest.approx(whole.final_loss, abs=1e-3)
        expected, got = adapter_weights(tmp_path / "whole"), adapter_weights(tmp_path / "cut")
        assert expected.keys() == got.keys()
        assert max(float((expected[name] - got[name]).abs().max()) for name in expected) < 1e-4

    return check


@pytest.fixture(scope="session")
def tuned(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an SFT adapter, which the alignments start at."""
    place = tmp_path_factory.mktemp("tuned")
    samples = [[{"role": "user", "content": f"地址 {i}"}, {"role": "assistant", "content": "请说"}] for i in range(8)]
    train_adapter(str(tiny_model), samples, [], FineTuningSettings(**SMALL), place / "model", place / "work")
    return place / "model"


def losses(log: training.TrainingLog) -> list[float]:
    """Return the training losses, step by step."""
    return [point.loss for point in log.curve if point.loss is not None]


def adapter_weights(folder: Path) -> dict[str, Any]:
    """Return the tensors of a saved adapter."""
    from safetensors.torch import load_file

    return load_file(folder / "adapter_model.safetensors")


def incompressible_texts(count: int, length: int) -> list[str]:
    """Return different texts of random characters, 3 bytes each, which neither file nor reader can keep small."""
    points = np.random.default_rng(1).integers(0x4E00, 0x9FA6, count * length, dtype="<u4")
    text = points.tobytes().decode("utf-32-le")
    return [text[start : start + length] for start in range(0, len(text), length)]
