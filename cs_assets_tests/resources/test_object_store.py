"""The store in an S3 bucket: as whole as in a folder, through kills, rivals on other hosts, and damage."""

import importlib.util
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from upath import UPath

from cs_assets.quality.review import ReviewLine, read_review, write_review
from cs_assets_tests.resources.test_store import (
    KEY,
    TABLE,
    DiskFull,
    everything,
    files,
    fill,
    materialize,
    never,
    read_as_file,
    write_new,
)
from resources.files import write_whole
from resources.model_folders import ModelFolder, ObjectModels
from resources.object_store import StoreError, fetched_file, place_of, scratch_of
from resources.store import Store, fingerprint

ROOT = Path(__file__).resolve().parents[2]
FOLDER = f"models/judge/scenario/{KEY[:16]}"
Elsewhere = Callable[[str], None]


@pytest.fixture
def on_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Elsewhere:
    """Go on as another host, which has a scratch folder of its own."""

    def go(name: str) -> None:
        monkeypatch.setenv("CS_SCRATCH", str(tmp_path / name))

    return go


def objects(root: str) -> list[str]:
    place = place_of(root)
    return sorted(name.removeprefix(place.path).lstrip("/") for name in place.fs.find(place.path))


def made(store: Store, make: Any = fill) -> tuple[ModelFolder, bool]:
    return store.cached_model("judge", "scenario", KEY, "tiny", make)


def of(name: str) -> Any:
    """Return what makes a model whose weights tell a name."""

    def make(folder: Path, work: Path) -> Mapping[str, float]:
        (folder / "weights").write_text(name, encoding="utf-8")
        return {}

    return make


def weights(store: Store, model: ModelFolder) -> str:
    return (Path(store.path_of(model)) / "weights").read_text(encoding="utf-8")


