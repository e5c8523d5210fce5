"""Samples without end: millions of rows in a stream, for whoever wants more than a training set.

Here belongs what is written chunk by chunk, in memory that does not grow. Folds, noise and turns are the business of
`render.py`; every sample of a stream is one template with one row of atoms, and good by the family's rules.

    for table in stream_samples(scenario, variants, rows=1_000_000):
        ...                                            # message, answer and where they come from

A chunk depends on the scenario, the variants and its own number alone, so that any number of processes writes the same
bytes.
"""

import contextlib
import itertools
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from upath import UPath

from cs_assets.atoms.blocks import chunks
from cs_assets.atoms.bundles import BUNDLES
from cs_assets.families.base import ColumnFamily
from cs_assets.families.columns import pieces
from cs_assets.families.syntax import parse_template
from cs_assets.samples.columns import ColumnRenderer
from cs_assets.scenario import Scenario, ScenarioSpec
from resources.files import write_whole

# A row that does not suit its template (no phone to show, two numbers side by side) gets another one, so often at most.
_CHOICES: Final = 4
_SHARED: Final = 8
_IDS: Final = ("atom_id", "entity_block")


def stream_samples(scenario: Scenario, variants: pl.DataFrame, rows: int) -> Iterator[pl.DataFrame]:
    """Yield `rows` samples, a chunk at a time; a row that no template suited is left out.

    Args:
        scenario: its family, atoms and seed.
        variants: the table of `template_variants`; the plain ones among the accepted are used.
        rows: how many rows of atoms are drawn.

    Raises:
        ValueError: the family cannot render by column, or no accepted template is plain.
    """
    source = ChunkSource(scenario, variants)
    for chunk, count in chunks(rows):
        yield source.chunk(chunk, count)


class ChunkSource:
    """What the chunks of one stream are made of."""

    def __init__(self, scenario: Scenario, variants: pl.DataFrame) -> None:
        if not isinstance(scenario.family, ColumnFamily):
            raise ValueError(f"{scenario.name}: the family {scenario.spec.family} renders row by row only.")
        self.bundle = BUNDLES[scenario.spec.atoms]
        self.seed = scenario.spec.seed
        accepted = variants.filter("accepted").sort("template_id")
        parsed = [parse_template(text, name) for text, name in accepted.select("text", "template_id").rows()]
        plain = [pieces(template) is not None for template in parsed]
        accepted = accepted.filter(plain)
        if accepted.is_empty():
            raise ValueError(
                f"{scenario.name}: none of {len(parsed)} accepted templates is plain (text and slots only)."
            )
        self.labels = accepted.select("template_id", template_family="family")
        self.renderer = ColumnRenderer(scenario.family, list(itertools.compress(parsed, plain)))
        # Families by equal shares, and the variants of each by equal shares of that.
        weights = 1.0 / accepted.select(pl.len().over("family")).to_series().to_numpy()
        self.bounds = np.cumsum(weights / weights.sum())

    def chunk(self, number: int, rows: int) -> pl.DataFrame:
        """Return the chunk of that number."""
        atoms = self.bundle.sample(rows, self.seed, number)
        rng = np.random.default_rng([self.seed, number, _CHOICES])
        # Rows are alike before they are rendered, so those of a template may as well stand together.
        picks = np.sort(self._choose(rng.random(rows)))
        made: list[pl.DataFrame] = []
        for _ in range(_CHOICES):
            table = self.renderer.render(picks, atoms).hstack(self.labels[picks]).hstack(atoms.select(_IDS))
            good = table["good"]
            made.append(table.filter(good).drop("good"))
            atoms = atoms.filter(~good)
            if atoms.is_empty():
                break
            # A template costs as much for many rows as for one, so the few that are left share a few.
            picks = np.sort(np.resize(self._choose(rng.random(_SHARED)), atoms.height))
        found = pl.concat(made)
        return found[rng.permutation(found.height)]

    def _choose(self, draws: np.ndarray) -> np.ndarray:
        """Return the index of a template for each number in [0, 1)."""
        return np.minimum(np.searchsorted(self.bounds, draws), len(self.bounds) - 1)


def write_samples(scenario: Scenario, variants: pl.DataFrame, rows: int, folder: Path, processes: int = 1) -> int:
    """Write a stream as one Parquet file a chunk, `part-00000.parquet` and so on; return the number of samples.

    A file appears whole or not at all. Memory depends on `processes`, not on `rows`.

    Raises:
        ValueError: as `stream_samples`; or the folder holds parts already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if old := sorted(folder.glob("part-*.parquet")):
        raise ValueError(f"{folder}: holds {len(old)} parts of another stream. Delete them, or choose another folder.")
    if processes == 1:
        source = ChunkSource(scenario, variants)
        return sum(_write_chunk(source, folder, *chunk) for chunk in chunks(rows))
    context = multiprocessing.get_context("spawn")
    # Polars reads it once, when a process loads it: with a thread for each core in every process, threads would spend
    # half of the time waiting for each other.
    threads = str(max(1, (os.cpu_count() or 1) // processes))
    work = (scenario.folder, scenario.spec, variants, folder)
    with _environment("POLARS_MAX_THREADS", threads), ProcessPoolExecutor(processes, context, _start, work) as pool:
        return sum(pool.map(_write_own, chunks(rows)))


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """Set a variable for the processes that are started within."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _write_chunk(source: ChunkSource, folder: Path, number: int, rows: int) -> int:
    table = source.chunk(number, rows)
    path = folder / f"part-{number:05d}.parquet"
    write_whole(UPath(path), lambda beside: table.write_parquet(beside, compression_level=1))
    return table.height


# What a process of the pool works on: set once when it starts.
_own: list[tuple[ChunkSource, Path]] = []


def _start(folder: Path, spec: ScenarioSpec, variants: pl.DataFrame, out: Path) -> None:
    _own.append((ChunkSource(Scenario(folder, spec), variants), out))


def _write_own(chunk: tuple[int, int]) -> int:
    source, folder = _own[0]
    return _write_chunk(source, folder, *chunk)
