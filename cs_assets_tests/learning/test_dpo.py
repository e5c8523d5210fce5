"""Alignment: it starts at the tuned adapter, stays comparable to it, and its result is an adapter like any other."""

from pathlib import Path
from typing import Any

import pytest
import torch

from cs_assets.learning.dpo import DpoSettings, align_adapter
from cs_assets.learning.models import load_causal_lm
from cs_assets.learning.reward import Preference
from cs_assets.learning.sft import FineTuningSettings, train_adapter
from cs_assets_tests.learning.conftest import SMALL, adapter_weights, losses

SETTINGS = DpoSettings(**SMALL)
PAIRS = [
    Preference(prompt=[{"role": "user", "content": f"地址 {i}"}], chosen=f"正确 {i}", rejected=f"错误 {i}")
    for i in range(8)
]


@pytest.fixture(scope="module")
def tuned(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an SFT adapter."""
    place = tmp_path_factory.mktemp("tuned")
    samples = [[*pair.prompt, {"role": "assistant", "content": "请说"}] for pair in PAIRS]
    train_adapter(str(tiny_model), samples, [], FineTuningSettings(**SMALL), place / "model", place / "work")
    return place / "model"


def test_the_result_loads_like_an_sft_adapter_and_differs_from_its_start(
    tiny_model: Path, tuned: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "aligned"
    log = align_adapter(str(tiny_model), str(tuned), PAIRS, SETTINGS, folder, tmp_path / "work")
    assert (folder / "adapter_config.json").is_file()
    assert not [path for path in folder.iterdir() if path.is_dir()]
    assert adapter_weights(folder).keys() == adapter_weights(tuned).keys()
    ids = torch.arange(3, 30).unsqueeze(0)
    start, aligned = (load_causal_lm(str(tiny_model), str(adapter))(ids).logits for adapter in (tuned, folder))
    assert (start - aligned).abs().max() > 0.01
    assert losses(log)[-1] < losses(log)[0]


def test_the_reference_is_the_tuned_adapter(tiny_model: Path, tuned: Path, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"epochs": 0.25, "beta": 5.0})
    log = align_adapter(str(tiny_model), str(tuned), PAIRS, settings, tmp_path / "aligned", tmp_path / "work")
    assert losses(log)[0] == pytest.approx(0.693147, abs=1e-5)  # ln 2: policy and reference agree


def test_a_cut_alignment_resumes_and_ends_as_an_undisturbed_one(
    tiny_model: Path, tuned: Path, resumed_equals_undisturbed: Any
) -> None:
    resumed_equals_undisturbed(
        lambda folder, work, report: align_adapter(str(tiny_model), str(tuned), PAIRS, SETTINGS, folder, work, report)
    )


def test_no_pairs_are_an_error_that_says_where_to_look(tiny_model: Path, tuned: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="preference_pairs"):
        align_adapter(str(tiny_model), str(tuned), [], SETTINGS, tmp_path / "aligned", tmp_path / "work")
