"""Fixtures that several test files share: a tiny model, an LLM endpoint, a small scenario, an S3 bucket."""

import os
import random
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from hypothesis import settings

from cs_assets.atoms.shipping import shipping_atoms
from cs_assets.families.base import Rendered, Scene
from cs_assets.families.syntax import SentenceTemplate
from cs_assets.quality.filtering import filter_samples
from cs_assets.quality.labelling import label_samples
from cs_assets.samples.render import render_samples
from cs_assets.scenario import Scenario, load_scenario
from cs_assets.templates.variants import template_variants
from cs_assets.training.splits import make_splits, real_style_split
from cs_assets_tests.llm_endpoint import Endpoint, serve
from cs_assets_tests.tiny_model import write_tiny_model

# The same numbers on every machine, and in the processes that tests start: bfloat16 is for those that have it.
os.environ["CS_PRECISION"] = "float32"
# Two workers on two cores, each with a thread for each core, mostly wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
SCENARIOS = Path(__file__).resolve().parent.parent / "data" / "scenarios"
# The same examples at every run: a property that fails, fails for everyone.
settings.register_profile("house", max_examples=40, deadline=None, derandomize=True)
settings.load_profile("house")
TINY_COUNTS = """
    variants_per_seed: 1
    judge: 16
    train: 16
    validation: 4
    test_iid: 4
    test_template_ood: 4
    test_entity_ood: 4
    test_noise: 4
    real_style: 3
"""


@pytest.fixture(autouse=True)
def tracking_uri_is_forgotten() -> Iterator[None]:
    """MLflow writes the server that was last used into the environment; the next test's processes would ask it."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    yield
    if before is None:
        os.environ.pop("MLFLOW_TRACKING_URI", None)
    else:
        os.environ["MLFLOW_TRACKING_URI"] = before


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny random-weight base model."""
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """An OpenAI-compatible endpoint on this machine."""
    with serve() as state:
        yield state


@pytest.fixture
def small_disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder on a disk of its own, of half a megabyte or what a test says."""
    place = tmp_path / "disk"
    place.mkdir()
    size = f"size={getattr(request, 'param', '512k')}"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", place], capture_output=True).returncode:
        pytest.skip("a disk of its own needs root: run the tests in `unshare -Urm`")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The URL of an S3 server on this machine."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty bucket, which the environment says how to reach, as it names the host's scratch folder."""
    from s3fs import S3FileSystem

    named = {
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nobodys-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    no_files = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    here = {"AWS_ENDPOINT_URL": s3_endpoint, "CS_SCRATCH": str(tmp_path / "scratch"), "NO_PROXY": "127.0.0.1"}
    for name, value in (named | no_files | here).items():
        monkeypatch.setenv(name, value)
    name = f"test-{uuid.uuid4().hex}"
    S3FileSystem().mkdir(name)
    return f"s3://{name}"


@pytest.fixture
def scenarios(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A writable copy of the scenarios folder, with counts for tests, that the code under test reads."""
    folder = tmp_path / "scenarios"
    copy_small_scenario(folder)
    monkeypatch.setenv("CS_SCENARIOS", str(folder))
    return folder


@pytest.fixture(scope="session")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    """`address_extraction` with counts for tests; nobody writes into its folder."""
    folder = tmp_path_factory.mktemp("shared") / "scenarios"
    copy_small_scenario(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CS_SCENARIOS", str(folder))
        return load_scenario("address_extraction")


@pytest.fixture(scope="session")
def seeds(scenario: Scenario) -> list[SentenceTemplate]:
    """The human-written templates, parsed."""
    return list(scenario.seeds().values())


@pytest.fixture(scope="session")
def atoms(scenario: Scenario) -> pl.DataFrame:
    """3,000 atoms: enough that the rare kinds of place occur."""
    return shipping_atoms(3000, scenario.spec.seed)


@pytest.fixture(scope="session")
def variants(scenario: Scenario, atoms: pl.DataFrame) -> pl.DataFrame:
    """Every seed with one rewrite."""
    return template_variants(scenario, atoms.head(3).to_dicts())


@pytest.fixture(scope="session")
def rendered(scenario: Scenario, variants: pl.DataFrame, atoms: pl.DataFrame) -> pl.DataFrame:
    """The samples of every fold."""
    return render_samples(scenario, variants, atoms)


@pytest.fixture(scope="session")
def labelled(scenario: Scenario, rendered: pl.DataFrame) -> pl.DataFrame:
    """The same with corrupted twins."""
    return label_samples(scenario, rendered)


@pytest.fixture(scope="session")
def splits(scenario: Scenario, labelled: pl.DataFrame) -> pl.DataFrame:
    """All splits: every labelled sample that breaks no rule, and three messages as people write them."""
    real, _ = scenario.real_style()
    return pl.concat([make_splits(filter_samples(labelled, {}, 0.0)), real_style_split(scenario, real, 3)])


def evaluated(check: Any, *arguments: Any) -> dg.AssetCheckResult:
    """Call an asset check as the plain function it is; one that fails says why."""
    result = check(dg.build_asset_check_context(), *arguments)
    assert isinstance(result, dg.AssetCheckResult)
    assert result.passed or result.description
    return result


def rendered_alone(scenario: Scenario, template: SentenceTemplate, atoms: Mapping[str, Any]) -> Rendered:
    """Render a template that needs no other."""
    return scenario.family.render(template, atoms, lone_scene(0))


def lone_scene(seed: int) -> Scene:
    """Return a scene that has no other template to offer."""

    def pick(unit: str) -> SentenceTemplate:
        raise LookupError(unit)

    return Scene(random.Random(seed), pick)


def copy_small_scenario(folder: Path) -> None:
    """Copy `address_extraction` into `folder` and make its demo profile tiny."""
    shutil.copytree(SCENARIOS / "address_extraction", folder / "address_extraction")
    spec = folder / "address_extraction" / "scenario.yaml"
    head, _ = spec.read_text(encoding="utf-8").split("counts:")
    spec.write_text(f"{head}counts:\n  demo:{TINY_COUNTS}  full:{TINY_COUNTS}", encoding="utf-8")
