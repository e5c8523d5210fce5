"""A real backfill over two partitions, on SQLite and on PostgreSQL, and the page of partitions while it is at work."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import yaml

from benchmarks import backfill
from benchmarks.postgres import postgres_folder

NO_POSTGRES = pytest.mark.skipif(
    postgres_folder() is None or importlib.util.find_spec("dagster_postgres") is None,
    reason="needs PostgreSQL (apt-get install postgresql) and the extra `postgres`",
)


@pytest.mark.parametrize("storage", ["sqlite", pytest.param("postgres", marks=NO_POSTGRES)])
def test_a_backfill_ends_well_and_nothing_is_locked(
    storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(backfill, "_REPEATS", 1)
    options = f"--scenarios 3 --partitions 2 --storage {storage}"
    monkeypatch.setattr(sys, "argv", f"backfill {options} --work {tmp_path} --json".split())
    backfill.main()
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["backfill"] == "COMPLETED_SUCCESS"
    assert found["runs"] == {"SUCCESS": 2}
    assert (found["partitions"], found["materialized"]) == (3, 2)
    assert found["troubles"] == dict.fromkeys(backfill.TROUBLES, 0)
    assert found["command"] == f"python -m benchmarks.backfill {options} --json"
    assert (tmp_path / "dagster" / "history" / "runs.db").is_file() == (storage == "sqlite")
    made = sorted(path.stem for path in (tmp_path / "out" / "tables" / backfill.STAGES[-1]).iterdir())
    assert made == ["scenario_0000", "scenario_0001"]


def test_a_trouble_is_found_in_a_log_and_in_a_database(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "err").write_text("x\nsqlite3.OperationalError: database is locked\n", encoding="utf-8")
    (tmp_path / "events.db").write_bytes(b"\0database is locked\0deadlock detected")
    assert backfill.troubles(tmp_path) == {"database is locked": 2, "too many clients": 0, "deadlock detected": 1}


def test_the_two_configs_of_an_instance_differ_in_the_storage_alone() -> None:
    configs = {name: yaml.safe_load(path.read_text(encoding="utf-8")) for name, path in backfill.CONFIGS.items()}
    storages = {name: config.pop("storage") for name, config in configs.items()}
    assert configs["sqlite"] == configs["postgres"]
    assert {name: list(storage) for name, storage in storages.items()} == {name: [name] for name in configs}
