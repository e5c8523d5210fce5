"""The store: whole or not at all, kept under a fingerprint, through failures, kills and rivals."""

import contextlib
import errno
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest
from filelock import FileLock
from polars.testing import assert_frame_equal
from pydantic import BaseModel
from upath import UPath

from resources.files import DiskFull, room_for, write_whole
from resources.model_folders import KEEP_CHECKPOINTS_SECONDS
from resources.object_store import StoreError
from resources.store import (
    ModelFolder,
    RecordIOManager,
    Store,
    TableIOManager,
    fingerprint,
    first_rows,
    io_managers,
    preview,
)

ROOT = Path(__file__).resolve().parents[2]
KEY = fingerprint(what="a test")
TABLE = pl.DataFrame({"姓名": ["张三", "李|四", None], "tags": [["a"], [], ["b", "c"]], "_hidden": [1, 2, 3]})


@pytest.fixture(autouse=True)
def scratch_is_the_test_s_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes into an object store is made in the user's cache, unless another folder is named."""
    monkeypatch.setenv("CS_SCRATCH", str(tmp_path_factory.mktemp("scratch")))


class Broken(Exception):
    """What ends a training before it is done."""


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def files(folder: Path) -> list[str]:
    return [name for name in everything(folder) if (folder / name).is_file()]


def fill(folder: Path, work: Path) -> Mapping[str, float]:
    """Make a model of one file."""
    (folder / "weights").write_text("trained", encoding="utf-8")
    return {"loss": 0.5}


def write_new(path: Path) -> None:
    path.write_text("new")


def never(*_: Any) -> Any:
    raise AssertionError("made again")