class TestPlaceOf:
    def test_a_missing_package_is_named_with_the_extra_that_brings_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(StoreError) as caught:
            Store(root="s3://bucket/prefix").location("tables")
        assert str(caught.value) == (
            "'s3://bucket/prefix': the package s3fs is not installed; pip install 'cs-assets[s3]'"
        )

    @pytest.mark.parametrize("root", ["simplecache::s3://bucket/store", "nosuch://bucket/store"])
    def test_what_can_keep_nothing_whole_is_refused_before_anything_is_made(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(StoreError) as caught:
            made(Store(root=root), never)
        assert root in str(caught.value)
        assert everything(tmp_path) == []

    def test_scratch_is_in_the_user_s_cache_unless_it_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("CS_SCRATCH", raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
        place = place_of("memory://bucket/prefix")
        assert scratch_of(place) == Path("/cache/cs-assets/scratch/memory/bucket/prefix")
        monkeypatch.setenv("CS_SCRATCH", "/scratch")
        assert scratch_of(place / "models") == Path("/scratch/memory/bucket/prefix/models")


class TestModels:
    def test_is_made_once_and_fetched_by_another_host(self, bucket: str, on_host: Elsewhere) -> None:
        store = Store(root=f"{bucket}/prefix")
        model, hit = made(store)
        assert not hit
        assert weights(store, model) == "trained"
        assert objects(store.root) == [f"{model.path}/manifest.json", f"{model.path}/weights"]
        assert Path(model.path).parent == Path(FOLDER)
        assert made(store, never) == (model, True)
        on_host("another")
        assert made(store, never) == (model, True)
        copy = Path(store.path_of(model))
        assert "another" in copy.parts
        assert files(copy) == ["manifest.json", "weights"]
        place_of(f"{store.root}/{model.path}/weights").write_text("exchanged")
        assert weights(store, model) == "trained"  # what was fetched once is not fetched again

    def test_a_failed_training_leaves_no_object_and_is_resumed_on_this_host(self, bucket: str) -> None:
        def fail(folder: Path, work: Path) -> Mapping[str, float]:
            fill(folder, work)
            (work / "checkpoint").write_text("half way")
            raise DiskFull

        def go_on(folder: Path, work: Path) -> Mapping[str, float]:
            assert (work / "checkpoint").read_text() == "half way"
            return fill(folder, work)

        with pytest.raises(DiskFull):
            made(Store(root=bucket), fail)
        assert objects(bucket) == []
        assert not made(Store(root=bucket), go_on)[1]

    def test_kill_9_before_the_manifest_leaves_no_visible_model_and_nothing_to_train_again(
        self, bucket: str, on_host: Elsewhere
    ) -> None:
        killed = subprocess.run([sys.executable, "-c", KILLED, bucket, KEY], cwd=ROOT, capture_output=True, text=True)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        [left] = objects(bucket)
        assert left.endswith("/weights")
        store = Store(root=bucket)
        half = ModelFolder(path=str(Path(left).parent), base="tiny", fingerprint=KEY)
        with pytest.raises(FileNotFoundError, match="Materialize the asset"):
            store.path_of(half)
        model, hit = made(store, never)  # its folder was complete on this host
        assert (model.path, hit) == (half.path, True)
        assert weights(store, model) == "killed"

    def test_what_a_killed_upload_of_another_host_left_is_no_model(self, bucket: str, on_host: Elsewhere) -> None:
        subprocess.run([sys.executable, "-c", KILLED, bucket, KEY], cwd=ROOT, capture_output=True, check=False)
        on_host("another")
        store = Store(root=bucket)
        model, hit = made(store)
        assert not hit
        assert weights(store, model) == "trained"
        assert files(Path(store.path_of(model))) == ["manifest.json", "weights"]

    @pytest.mark.parametrize(
        ("damage", "found"),
        [
            (lambda path: path.write_bytes(path.read_bytes()[:3]), "found 3 bytes with SHA-256"),
            (lambda path: path.write_text("Trained"), "found 7 bytes with SHA-256"),
            (lambda path: path.unlink(), "found nothing"),
        ],
        ids=["truncated", "overwritten", "removed"],
    )
    def test_a_damaged_folder_is_named_with_what_to_do(
        self, bucket: str, on_host: Elsewhere, tmp_path: Path, damage: Callable[[UPath], object], found: str
    ) -> None:
        store = Store(root=bucket)
        model, _ = made(store)
        damage(store.location(model.path, "weights"))
        on_host("another")
        with pytest.raises(StoreError) as caught:
            store.path_of(model)
        assert str(caught.value).startswith(f"{bucket}/{model.path}/weights: {found}")
        assert str(caught.value).endswith(
            f"remove {bucket}/{model.path} and materialize the asset that makes it again."
        )
        assert [name for name in files(tmp_path / "another") if not name.endswith(".lock")] == []

    @pytest.mark.parametrize(
        "damage", [lambda path: os.truncate(path, 3), lambda path: path.unlink()], ids=["cut", "gone"]
    )
    def test_a_damaged_copy_is_fetched_again(
        self, bucket: str, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], object]
    ) -> None:
        store = Store(root=bucket)
        model, _ = made(store)
        copy = Path(store.path_of(model))
        damage(copy / "weights")
        assert weights(store, model) == "trained"
        assert files(copy) == ["manifest.json", "weights"]
        assert f"{copy} is not as it was written; it is fetched again" in caplog.text

    def test_a_damaged_manifest_is_named_with_what_to_do(self, bucket: str) -> None:
        store = Store(root=bucket)
        model, _ = made(store)
        manifest = store.location(model.path, "manifest.json")
        manifest.write_text(manifest.read_text()[:20])
        for ask in (lambda: store.path_of(model), lambda: made(store, never)):
            with pytest.raises(StoreError, match=f"remove {bucket}/{model.path} and materialize the asset"):
                ask()

    def test_a_folder_that_was_removed_from_the_store_is_gone_here_too(self, bucket: str) -> None:
        store = Store(root=bucket)
        model, _ = made(store)
        place = store.location(model.path)
        place.fs.rm(place.path, recursive=True)
        with pytest.raises(FileNotFoundError, match="Materialize the asset"):
            store.path_of(model)
        assert not made(store)[1]

    def test_a_folder_that_holds_another_fingerprint_is_an_error_that_names_it(self, bucket: str) -> None:
        store = Store(root=bucket)
        made(store)
        with pytest.raises(RuntimeError, match="remove the folder"):
            store.cached_model("judge", "scenario", f"{KEY[:16]}other", "tiny", never)

    def test_of_two_hosts_the_first_that_is_done_is_found_by_both(self, bucket: str, on_host: Elsewhere) -> None:
        store = Store(root=bucket)
        first: list[ModelFolder] = []

        def slow(folder: Path, work: Path) -> Mapping[str, float]:
            on_host("fast")
            first.append(made(store, of("fast"))[0])
            on_host("slow")
            return of("slow")(folder, work)

        on_host("slow")
        assert made(store, slow) == (first[0], False)
        assert weights(store, first[0]) == "fast"
        assert files(Path(os.environ["CS_SCRATCH"]) / "s3" / bucket.removeprefix("s3://") / "made" / "models") == []

    def test_two_hosts_that_are_done_at_once_keep_what_they_made(
        self, bucket: str, on_host: Elsewhere, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = Store(root=bucket)
        models = []
        with monkeypatch.context() as patch:
            patch.setattr(ObjectModels, "_found", lambda self, wanted: None)
            for name in ("one", "two"):
                on_host(name)
                models.append(made(store, of(name))[0])
                time.sleep(1.1)  # S3 tells the time in seconds
        on_host("three")
        assert [weights(store, model) for model in models] == ["one", "two"]
        assert made(store, never) == (models[0], True)

    def test_threads_of_one_host_that_want_the_same_key_all_get_it_and_one_makes_it(self, bucket: str) -> None:
        def make(folder: Path, work: Path) -> Mapping[str, float]:
            time.sleep(0.2)  # long enough that the others are there
            return fill(folder, work)

        with ThreadPoolExecutor(4) as pool:
            got = list(pool.map(lambda _: made(Store(root=bucket), make), range(4)))
        assert {model.path for model, _ in got} == {got[0][0].path}
        assert sorted(hit for _, hit in got) == [False] + [True] * 3

    def test_a_store_that_was_a_folder_may_be_copied_into_a_bucket(self, bucket: str, tmp_path: Path) -> None:
        model, _ = made(Store(root=str(tmp_path / "folder")))
        place = place_of(f"{bucket}/prefix")
        place.fs.put(f"{tmp_path}/folder/", f"{place.path}/", recursive=True)
        store = Store(root=str(place))
        assert made(store, never) == (model, True)
        assert weights(store, model) == "trained"

    def test_the_lock_of_a_stage_is_this_host_s(self, bucket: str, on_host: Elsewhere) -> None:
        store = Store(root=bucket)
        with store.lock("release"):
            assert objects(bucket) == []
            on_host("another")
            with store.lock("release"):
                pass


# Run as `python -c KILLED root key`: it dies when all is uploaded but the manifest.
KILLED = """
import os, signal, sys
from s3fs import S3FileSystem
from resources.store import Store

whole = S3FileSystem._put_file

async def put_file(self, local, remote, **options):
    if remote.endswith("manifest.json"):
        os.kill(os.getpid(), signal.SIGKILL)
    await whole(self, local, remote, **options)

def make(folder, work):
    (folder / "weights").write_text("killed")
    return {}

S3FileSystem._put_file = put_file
Store(root=sys.argv[1]).cached_model("judge", "scenario", sys.argv[2], "tiny", make)
"""


class TestTables:
    def test_a_cached_table_is_made_once_and_keeps_its_note(self, bucket: str) -> None:
        store = Store(root=bucket)
        assert store.cached_table("predictions", KEY, lambda: (TABLE, "http://run"))[1:] == (False, "http://run")
        found, hit, note = store.cached_table("predictions", KEY, never)
        assert (hit, note) == (True, "http://run")
        assert fingerprint(table=found) == fingerprint(table=TABLE)

    def test_tables_and_records_come_back_through_the_io_managers(
        self, bucket: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.DEBUG):
            _, seen = materialize(f"{bucket}/prefix")
        assert bucket.removeprefix("s3://") in caplog.text
        assert os.environ["AWS_SECRET_ACCESS_KEY"] not in caplog.text
        assert_frame_equal(seen["table"], TABLE)
        assert seen["record"].name == "第一"
        assert objects(f"{bucket}/prefix") == ["records/record/地址.json", "tables/table/地址.parquet"]
        kept = Store(root=f"{bucket}/prefix").table("table", "地址")
        assert kept is not None
        assert_frame_equal(kept, TABLE)

    @pytest.mark.parametrize("kind", ["s3", "memory"])
    def test_an_asset_that_asks_for_a_path_is_given_a_copy_of_the_table(self, bucket: str, kind: str) -> None:
        root = bucket if kind == "s3" else "memory://a-copy"
        _, [file] = read_as_file(root)
        assert file.is_relative_to(os.environ["CS_SCRATCH"])
        assert_frame_equal(pl.read_parquet(file), TABLE)

    def test_a_copy_is_fetched_once_and_again_when_the_table_is_another(self, bucket: str, tmp_path: Path) -> None:
        place = place_of(bucket) / "tables" / "splits" / "地址.parquet"
        with pytest.raises(FileNotFoundError):
            fetched_file(place)
        write_whole(place, TABLE.write_parquet)
        first = fetched_file(place)
        before = first.stat().st_ino
        assert fetched_file(place).stat().st_ino == before
        write_whole(place, TABLE.head(1).write_parquet)
        second = fetched_file(place)
        assert [pl.read_parquet(path).height for path in (first, second)] == [3, 1]
        os.utime(first, (1, 1))
        fetched_file(place)
        assert [path.name for path in second.parent.iterdir()] == [second.name]

    def test_an_upload_that_breaks_leaves_the_old_object(self, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
        from s3fs import S3FileSystem, core

        whole = S3FileSystem._call_s3

        async def broken(self: Any, method: str, *arguments: Any, **options: Any) -> Any:
            called.append(method)
            if method == "complete_multipart_upload":
                raise ConnectionError("the cable")
            return await whole(self, method, *arguments, **options)

        called: list[str] = []
        place = place_of(bucket) / "table"
        write_whole(place, write_new)
        with monkeypatch.context() as patch:
            patch.setattr(core, "calculate_chunksize", lambda size, chunksize=None: 5 * 2**20)
            patch.setattr(S3FileSystem, "_call_s3", broken)
            with pytest.raises(ConnectionError):
                write_whole(place, lambda beside: beside.write_bytes(bytes(11 * 2**20)))
        assert called.count("upload_part") == 3
        assert called[-1] == "abort_multipart_upload"
        assert place.read_text() == "new"

    def test_a_bucket_whose_name_is_mistyped_is_not_made(self, bucket: str) -> None:
        with pytest.raises(FileNotFoundError):
            materialize(f"{bucket}-2/prefix")
        assert not place_of(bucket).fs.exists(f"{bucket}-2")


def test_verdicts_are_read_and_written_in_the_store(bucket: str) -> None:
    place = Store(root=bucket).location("reviews", "场景.jsonl")
    line = ReviewLine(sample_id="train-1", message="人民路6号", answer="{}", score=0.5)
    assert read_review(place) == ([], [])
    write_review(place, [line])
    decided = json.loads(place.read_text(encoding="utf-8")) | {"verdict": "正确"}
    place.write_text(json.dumps(decided, ensure_ascii=False) + "\n", encoding="utf-8")
    assert write_review(place, [line]) == [line.model_copy(update={"verdict": "正确"})]
