"""Which bundles of atoms a scenario may name in `atoms:`, and how a table of them is made: chunk by chunk.

A chunk is a function of the seed and its own number alone, so any process may make any chunk, with the same bytes.

    for chunk in sample_chunks("shipping", rows=1_000_000, seed=7):
        assert BUNDLES["shipping"].faults(chunk).is_empty()
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import polars as pl

from cs_assets.atoms.assistant import assistant_atoms, assistant_faults
from cs_assets.atoms.blocks import chunks
from cs_assets.atoms.coherence import shipping_faults
from cs_assets.atoms.complaints import complaints_atoms, complaints_faults
from cs_assets.atoms.inquiries import inquiries_atoms, inquiries_faults
from cs_assets.atoms.repairs import repairs_atoms, repairs_faults
from cs_assets.atoms.shipping import shipping_atoms
from cs_assets.atoms.shop_records import shop_records_atoms, shop_records_faults
from cs_assets.atoms.shop_visit import shop_visit_atoms, shop_visit_faults
from cs_assets.atoms.tickets import tickets_atoms, tickets_faults

_CHUNKS_AHEAD: Final = 2
_FAULTS: Final = {"atom_id": pl.UInt32, "reason": pl.String}


@dataclass(frozen=True)
class Bundle:
    """One kind of atoms.

    Attributes:
        sample: makes one chunk from the number of its rows, the seed and the number of the chunk.
        rules: returns atom_id and reason of each row, none with a null, that contradicts itself.
    """

    sample: Callable[[int, int, int], pl.DataFrame]
    rules: Callable[[pl.DataFrame], pl.DataFrame]

    def faults(self, atoms: pl.DataFrame) -> pl.DataFrame:
        """Return atom_id (u32) and reason of each row with a null or a contradiction; empty when all is well.

        A comparison with a null says neither yes nor no, so the rules are given whole rows only.
        """
        incomplete = _nulls(atoms)
        whole = atoms.filter(~pl.col("atom_id").is_in(incomplete["atom_id"].implode()))
        return pl.concat([incomplete, self.rules(whole)])


def _nulls(atoms: pl.DataFrame) -> pl.DataFrame:
    """Return atom_id and reason of every null, those within structs too; in the order of the rows, then of the slots.

    Within lists, which only hidden columns are, none is looked for.
    """
    slots = [found for name, kind in atoms.schema.items() for found in _leaves(name, pl.col(name), kind)]
    found = [
        atoms.filter(leaf.is_null()).select("atom_id", reason=pl.lit(f"{name} is null"))
        for name, leaf in slots
        if atoms.select(leaf).to_series().null_count()
    ]
    return pl.concat([pl.DataFrame(schema=_FAULTS), *found]).sort("atom_id", maintain_order=True)


def _leaves(name: str, column: pl.Expr, kind: pl.DataType) -> Iterator[tuple[str, pl.Expr]]:
    """Yield a column, or all that its struct holds: the dotted name, as templates write it, and the expression."""
    if isinstance(kind, pl.Struct):
        for field in kind.fields:
            yield from _leaves(f"{name}.{field.name}", column.struct.field(field.name), field.dtype)  # type: ignore[arg-type]
    else:
        yield name, column


BUNDLES: Final[dict[str, Bundle]] = {
    "assistant": Bundle(assistant_atoms, assistant_faults),
    "complaints": Bundle(complaints_atoms, complaints_faults),
    "shipping": Bundle(shipping_atoms, shipping_faults),
    "inquiries": Bundle(inquiries_atoms, inquiries_faults),
    "repairs": Bundle(repairs_atoms, repairs_faults),
    "shop_records": Bundle(shop_records_atoms, shop_records_faults),
    "shop_visit": Bundle(shop_visit_atoms, shop_visit_faults),
    "tickets": Bundle(tickets_atoms, tickets_faults),
}


def sample_chunks(bundle: str, rows: int, seed: int) -> Iterator[pl.DataFrame]:
    """Yield `rows` rows of the bundle, at most `CHUNK_ROWS` at a time, with atom_id counting through.

    A whole chunk is the same whatever the number of rows after it. The next chunks are made while one is used, so never
    more than a few are in memory.
    """
    sample = BUNDLES[bundle].sample
    made: deque[Future[pl.DataFrame]] = deque()
    with ThreadPoolExecutor(_CHUNKS_AHEAD) as pool:
        for chunk, count in chunks(rows):
            made.append(pool.submit(sample, count, seed, chunk))
            if len(made) > _CHUNKS_AHEAD:
                yield made.popleft().result()
        while made:
            yield made.popleft().result()


def sample_atoms(bundle: str, rows: int, seed: int) -> pl.DataFrame:
    """Return the whole table of `rows` rows, at least one.

    Raises:
        ValueError: `rows` is not positive.
    """
    if rows < 1:
        raise ValueError(f"rows: found {rows}, allowed are 1 and more.")
    return pl.concat(sample_chunks(bundle, rows, seed))
