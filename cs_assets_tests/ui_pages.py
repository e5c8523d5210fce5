"""Where a person looks in the UIs of Dagster and MLflow, as functions on a page of a real browser.

`test_ui.py` goes these ways. As a command it takes the pictures of the README, of what `make demo` made and `make dev`
shows:

    python -m cs_assets_tests.ui_pages docs/images
"""

import argparse
import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

CODE_LOCATION: Final = "__repository__@cs_assets.definitions"
_DAGSTER, _MLFLOW = "http://127.0.0.1:3000", "http://127.0.0.1:5000"
_PATIENCE_SECONDS: Final = 120
_STILL_MILLISECONDS: Final = 3000  # until what moves on a page has come to rest; a picture needs it, a test does not
# Of what is shown small in the README; few colours, so that a clone stays small.
_WIDTH, _HEIGHT, _COLOURS = 1280, 760, 256


def chromium() -> str | None:
    """Return the path of the machine's own Chromium, None where it has none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextlib.contextmanager
def browser_page(width: int = 1920, height: int = 1300, scale: float = 1.0) -> Iterator["Page"]:
    """Give an empty page of a browser that nobody sees; `scale` is how many pixels of a picture a pixel of it makes."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Chromium's sandbox needs rights that root in a container does not have; the pages are our own.
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=scale)
        page.context.set_default_timeout(_PATIENCE_SECONDS * 1000)
        yield page
        browser.close()


def open_graph(page: "Page", dagster: str) -> None:
    """Open the lineage of all assets, its groups unfolded; a small window would leave out the names."""
    page.goto(f"{dagster}/asset-groups/")
    page.get_by_text("Hide navigation").click()
    page.get_by_text("evaluation", exact=True).first.wait_for()
    page.keyboard.press("Alt+e")
    page.get_by_text("kto_judge", exact=True).first.wait_for()


def open_partition(page: "Page", dagster: str, asset: str, scenario: str) -> None:
    """Open what was made of an asset for a scenario."""
    page.goto(f"{dagster}/assets/{asset}?view=partitions&partition={scenario}")
    page.get_by_text("Latest materialization").wait_for()


def metadata_row(page: "Page", name: str) -> "Locator":
    """Return the line of the open partition's metadata that has this name."""
    return page.get_by_role("row").filter(has=page.get_by_text(name, exact=True))


def open_plot(page: "Page", name: str, title: str) -> "Locator":
    """Open a plot of the open partition; return its image."""
    metadata_row(page, name).get_by_text("[Show Markdown]").click()
    image = page.get_by_role("img", name=title)
    image.wait_for()
    return image


def open_mlflow_run(page: "Page", mlflow: str, title: str) -> "Page":
    """Follow the open partition's link to MLflow; return the page of that run."""
    with page.context.expect_page() as opened:
        page.get_by_role("link", name=mlflow).first.click()
    run = opened.value
    run.get_by_text(title, exact=True).first.wait_for()
    return run


def choose_partitions(page: "Page", *scenarios: str) -> None:
    """In the dialog that asks what to materialize, choose scenarios and no others."""
    page.get_by_text("Select a partition or create one").or_(page.get_by_placeholder("Select a partition")).click()
    for scenario in scenarios:
        page.locator(".dagster-popover").get_by_text(scenario, exact=True).first.click()
    chosen = f"{len(scenarios)} partition{'s' * (len(scenarios) > 1)}"
    page.get_by_text(chosen, exact=True).first.wait_for()
    page.get_by_text("Launch runs to materialize").click()  # closes the list


def _picture(shown: "Page | Locator", path: Path) -> None:
    """Write what a page shows, or a part of it, as a small PNG."""
    from PIL import Image

    (shown.page if hasattr(shown, "page") else shown).wait_for_timeout(_STILL_MILLISECONDS)
    shown.screenshot(path=path)
    with Image.open(path) as shown:
        shown.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def _take_pictures(folder: Path, dagster: str, mlflow: str, scenario: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with browser_page(1600, 1180, scale=1.5) as page:
        open_graph(page, dagster)
        page.get_by_placeholder("Jump to").locator("xpath=following::button[1]").click()  # folds the list of assets
        for _ in range(2):  # folds the groups and unfolds them, for which all is fitted into the wider window anew
            page.keyboard.press("Alt+e")
            page.wait_for_timeout(_STILL_MILLISECONDS)
        page.mouse.move(400, 300)  # what is fitted stands too high, and under the buttons
        page.mouse.down()
        page.mouse.move(387, 430, steps=5)
        page.mouse.up()
        _picture(page, folder / "graph.png")
    with browser_page(_WIDTH, _HEIGHT, scale=1.5) as page:
        open_partition(page, dagster, "rendered_samples", scenario)
        metadata_row(page, "preview").evaluate("row => row.scrollIntoView()")
        _picture(page, folder / "partition.png")
        page.goto(f"{dagster}/automation")
        page.get_by_text("weekly_evaluation", exact=True).wait_for()
        _picture(page, folder / "automation.png")
    with browser_page(_WIDTH, _HEIGHT) as page:
        open_partition(page, dagster, "lora_adapter", scenario)
        _picture(open_plot(page, "loss_curve", "loss curve"), folder / "loss_curve.png")
        open_partition(page, dagster, "lora_adapter", scenario)
        run = open_mlflow_run(page, mlflow, f"lora_adapter/{scenario}")
        run.get_by_role("tab", name="Model metrics").click()
        run.get_by_role("button", name="Close").first.click()  # the assistant beside it
        _picture(run, folder / "mlflow.png")


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dagster", default=_DAGSTER)
    parser.add_argument("--mlflow", default=_MLFLOW)
    parser.add_argument("--scenario", default="address_extraction")
    asked = parser.parse_args()
    _take_pictures(asked.folder, asked.dagster, asked.mlflow, asked.scenario)


if __name__ == "__main__":
    main()
