"""Secrets: a marker stands for each, real runs succeed and fail, and no marker is in anything that was written."""

import base64
import json
import os
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from cs_assets_tests.conftest import copy_small_scenario
from cs_assets_tests.llm_endpoint import Endpoint, Reply, completion, failure, serve

ROOT = Path(__file__).resolve().parent.parent
MARKER = "sk-marker-51c0de"
# As it stands, and as it stands in the header of a request to an address with user and password.
FORMS = (MARKER.encode(), base64.b64encode(f"user:{MARKER}-url".encode()).rstrip(b"="))
SECRETS = {
    "OPENAI_API_KEY": f"{MARKER}-key",
    "OPENAI_MODEL": "m",
    "CS_FAILURE_WEBHOOK": f"http://127.0.0.1:9/{MARKER}-hook",
    "AWS_ACCESS_KEY_ID": f"{MARKER}-id",
    "AWS_SECRET_ACCESS_KEY": f"{MARKER}-secret",
    "HF_TOKEN": f"{MARKER}-hub",
    "DAGSTER_POSTGRES_URL": f"postgresql+psycopg2://user:{MARKER}-database@127.0.0.1/x",
}


def contents(path: Path) -> Iterator[bytes]:
    """Yield what a file holds, and what is compressed in it."""
    whole = path.read_bytes()
    yield whole
    if path.suffix == ".parquet":
        yield json.dumps(pl.read_parquet(path).to_dicts(), default=str).encode()
    if not whole.startswith(b"SQLite format 3"):
        return
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for row in (row for name in tables for row in database.execute(f'SELECT * FROM "{name}"')):
            for value in row:
                stored = value if isinstance(value, bytes) else str(value).encode()
                yield zlib.decompress(stored) if stored[:1] == b"\x78" and isinstance(value, bytes) else stored


def files_with_a_secret(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and any(form in content for content in contents(path) for form in FORMS)
    }


@pytest.fixture(scope="module")
def endpoint_with_password() -> Iterator[tuple[Endpoint, str]]:
    """An endpoint, and its address with a user, a password and a token in the query."""
    with serve() as state:
        yield state, state.url.replace("http://", f"http://user:{MARKER}-url@") + f"?token={MARKER}-query"


def materialize(work: Path, *assets: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Materialize assets as a person does, with all secrets in the environment; what is printed is kept as well."""
    places = {
        "DAGSTER_HOME": str(work / "home"),
        "CS_SCENARIOS": str(work.parent / "scenarios"),
        "CS_STORE": str(work / "out"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{work / 'mlflow.db'}",
        "PYTHONPATH": str(ROOT),
    }
    environment = os.environ | SECRETS | places | settings
    command = [sys.executable, "-m", "dagster", "asset", "materialize", "-m", "cs_assets.definitions"]
    finished = subprocess.run(
        [*command, "--select", ",".join(assets), "--partition", "address_extraction"],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
    )
    with (work / "printed").open("a", encoding="utf-8") as printed:
        printed.write(finished.stdout + finished.stderr)
    return finished


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Where runs write, and beside it the scenarios."""
    copy_small_scenario(tmp_path / "scenarios")
    (tmp_path / "work" / "home").mkdir(parents=True)
    (tmp_path / "work" / "home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    return tmp_path / "work"


def test_no_secret_is_in_anything_that_a_run_writes(work: Path, endpoint_with_password: tuple[Endpoint, str]) -> None:
    endpoint, url = endpoint_with_password
    repeated = f"我的密钥是{SECRETS['OPENAI_API_KEY']}，地址是{url}，打{{{{电话}}}}找{{{{名字.param.输出}}}}"

    def reply(prompt: str, nth: int) -> Reply:
        if nth > 3:
            return failure(401, f"Incorrect API key provided: {SECRETS['OPENAI_API_KEY']}, at {url}")
        if nth == 2:
            return failure(400, f"no credit at {url} for {SECRETS['OPENAI_API_KEY']}")
        return completion(json.dumps({"variants": [repeated]}, ensure_ascii=False))

    endpoint.reply = reply
    refused = materialize(work, "atomic_table", "template_variants", OPENAI_BASE_URL=url)
    assert refused.returncode != 0
    assert "check OPENAI_API_KEY" in refused.stderr
    endpoint.reply = lambda prompt, nth: completion(json.dumps({"variants": [repeated]}, ensure_ascii=False))
    done = materialize(work, "template_variants", OPENAI_BASE_URL=url)
    assert done.returncode == 0, done.stderr[-3000:]
    table = pl.read_parquet(work / "out" / "tables" / "template_variants" / "address_extraction.parquet")
    written = table.filter(pl.col("origin") == "llm")["text"]
    assert written.str.contains(r"我的密钥是\*\*\*").any(), "what the endpoint said is in the table, but for the secret"
    mlflow = f"http://user:{MARKER}-url@127.0.0.1:9"
    away = materialize(work, "template_variants", OPENAI_MODEL="", MLFLOW_TRACKING_URI=mlflow)
    assert "no MLflow server answers at http://127.0.0.1:9" in away.stderr
    for wanted in ("printed", "mlflow.db", "data/out/llm.sqlite"):
        assert (work / wanted).stat().st_size > 0
    assert list((work / "home").rglob("*.db")), "events and runs were looked through"
    assert list((work / "home").rglob("*.err")), "logs of processes, too"
    assert files_with_a_secret(work) == set()


def test_what_dagster_shows_of_the_resources_names_variables_and_not_what_they_hold() -> None:
    shown = """
from cs_assets.definitions import defs
from dagster._core.remote_representation.external_data import RepositorySnap
from dagster._serdes import serialize_value
print(serialize_value(RepositorySnap.from_def(defs.get_repository_def())))
"""
    addresses = {
        "MLFLOW_TRACKING_URI": f"http://user:{MARKER}-url@127.0.0.1:9",
        "OPENAI_BASE_URL": f"http://user:{MARKER}-url@127.0.0.1:9/v1?token={MARKER}",
    }
    environment = os.environ | SECRETS | addresses | {"PYTHONPATH": str(ROOT)}
    told = subprocess.run([sys.executable, "-c", shown], env=environment, capture_output=True, text=True, check=True)
    assert all(name in told.stdout for name in (*addresses, "OPENAI_API_KEY", "CS_FAILURE_WEBHOOK"))
    assert MARKER not in told.stdout + told.stderr


def test_a_secret_would_be_found_wherever_it_hides(tmp_path: Path) -> None:
    pl.DataFrame({"text": [f"{MARKER} " * 50]}).write_parquet(tmp_path / "compressed.parquet")
    (tmp_path / "header.log").write_bytes(b"Authorization: Basic " + base64.b64encode(f"user:{MARKER}-url".encode()))
    with sqlite3.connect(tmp_path / "snapshots.db") as database:
        database.execute("CREATE TABLE snapshots (body BLOB)")
        database.execute("INSERT INTO snapshots VALUES (?)", (zlib.compress(f"{MARKER} ".encode() * 50),))
    (tmp_path / "clean.txt").write_text("sk-", encoding="utf-8")
    assert files_with_a_secret(tmp_path) == {"compressed.parquet", "header.log", "snapshots.db"}