class TestFullDisk:
    @pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), RuntimeError("unexpected pos 64 vs 0")])
    def test_a_file_is_not_seen_and_what_to_do_is_said_whoever_writes_it(
        self, small_disk: Path, error: Exception
    ) -> None:
        def write(path: Path) -> None:
            with contextlib.suppress(OSError):
                path.write_bytes(bytes(1 << 20))
            raise error  # as torch, which says nothing of the disk

        with pytest.raises(DiskFull, match=rf"{small_disk / 'table'}: no space is left on its disk. Make room"):
            write_whole(UPath(small_disk / "table"), write)
        assert everything(small_disk) == []
        write_whole(UPath(small_disk / "table"), write_new)

    @pytest.mark.parametrize("names", [("{}/psm_1",), ("/source", None, "{}/folder/copy")], ids=["write", "copy"])
    def test_a_file_of_another_disk_that_is_full_is_named_itself(
        self, small_disk: Path, tmp_path: Path, names: tuple[str | None, ...]
    ) -> None:
        full = [name and name.format(small_disk) for name in names]
        with pytest.raises(DiskFull, match=rf"^{full[-1]}: no space is left on its disk"), room_for(tmp_path / "model"):
            raise OSError(errno.ENOSPC, "No space left", *full)

    def test_a_file_of_another_disk_that_is_gone_is_not_what_was_full(self, small_disk: Path, tmp_path: Path) -> None:
        with contextlib.suppress(OSError):
            (small_disk / "large").write_bytes(bytes(1 << 20))
        with pytest.raises(DiskFull, match=f"^{small_disk / 'model'}: "), room_for(small_disk / "model"):
            (tmp_path / "gone").read_bytes()

    def test_a_file_beside_it_that_did_not_fit_is_not_named(self, tmp_path: Path) -> None:
        with pytest.raises(DiskFull, match=f"^{tmp_path / 'model'}: "), room_for(tmp_path / "model"):
            raise OSError(errno.ENOSPC, "No space left", str(tmp_path / ".model.0123" / "weights"))

    def test_a_table_and_a_model_are_not_seen_and_can_be_made_when_there_is_room(self, small_disk: Path) -> None:
        store, large = (
            Store(root=str(small_disk)),
            pl.DataFrame({"a": random.Random(1).sample(range(1 << 60), 100_000)}),
        )

        def checkpoint(folder: Path, work: Path) -> Mapping[str, float]:
            (work / "checkpoint").write_bytes(bytes(1 << 20))
            return {}

        with pytest.raises(DiskFull, match="Make room"):
            store.cached_table("predictions", KEY, lambda: (large, ""))
        with pytest.raises(DiskFull, match="Make room"):
            store.cached_model("judge", "scenario", KEY, "tiny", checkpoint)
        assert [path for path in small_disk.glob("[!w]*/**/*") if path.is_file()] == []
        (small_disk / "work" / "judge" / "scenario" / KEY[:16] / "checkpoint").unlink()
        assert not store.cached_table("predictions", KEY, lambda: (TABLE, ""))[1]
        assert not store.cached_model("judge", "scenario", KEY, "tiny", fill)[1]

    def test_an_object_is_made_in_the_scratch_folder_which_is_named_where_it_is_full(
        self, small_disk: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CS_SCRATCH", str(small_disk))
        place = UPath("memory://full-scratch/table")
        with pytest.raises(DiskFull, match=f"^{small_disk}/.*: no space is left on its disk. Make room"):
            write_whole(place, lambda path: path.write_bytes(bytes(1 << 20)))
        assert not place.exists()
        write_whole(place, write_new)
        assert place.read_text() == "new"
        assert files(small_disk) == []

    def test_another_error_stays_what_it_is(self, small_disk: Path) -> None:
        def fail(path: Path) -> None:
            raise Broken

        with pytest.raises(Broken):
            write_whole(UPath(small_disk / "table"), fail)


class TestWriteWhole:
    def test_puts_the_file_in_its_place_and_makes_folders(self, tmp_path: Path) -> None:
        write_whole(UPath(tmp_path / "a" / "b.txt"), write_new)
        assert files(tmp_path) == ["a/b.txt"]
        assert (tmp_path / "a" / "b.txt").read_text() == "new"

    def test_a_failure_leaves_the_old_content_and_nothing_else(self, tmp_path: Path) -> None:
        def half(path: Path) -> None:
            path.write_text("ha")
            raise Broken

        target = tmp_path / "b.txt"
        target.write_text("old")
        with pytest.raises(Broken):
            write_whole(UPath(target), half)
        assert everything(tmp_path) == ["b.txt"]
        assert target.read_text() == "old"
        with pytest.raises(Broken):
            write_whole(UPath(tmp_path / "c.txt"), half)
        assert everything(tmp_path) == ["b.txt"]

    def test_an_object_store_gets_the_whole_object_or_none(self) -> None:
        place = UPath("memory://write-whole/b.txt")
        write_whole(place, write_new)
        with pytest.raises(AssertionError, match="made again"):
            write_whole(place, never)
        assert place.read_text() == "new"


class TestFingerprint:
    def test_does_not_depend_on_the_order_of_arguments_and_keys(self) -> None:
        assert fingerprint(a=1, b={"x": 1, "y": 2}) == fingerprint(b={"y": 2, "x": 1}, a=1)

    def test_pydantic_models_count_at_any_depth(self) -> None:
        folder = ModelFolder(path="p", base="b", fingerprint="f")
        assert fingerprint(a=[folder]) == fingerprint(a=[folder.model_dump(mode="json")])
        with pytest.raises(TypeError, match="plain values, not of"):
            fingerprint(a=[Path("p")])

    def test_depends_on_every_name_and_value(self) -> None:
        prints = [fingerprint(a=1), fingerprint(b=1), fingerprint(a="1"), fingerprint(a=1, b=1), fingerprint(a=None)]
        assert len(set(prints)) == len(prints)

    def test_a_frame_counts_by_its_content(self) -> None:
        whole = TABLE.head(2)
        assert fingerprint(table=pl.concat([whole.head(1), whole.tail(1)], rechunk=False)) == fingerprint(table=whole)
        changed = [
            TABLE.reverse(),
            TABLE.head(2),
            TABLE.rename({"姓名": "名字"}),
            TABLE.select("tags", "姓名", "_hidden"),
            TABLE.with_columns(pl.col("_hidden").cast(pl.Int32)),
            TABLE.with_columns(pl.col("姓名").fill_null("")),
        ]
        assert len({fingerprint(table=table) for table in [TABLE, *changed]}) == len(changed) + 1

    def test_a_frame_with_nulls_counts_the_same_before_and_after_the_store(self, tmp_path: Path) -> None:
        store = Store(root=str(tmp_path))
        made, found = (store.cached_table("predictions", KEY, lambda: (TABLE, ""))[0] for _ in range(2))
        assert_frame_equal(made, found)
        assert fingerprint(table=made) == fingerprint(table=found)

    def test_a_model_counts_by_its_fields(self) -> None:
        one, two = (ModelFolder(path="p", base="b", fingerprint=name) for name in "xy")
        assert fingerprint(model=one) == fingerprint(model=one.model_copy())
        assert fingerprint(model=one) != fingerprint(model=two)


@pytest.mark.parametrize("root", ["folder", "memory://cached-table"])
def test_a_cached_table_is_made_once_and_keeps_its_note(tmp_path: Path, root: str) -> None:
    store = Store(root=root if "://" in root else str(tmp_path))
    made, hit, note = store.cached_table("predictions", KEY, lambda: (TABLE, "http://run"))
    assert (hit, note) == (False, "http://run")
    found, hit, note = store.cached_table("predictions", KEY, never)
    assert (hit, note) == (True, "http://run")
    assert_frame_equal(made, found)


def test_a_cached_table_that_was_damaged_is_made_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store, place = Store(root=str(tmp_path)), tmp_path / "cache" / "predictions" / f"{KEY}.parquet"
    store.cached_table("predictions", KEY, lambda: (TABLE, "http://run"))
    whole = place.read_bytes()
    for damaged in (whole[:-20], b"", whole[:30] + b"X" + whole[31:]):
        place.write_bytes(damaged)
        made, hit, _ = store.cached_table("predictions", KEY, lambda: (TABLE, "http://run"))
        assert not hit
        assert_frame_equal(made, TABLE)
        assert place.read_bytes() == whole
    assert caplog.text.count(f"{place} is not as it was written; it is made again") == 3


def without_seal(table: bytes) -> bytes:
    """Flip a bit in the name of the seal, so that nobody finds it, and the name is no text to the parser."""
    return table.replace(b"cs_assets:sha256", b"\xe3s_assets:sha256")


def test_a_damaged_table_whose_seal_is_not_found_is_made_again_and_is_none_of_an_asset(tmp_path: Path) -> None:
    store, place = Store(root=str(tmp_path)), tmp_path / "cache" / "predictions" / f"{KEY}.parquet"
    store.cached_table("predictions", KEY, lambda: (TABLE, ""))
    whole = place.read_bytes()
    of_asset = tmp_path / "tables" / "splits" / "地址.parquet"
    of_asset.parent.mkdir(parents=True)
    for damaged in (b"PAR1", without_seal(whole)):
        place.write_bytes(damaged)
        assert not store.cached_table("predictions", KEY, lambda: (TABLE, ""))[1]
        assert place.read_bytes() == whole
        of_asset.write_bytes(damaged)
        with pytest.raises(StoreError, match="this is not what splits has written, the file is damaged"):
            store.table("splits", "地址")


def test_a_table_that_could_not_be_made_is_not_cached(tmp_path: Path) -> None:
    store = Store(root=str(tmp_path))
    with pytest.raises(AssertionError, match="made again"):
        store.cached_table("predictions", KEY, never)
    assert files(tmp_path) == []


class TestCachedModel:
    def test_is_made_once(self, tmp_path: Path) -> None:
        store = Store(root=str(tmp_path))
        made, hit = store.cached_model("judge", "scenario", KEY, "tiny", fill)
        assert not hit
        assert store.cached_model("judge", "scenario", KEY, "tiny", never) == (made, True)
        assert (made.base, made.fingerprint, made.metrics) == ("tiny", KEY, {"loss": 0.5})
        assert (Path(store.path_of(made)) / "weights").read_text() == "trained"
        lock = f"work/judge/scenario/{KEY[:16]}.lock"
        assert files(tmp_path) == [f"{made.path}/manifest.json", f"{made.path}/weights", lock]

    def test_a_failure_leaves_nothing_but_the_work_folder(self, tmp_path: Path) -> None:
        def fail(folder: Path, work: Path) -> Mapping[str, float]:
            fill(folder, work)
            (work / "checkpoint").write_text("half way")
            raise Broken

        def go_on(folder: Path, work: Path) -> Mapping[str, float]:
            assert (work / "checkpoint").read_text() == "half way"
            return fill(folder, work)

        store = Store(root=str(tmp_path))
        with pytest.raises(Broken):
            store.cached_model("judge", "scenario", KEY, "tiny", fail)
        work = f"work/judge/scenario/{KEY[:16]}"
        assert files(tmp_path) == [f"{work}.lock", f"{work}/checkpoint"]
        assert list((tmp_path / "models" / "judge" / "scenario").iterdir()) == []
        made, hit = store.cached_model("judge", "scenario", KEY, "tiny", go_on)
        assert not hit
        assert not (tmp_path / "work" / "judge" / "scenario" / KEY[:16]).exists()
        assert store.path_of(made)

    def test_a_folder_that_holds_another_fingerprint_is_an_error_that_names_it(self, tmp_path: Path) -> None:
        store = Store(root=str(tmp_path))
        store.cached_model("judge", "scenario", KEY, "tiny", fill)
        with pytest.raises(RuntimeError, match="remove the folder"):
            store.cached_model("judge", "scenario", f"{KEY[:16]}other", "tiny", never)

    def test_a_model_folder_that_is_gone_is_an_error_that_says_what_to_do(self, tmp_path: Path) -> None:
        gone = ModelFolder(path="models/judge/scenario/gone", base="tiny", fingerprint=KEY)
        with pytest.raises(FileNotFoundError, match="Materialize the asset"):
            Store(root=str(tmp_path)).path_of(gone)

    @pytest.mark.parametrize(("left", "found"), [(3, "3 bytes"), (None, "nothing")])
    def test_a_model_folder_that_was_cut_is_an_error_that_says_what_to_do(
        self, tmp_path: Path, left: int | None, found: str
    ) -> None:
        store = Store(root=str(tmp_path))
        made, _ = store.cached_model("judge", "scenario", KEY, "tiny", fill)
        folder = tmp_path / made.path
        (folder / "weights").unlink() if left is None else os.truncate(folder / "weights", left)
        said = (
            rf"weights: found {found}, was written as 7 bytes. The folder is damaged: remove {folder} and materialize"
        )
        with pytest.raises(StoreError, match=said):
            store.path_of(made)
        with pytest.raises(StoreError, match=said):
            store.cached_model("judge", "scenario", KEY, "tiny", never)

    def test_a_model_folder_that_lost_its_manifest_is_made_again(self, tmp_path: Path) -> None:
        store = Store(root=str(tmp_path))
        folder = tmp_path / store.cached_model("judge", "scenario", KEY, "tiny", fill)[0].path
        (folder / "manifest.json").unlink()
        (folder / "other").touch()
        made, hit = store.cached_model("judge", "scenario", KEY, "tiny", fill)
        assert not hit
        assert files(Path(store.path_of(made))) == ["manifest.json", "weights"]

    @pytest.mark.parametrize("scheme", ["file://", "local://", "file:"])
    def test_a_file_url_is_the_folder_that_it_names(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
    ) -> None:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        monkeypatch.chdir(elsewhere)
        root = f"{scheme}{tmp_path}/store"
        made, _ = Store(root=root).cached_model("judge", "scenario", KEY, "tiny", fill)
        assert Store(root=root).path_of(made) == Store(root=f"{tmp_path}/store").path_of(made)
        assert (tmp_path / "store" / made.path / "weights").read_text() == "trained"
        Store(root=root).cached_table("predictions", KEY, lambda: (TABLE, ""))
        assert Store(root=f"{tmp_path}/store").cached_table("predictions", KEY, never)[1]
        assert everything(elsewhere) == []

    def test_what_killed_runs_of_other_keys_left_goes_and_what_they_may_resume_from_stays(self, tmp_path: Path) -> None:
        store = Store(root=str(tmp_path))
        work, models = tmp_path / "work" / "judge" / "scenario", tmp_path / "models" / "judge" / "scenario"
        week_ago = time.time() - KEEP_CHECKPOINTS_SECONDS - 60
        for key in ("old", "recent", "busy"):
            (models / f".{key}.0123").mkdir(parents=True)
            (work / key).mkdir(parents=True)
            (work / key / "checkpoint").touch()
            if key != "recent":
                os.utime(work / key / "checkpoint", (week_ago, week_ago))
                os.utime(work / key, (week_ago, week_ago))
        with FileLock(work / "busy.lock"):
            made, _ = store.cached_model("judge", "scenario", KEY, "tiny", fill)
        assert {path.name for path in models.iterdir()} == {".busy.0123", Path(made.path).name}
        assert {path.name for path in work.iterdir() if path.is_dir()} == {"recent", "busy"}

    def test_a_lock_of_another_user_stops_nobody(self, tmp_path: Path) -> None:
        store = Store(root=str(tmp_path))
        (tmp_path / "work" / "judge" / "scenario" / "foreign").mkdir(parents=True)
        # A folder in the lock's place: it cannot be opened, as another user's file cannot, also not by root.
        (tmp_path / "work" / "judge" / "scenario" / "foreign.lock").mkdir()
        assert store.path_of(store.cached_model("judge", "scenario", KEY, "tiny", fill)[0])

    def test_the_work_folder_of_a_finished_model_goes_at_once(self, tmp_path: Path) -> None:
        store = Store(root=str(tmp_path))
        store.cached_model("judge", "scenario", KEY, "tiny", fill)
        left = tmp_path / "work" / "judge" / "scenario" / KEY[:16]
        left.mkdir()
        store.cached_model("judge", "scenario", fingerprint(another="key"), "tiny", fill)
        assert not left.exists()


# Run as `python -c MAKER root key name rival`. A maker goes on when its rival is there and has had time to be done.
MAKER = """
import sys, time
from pathlib import Path
from resources.store import Store

root, key, name, rival = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]

def wait_until_there(path, seconds):
    deadline = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)

def make(folder, work):
    (folder / "weights").write_text(name)
    (work / f"checkpoint-{name}").write_text("half way")
    (root / f"making-{name}").touch()
    wait_until_there(root / f"here-{rival}", 60)
    wait_until_there(root / f"done-{rival}", 1)
    (work / "checkpoint-last").write_text("nearly done")
    return {"loss": 0.5}

(root / f"here-{name}").touch()
Store(root=str(root)).cached_model("judge", "scenario", key, "tiny", make)
(root / f"done-{name}").touch()
"""


def maker(root: Path, name: str, rival: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", MAKER, str(root), KEY, name, rival]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def finish(*processes: subprocess.Popen[str]) -> list[tuple[int, str]]:
    outcomes = []
    for process in processes:
        _, errors = process.communicate(timeout=60)
        outcomes.append((process.returncode, errors))
    return outcomes


def wait_until_there(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)


def test_kill_9_in_the_middle_leaves_no_visible_model_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    process = maker(tmp_path, "killed", rival="never")
    wait_until_there(tmp_path / "making-killed")
    process.send_signal(signal.SIGKILL)
    assert finish(process)[0][0] == -signal.SIGKILL
    place = tmp_path / "models" / "judge" / "scenario"
    assert [path.name for path in place.iterdir() if not path.name.startswith(".")] == []
    assert list(tmp_path.rglob("manifest.json")) == []

    def go_on(folder: Path, work: Path) -> Mapping[str, float]:
        assert (work / "checkpoint-killed").read_text() == "half way"
        assert list(folder.iterdir()) == []
        return fill(folder, work)

    store = Store(root=str(tmp_path))
    made, hit = store.cached_model("judge", "scenario", KEY, "tiny", go_on)
    assert not hit
    assert files(Path(store.path_of(made))) == ["manifest.json", "weights"]
    assert [path.name for path in place.iterdir()] == [KEY[:16]]  # what the killed one had begun is gone


def test_of_two_processes_that_want_the_same_key_one_makes_it_and_the_other_finds_it(tmp_path: Path) -> None:
    outcomes = finish(maker(tmp_path, "one", rival="two"), maker(tmp_path, "two", rival="one"))
    assert outcomes == [(0, ""), (0, "")]
    [made] = tmp_path.glob("making-*")
    place = tmp_path / "models" / "judge" / "scenario"
    assert [path.name for path in place.iterdir()] == [KEY[:16]]
    assert made.name == f"making-{(place / KEY[:16] / 'weights').read_text()}"
    assert json.loads((place / KEY[:16] / "manifest.json").read_text())["fingerprint"] == KEY


def test_many_threads_that_want_the_same_key_all_get_it_and_one_makes_it(tmp_path: Path) -> None:
    store = Store(root=str(tmp_path))

    def make(folder: Path, work: Path) -> Mapping[str, float]:
        time.sleep(0.05)  # long enough that the others are there
        return fill(folder, work)

    for round_ in range(20):
        key = fingerprint(round=round_)
        together = threading.Barrier(8)

        def get(_: int, key: str = key, together: threading.Barrier = together) -> tuple[ModelFolder, bool]:
            together.wait(timeout=10)
            return store.cached_model("j", "s", key, "tiny", make)

        with ThreadPoolExecutor(8) as pool:
            got = list(pool.map(get, range(8)))
        assert [folder for folder, _ in got] == [got[0][0]] * 8
        assert sorted(hit for _, hit in got) == [False] + [True] * 7
    assert len(list((tmp_path / "models" / "j" / "s").iterdir())) == 20


def test_a_rival_that_comes_later_waits_and_does_not_take_the_work_folder_away(tmp_path: Path) -> None:
    slow = maker(tmp_path, "slow", rival="fast")
    wait_until_there(tmp_path / "making-slow")
    assert finish(slow, maker(tmp_path, "fast", rival="slow")) == [(0, ""), (0, "")]
    assert not (tmp_path / "making-fast").exists()
    assert not (tmp_path / "work" / "judge" / "scenario" / KEY[:16]).exists()


class TestPreview:
    def test_keeps_pipes_and_line_breaks_inside_their_cell(self) -> None:
        text = preview(pl.DataFrame({"text": ["a|b\nc"], "list": [["x|y"]]}))
        assert text == '| text | list |\n| --- | --- |\n| a\\|b ↵ c | ["x\\|y"] |'

    def test_cuts_long_cells_and_rows_and_hides_private_columns(self) -> None:
        table = pl.DataFrame({"text": ["x" * 200] * 20, "_private": ["secret"] * 20})
        lines = preview(table, rows=3).splitlines()
        assert len(lines) == 5
        assert all(len(line) < 100 for line in lines)
        assert "secret" not in "".join(lines)

    def test_an_empty_table_says_so(self) -> None:
        assert preview(pl.DataFrame({"a": []})) == "none"

    def test_figures_are_as_long_as_a_person_reads(self) -> None:
        table = pl.DataFrame({"figure": [0.0796460211277008, 61.76923, 2e-5, 123456.7, 1.0, float("nan"), None]})
        assert preview(table).splitlines()[2:] == [
            "| 0.07965 |",
            "| 61.77 |",
            "| 2e-05 |",
            "| 123457 |",
            "| 1 |",
            "| nan |",
            "| None |",
        ]


class TestFirstRows:
    def test_a_narrow_table_stands_as_it_is(self) -> None:
        table = pl.DataFrame({"text": ["a|b"] * 20, "score": [0.25] * 20, "_private": ["secret"] * 20})
        shown = first_rows(table)
        assert [column.name for column in shown.schema.columns] == ["text", "score"]
        assert [dict(record.data) for record in shown.records] == [{"text": "a|b", "score": "0.25"}] * 8

    def test_a_wide_table_lies_on_its_side_with_structs_under_the_names_of_their_slots(self) -> None:
        place = {"param": {"省": "广东省", "市": "深圳市"}}
        table = pl.DataFrame(
            {"地址": [place] * 9, **{name: list(range(9)) for name in "abcde"}, "tags": [["快", "急"]] * 9}
        )
        shown = first_rows(table)
        assert [column.name for column in shown.schema.columns] == ["column", "row 1", "row 2", "row 3"]
        assert dict(shown.records[1].data) == {"column": "地址.param.市", **{f"row {n}": "深圳市" for n in (1, 2, 3)}}
        assert dict(shown.records[2].data) == {"column": "a", "row 1": "0", "row 2": "1", "row 3": "2"}
        assert shown.records[-1].data["row 1"] == '["快", "急"]'

    def test_a_null_struct_and_no_rows_at_all_are_shown(self) -> None:
        table = pl.DataFrame({"a": [{"b": "x"}, None]})
        assert [dict(record.data) for record in first_rows(table).records] == [{"a.b": "x"}, {"a.b": "None"}]
        empty = first_rows(table.clear())
        assert (len(empty.records), [column.name for column in empty.schema.columns]) == (0, ["a.b"])


class Result(BaseModel):
    """A small record."""

    name: str
    scores: dict[str, float]


def materialize(root: str) -> tuple[dg.ExecuteInProcessResult, dict[str, Any]]:
    """Run a table and a record through the two IO managers, in one partition."""
    partitions = dg.StaticPartitionsDefinition(["地址", "b"])
    seen: dict[str, Any] = {}

    @dg.asset(partitions_def=partitions)
    def table() -> pl.DataFrame:
        return TABLE

    @dg.asset(partitions_def=partitions, io_manager_key="record_io_manager")
    def record(table: pl.DataFrame) -> Result:
        seen["table"] = table
        return Result(name="第一", scores={"f1": 0.5})

    @dg.asset(partitions_def=partitions)
    def reader(record: Result) -> None:
        seen["record"] = record

    result = dg.materialize([table, record, reader], partition_key="地址", resources=io_managers(root))
    return result, seen


def test_tables_and_records_come_back_through_the_io_managers(tmp_path: Path) -> None:
    result, seen = materialize(str(tmp_path))
    assert_frame_equal(seen["table"], TABLE)
    assert seen["record"] == Result(name="第一", scores={"f1": 0.5})
    assert {"tables/table/地址.parquet", "records/record/地址.json"} <= set(files(tmp_path))
    assert not [name for name in files(tmp_path) if Path(name).name.startswith(".")]
    metadata: Any = result.asset_materializations_for_node("table")[0].metadata
    assert metadata["dagster/row_count"].value == 3
    columns = metadata["dagster/column_schema"].value.columns
    assert [(column.name, column.type) for column in columns] == [
        ("姓名", "String"),
        ("tags", "List(String)"),
        ("_hidden", "Int64"),
    ]
    assert [record.data["姓名"] for record in metadata["preview"].value.records] == ["张三", "李|四", "None"]


@pytest.mark.parametrize("wanted", [pl.DataFrame, Path])
def test_an_asset_that_was_not_materialized_is_named_with_what_to_do(tmp_path: Path, wanted: type) -> None:
    @dg.asset
    def table() -> pl.DataFrame:
        return pl.DataFrame({"a": [1]})

    @dg.asset(ins={"table": dg.AssetIn(dagster_type=wanted)})
    def reader(table: Any) -> None: ...

    result = dg.materialize(
        [table, reader], resources=io_managers(str(tmp_path)), selection=[reader], raise_on_error=False
    )
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert "there is no table for this partition yet. Materialize it first" in str(failure.event_specific_data)


@pytest.mark.parametrize("wanted", [pl.DataFrame, Path])
def test_a_table_that_was_damaged_is_named_with_what_to_do(tmp_path: Path, wanted: type) -> None:
    @dg.asset
    def table() -> pl.DataFrame:
        return TABLE

    @dg.asset(ins={"table": dg.AssetIn(dagster_type=wanted)})
    def reader(table: Any) -> None: ...

    managers = io_managers(str(tmp_path))
    dg.materialize([table], resources=managers)
    os.truncate(tmp_path / "tables" / "table.parquet", 40)
    result = dg.materialize([table, reader], resources=managers, selection=[reader], raise_on_error=False)
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert "table.parquet: this is not what table has written" in str(failure.event_specific_data)
    assert "Materialize table again." in str(failure.event_specific_data)


def test_a_record_that_was_damaged_is_named_with_what_to_do(tmp_path: Path) -> None:
    @dg.asset(io_manager_key="record_io_manager")
    def record() -> Result:
        return Result(name="第一", scores={"f1": 0.5})

    @dg.asset
    def reader(record: Result) -> None: ...

    managers = io_managers(str(tmp_path))
    dg.materialize([record], resources=managers)
    os.truncate(tmp_path / "records" / "record.json", 20)
    result = dg.materialize([record, reader], resources=managers, selection=[reader], raise_on_error=False)
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert "Materialize record again." in str(failure.event_specific_data)


def read_as_file(root: str) -> tuple[dg.ExecuteInProcessResult, list[Path]]:
    """Materialize a table and a reader that asks for the place of it."""
    seen: list[Path] = []

    @dg.asset
    def table() -> pl.DataFrame:
        return TABLE

    @dg.asset
    def reader(table: Path) -> None:
        seen.append(table)

    return dg.materialize([table, reader], resources=io_managers(root), raise_on_error=False), seen


def test_an_asset_that_asks_for_a_path_is_given_the_place_of_the_table(tmp_path: Path) -> None:
    _, [file] = read_as_file(str(tmp_path))
    assert file == tmp_path / "tables" / "table.parquet"
    assert_frame_equal(pl.read_parquet(file), TABLE)


@pytest.mark.parametrize("root", ["out", "memory://tables-by-name"])
def test_a_table_is_found_by_asset_and_partition(root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a", "b"]))
    def table() -> pl.DataFrame:
        return TABLE

    monkeypatch.chdir(tmp_path)
    store = Store(root=root)
    assert store.table("table", "a") is None
    dg.materialize([table], partition_key="a", resources=io_managers(root))
    kept = store.table("table", "a")
    assert kept is not None
    assert_frame_equal(kept, TABLE)
    assert store.table("table", "b") is None


def test_the_io_managers_work_in_an_object_store() -> None:
    _, seen = materialize("memory://io-managers")
    assert_frame_equal(seen["table"], TABLE)
    assert seen["record"].name == "第一"


def test_the_io_managers_take_a_file_url_as_the_folder_that_it_names(tmp_path: Path) -> None:
    materialize(f"file://{tmp_path}")
    assert {"tables/table/地址.parquet", "records/record/地址.json"} <= set(files(tmp_path))
    assert not [name for name in files(tmp_path) if Path(name).name.startswith(".")]


@pytest.mark.parametrize("partition", ["../../x", "..", ".", "a/b", "/x", "a\\b"])
def test_a_partition_that_is_a_path_is_neither_read_nor_written_nor_removed(tmp_path: Path, partition: str) -> None:
    root = tmp_path / "a" / "b" / "store"
    (tmp_path / "a" / "x.parquet").parent.mkdir(parents=True)
    (tmp_path / "a" / "x.parquet").write_text("mine", encoding="utf-8")
    manager = io_managers(str(root))["io_manager"]
    defined = dg.StaticPartitionsDefinition([partition])
    output = dg.build_output_context(partition_key=partition, asset_key="told", asset_partitions_def=defined)
    with pytest.raises(ValueError, match="is no partition: it leads to another folder"):
        manager.handle_output(output, pl.DataFrame({"n": [1]}))
    with pytest.raises(ValueError, match="is no partition: it leads to another folder"):
        Store(root=str(root)).remove_partition(partition)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "a" / "x.parquet"]


def test_the_io_managers_are_named_by_what_they_keep(tmp_path: Path) -> None:
    managers = io_managers(str(tmp_path))
    assert isinstance(managers["io_manager"], TableIOManager)
    assert isinstance(managers["record_io_manager"], RecordIOManager)


def test_fingerprint_of_a_model_does_not_depend_on_the_order_of_its_dictionaries() -> None:
    first = ModelFolder(path="p", base="b", fingerprint="f", metrics={"a": 1.0, "b": 2.0})
    second = ModelFolder(path="p", base="b", fingerprint="f", metrics={"b": 2.0, "a": 1.0})
    assert fingerprint(value=first) == fingerprint(value=second)
