"""The chaos benchmark on the first stages: kills in a row, a table like that of a run that nobody disturbed."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import chaos
from benchmarks.chain_place import Ground, Place
from cs_assets_tests.llm_endpoint import Endpoint


def test_killed_stages_end_as_undisturbed_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = f"chaos --only kill --kills 3 --until template_variants --work {tmp_path} --json"
    monkeypatch.setattr(sys, "argv", command.split())
    assert chaos.main() == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found["violations"] == 0
    assert (found["faults"]["kill"]["tried"], found["faults"]["kill"]["recovered"]) == (3, 3)
    assert sum(found["faults"]["kill"]["details"]["killed"].values()) == 3
    undisturbed, killed = (tmp_path / name / "data" / "out" / "tables" for name in ("undisturbed", "killed"))
    made = sorted(path.relative_to(undisturbed) for path in undisturbed.rglob("*.parquet"))
    assert [path.parts[0] for path in made] == ["atomic_table", "template_variants"]
    assert [(killed / path).read_bytes() for path in made] == [(undisturbed / path).read_bytes() for path in made]


@pytest.fixture
def places(tmp_path: Path) -> tuple[Place, Place]:
    """A place with a model, a table and an export, and one with the same."""
    found = []
    for name in ("one", "other"):
        place = Place(Ground(tmp_path, Endpoint()), tmp_path / name)
        for file, content in {
            "exports/s/alpaca_train.jsonl": b'{"a": 1}\n',
            "models/lora_adapter/s/0123/weights.safetensors": b"trained",
            "models/lora_adapter/s/0123/manifest.json": json.dumps({"files": WRITTEN}).encode(),
            "models/lora_adapter/s/.4567.beside/weights.safetensors": b"half",
            "work/lora_adapter/s/4567/checkpoint": b"half",
        }.items():
            (place.out / file).parent.mkdir(parents=True, exist_ok=True)
            (place.out / file).write_bytes(content)
        found.append(place)
    return found[0], found[1]


WRITTEN = {
    "weights.safetensors": {"size": 7, "sha256": "33fbcd8470eae125a265eb3f4375137f38ea4dc42f75ac09594bfe1a1c951af6"}
}


def test_what_is_whole_and_the_same_is_no_violation(places: tuple[Place, Place]) -> None:
    place, reference = places
    assert place.broken() == place.differing(reference, complete=True) == []


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("exports/s/alpaca_train.jsonl", b'{"a": 1}\n{"b"', "alpaca_train.jsonl cannot be read"),
        ("models/lora_adapter/s/0123/weights.safetensors", b"tra", "is not what its manifest lists"),
        ("models/lora_adapter/s/89ab/weights.safetensors", b"trained", "89ab has no manifest"),
        ("tables/atomic_table/s.parquet", b"PAR1", "s.parquet cannot be read"),
    ],
)
def test_what_is_half_written_and_visible_is_found(
    places: tuple[Place, Place], file: str, content: bytes, said: str
) -> None:
    place, reference = places
    (place.out / file).parent.mkdir(parents=True, exist_ok=True)
    (place.out / file).write_bytes(content)
    assert any(said in line for line in place.broken())
    assert place.differing(reference) == [f"{file} differs from the undisturbed run"]


def test_a_model_that_is_made_again_is_found(places: tuple[Place, Place]) -> None:
    place, _ = places
    assert place.paid_twice() == []
    manifest = place.out / "models/lora_adapter/s/0123/manifest.json"
    (manifest.parent / "again").write_bytes(manifest.read_bytes())
    (manifest.parent / "again").replace(manifest)
    assert place.paid_twice() == ["models/lora_adapter/s/0123/manifest.json was made again"]
