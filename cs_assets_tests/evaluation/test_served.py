"""A model behind a real server, `transformers serve`, gets the same table as the same model asked here."""

from pathlib import Path

import polars as pl
import pytest

from cs_assets.evaluation.predicting import Exam, PredictionSettings
from cs_assets.learning.inference import nobody
from cs_assets.scenario import Scenario
from cs_assets_tests.transformers_serve import MISSING, serving


@pytest.mark.skipif(bool(MISSING), reason=f"transformers serve needs {', '.join(MISSING)}")
def test_a_served_model_gets_the_same_table(
    scenario: Scenario, splits: pl.DataFrame, talkative: tuple[Path, Path], tmp_path: Path
) -> None:
    base = str(talkative[0])
    here = PredictionSettings(max_new_tokens=8)
    exam = Exam.of(scenario, "base", splits, here)
    mine = exam.scored(exam.said(base, None, nobody))
    with serving(talkative[0], tmp_path / "serve.log") as url:
        there = here.model_copy(update={"endpoint": url, "served_models": {"base": base}})
        served = exam.scored(Exam.of(scenario, "base", splits, there).said(base, None, nobody))
    assert mine["prediction"].n_unique() > mine.height / 2
    # transformers serve takes blanks from both ends of an answer.
    assert served["prediction"].to_list() == [said.strip() for said in mine["prediction"]]
    assert served.drop("prediction").equals(mine.drop("prediction"))
