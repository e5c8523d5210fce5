"""What a person does in the browser, on real servers as `make dev` starts them: one story, in one session.

A partition is materialized, its preview and plot are looked at and its run is found in MLflow; two scenarios are
backfilled; a sensor is switched on, a template is written, and the run comes.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from cs_assets_tests.conftest import SCENARIOS, copy_small_scenario
from cs_assets_tests.server_process import running_server
from cs_assets_tests.ui_pages import (
    CODE_LOCATION,
    browser_page,
    choose_partitions,
    chromium,
    metadata_row,
    open_graph,
    open_mlflow_run,
    open_partition,
    open_plot,
)

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

pytest.importorskip("playwright", reason="the browser is driven by playwright: pip install -e '.[ui]'")
pytestmark = pytest.mark.skipif(chromium() is None, reason="there is no Chromium: apt-get install chromium")
ROOT = Path(__file__).resolve().parent.parent
NAME, OTHER = "address_extraction", "self_identity"
_RUN_MINUTES = 15


class Site(NamedTuple):
    """Both servers, and the scenarios folder that they read."""

    dagster: str
    mlflow: str
    scenarios: Path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An instance of its own, with `dagster.yaml` as it is committed, and two scenarios."""
    home = tmp_path_factory.mktemp("ui")
    shutil.copy(ROOT / "dagster.yaml", home)
    copy_small_scenario(home / "scenarios")
    shutil.copytree(SCENARIOS / OTHER, home / "scenarios" / OTHER)
    stores = ["--backend-store-uri", f"sqlite:///{home}/mlflow.db", "--default-artifact-root", str(home / "artifacts")]
    told_nobody = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    mlflow_server = running_server(
        "mlflow", "server", *stores, "--workers", "1", log=home / "mlflow.log", **told_nobody
    )
    with mlflow_server as mlflow:
        environment = {
            "DAGSTER_HOME": str(home),
            "CS_SCENARIOS": str(home / "scenarios"),
            "CS_STORE": str(home / "out"),
            "MLFLOW_TRACKING_URI": mlflow,
            "PYTHONPATH": str(ROOT),
            "DAGSTER_GRPC_TIMEOUT_SECONDS": "300",  # by default a run fails where a busy host has not begun it in 60
        }
        command = running_server(
            "dagster", "dev", "-m", "cs_assets.definitions", log=home / "dagster.log", **environment
        )
        with command as dagster:
            yield Site(dagster, mlflow, home / "scenarios")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Page"]:
    with browser_page() as opened:
        yield opened


def seen(page: "Page", what: "Locator") -> None:
    """Wait until something is there that a run brings, loading the page again as a person would."""
    from playwright.sync_api import TimeoutError as NotThere

    for _ in range(_RUN_MINUTES * 6):
        try:
            what.first.wait_for(timeout=10_000)
        except NotThere:
            page.reload()
        else:
            return
    what.first.wait_for()  # what was shown instead stands in the error


def seeds_accepted(page: "Page", count: int) -> "Locator":
    return metadata_row(page, "by_origin").get_by_text(re.compile(f'"seed, accepted": {count}\\b'))


def test_the_graph_shows_every_stage(page: "Page", site: Site) -> None:
    open_graph(page, site.dagster)
    for stage in ("atomic_table", "kto_judge", "lora_adapter", "release"):
        page.get_by_text(stage, exact=True).first.wait_for()


def test_a_partition_of_a_job_is_made_with_preview_and_plot(page: "Page", site: Site) -> None:
    page.goto(f"{site.dagster}/locations/{CODE_LOCATION}/jobs/twin")
    page.get_by_role("button", name="Materialize all").click()
    choose_partitions(page, NAME)
    page.get_by_role("button", name="Launch 1 run").click()
    page.get_by_text("Launched run").first.wait_for()  # who leaves the page before that may take the request along
    open_partition(page, site.dagster, "rendered_samples", NAME)
    seen(page, page.get_by_text("message_lengths", exact=True))
    preview = metadata_row(page, "preview")
    assert "train-00000" in preview.inner_text()
    assert '"姓名"' in preview.inner_text()
    image = open_plot(page, "message_lengths", "message lengths")
    assert image.evaluate("image => image.complete && image.naturalWidth > 300")


def test_the_run_of_an_asset_is_found_in_mlflow(page: "Page", site: Site) -> None:
    open_partition(page, site.dagster, "rendered_samples", NAME)
    run = open_mlflow_run(page, site.mlflow, f"rendered_samples/{NAME}")
    run.get_by_text("dagster.partition").first.wait_for()
    run.get_by_role("link", name=NAME).first.wait_for()
    assert not run.get_by_text("Evaluation runs").count(), "it opens as a training, not as an agent's evaluation"
    run.close()


def test_a_backfill_makes_two_partitions(page: "Page", site: Site) -> None:
    page.goto(f"{site.dagster}/assets/atomic_table")
    page.get_by_role("button", name="Materialize").first.click()
    choose_partitions(page, NAME, OTHER)
    page.get_by_role("button", name="Launch backfill").click()
    page.get_by_text("Created backfill").first.wait_for()
    page.goto(f"{site.dagster}/runs?view=backfills")
    seen(page, page.get_by_text(re.compile("^Succe(ss|eded)$")))
    open_partition(page, site.dagster, "atomic_table", OTHER)
    metadata_row(page, "preview").wait_for()


def test_a_new_template_brings_a_run_once_the_sensor_is_on(page: "Page", site: Site) -> None:
    human = site.scenarios / NAME / "templates" / "human"
    before = len(list(human.glob("*.j2")))
    page.goto(f"{site.dagster}/locations/{CODE_LOCATION}/sensors/template_sensor")
    running = page.get_by_role("row").filter(has=page.get_by_text("Running", exact=True))
    running.locator("label").click()
    running.get_by_role("checkbox", checked=True).wait_for(state="attached")
    open_partition(page, site.dagster, "template_variants", OTHER)
    seen(page, page.get_by_text("by_origin", exact=True))
    open_partition(page, site.dagster, "template_variants", NAME)
    seen(page, seeds_accepted(page, before))
    (human / "90_new.j2").write_text(
        "麻烦寄到{{含地区的详细地址}}，{{名字.param.输出 | trim}}收，{{电话}}", encoding="utf-8"
    )
    seen(page, seeds_accepted(page, before + 1))
