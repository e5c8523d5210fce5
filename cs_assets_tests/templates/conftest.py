"""Scenarios of a few sentences, for the tests of this stage."""

import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cs_assets.scenario import Scenario

COMMA = "01_comma_separated"
CHAT = "02_chat"
# Fields of another scenario on the same atoms: questions about an order.
ORDER_ANSWER = (
    '{"订单号": {{订单号 | tojson}}, "商品": {{商品 | tojson}}, "送达时间": {{送达时间 | tojson}}, '
    '"电话": {{电话 | tojson}}}'
)


def small_scenario(scenario: Scenario, folder: Path, seeds: dict[str, str], **counts: int) -> Scenario:
    """Copy a scenario into `folder` with these seeds, no examples and, unless `counts` say more, no rewrites."""
    shutil.copytree(scenario.folder, folder)
    shutil.rmtree(folder / "templates" / "human")
    for name, text in seeds.items():
        write(folder, f"{name}.j2", text)
    (folder / "examples.jsonl").write_text("", encoding="utf-8")
    return with_counts(scenario, folder, **{"variants_per_seed": 0, **counts})


def with_counts(scenario: Scenario, folder: Path | None = None, **counts: int) -> Scenario:
    changed = {profile: c.model_copy(update=counts) for profile, c in scenario.spec.counts.items()}
    return Scenario(folder or scenario.folder, scenario.spec.model_copy(update={"counts": changed}))


def write(folder: Path, name: str, text: str) -> None:
    path = folder / "templates" / "human" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture
def two_seeds(scenario: Scenario, tmp_path: Path) -> Scenario:
    """A scenario with a comma and a chat template, and no rewrites."""
    seeds = {COMMA: "{{名字.param.输出}}，{{电话}}", CHAT: "亲，我叫{{名字.param.输出}}，打{{电话}}找我"}
    return small_scenario(scenario, tmp_path / "small", seeds)


@pytest.fixture(scope="session")
def probes(atoms: pl.DataFrame) -> list[dict[str, Any]]:
    return atoms.head(6).to_dicts()
