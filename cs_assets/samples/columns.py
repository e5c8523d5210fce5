"""Many samples at once: plain templates times atoms, as columns.

Here belongs what rendering does by column where it can; `render.py` decides which template meets which atoms and
renders one by one what is richer. Both give the same samples.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from cs_assets.families.base import ColumnFamily
from cs_assets.families.columns import ColumnTemplate, compile_template, slot_columns
from cs_assets.families.syntax import SentenceTemplate


class ColumnRenderer:
    """A family's templates, compiled once: `render` makes samples of them and of rows of atoms."""

    def __init__(self, family: ColumnFamily, templates: Sequence[SentenceTemplate]) -> None:
        self._family = family
        self._compiled = [compile_template(template) for template in templates]
        self._plain = [compiled for compiled in self._compiled if compiled]
        self._slots = tuple(dict.fromkeys(slot for template in templates for slot in template.slots))
        self._shows = {slot: np.array([slot in template.slots for template in templates]) for slot in self._slots}

    def render(self, picks: np.ndarray, atoms: pl.DataFrame) -> pl.DataFrame:
        """Render one sample a row; fastest where the rows of a template stand together.

        Args:
            picks: int array (atoms.height,), the index of each row's template.
            atoms: rows of `atomic_table`, one at least.

        Returns:
            In the order of `atoms`: message, answer, good. A sample that is not good must be rendered by itself: it
            breaks a rule, lets a value run into its neighbour, or its template is not plain.
        """
        if (np.diff(picks) < 0).any():
            order = np.argsort(picks, kind="stable")
            return self.render(picks[order], atoms[order])[np.argsort(order, kind="stable")]
        columns = slot_columns(atoms, self._slots, self._plain)
        starts = np.searchsorted(picks, np.arange(len(self._compiled) + 1))
        messages = pl.concat(
            _messages(compiled, columns[int(start) : int(end)])
            for compiled, start, end in zip(self._compiled, starts, starts[1:], strict=False)
            if start < end
        )
        answers = self._family.answer_columns(self._shown(columns, picks))
        if answers is None:
            return messages.select("message", answer=pl.lit(None, pl.String), good=pl.lit(False))
        good = self._family.verify_columns(messages["message"], answers) & ~messages["lost"]
        return messages.select("message", answer=answers["answer"], good=good.fill_null(False))

    def _shown(self, columns: pl.DataFrame, picks: np.ndarray) -> pl.DataFrame:
        """Return the slots' columns, empty where a row's template does not show the slot."""
        return columns.select(
            pl.when(pl.Series(shows[picks])).then(pl.col(slot)).otherwise(pl.lit("")).alias(slot)
            for slot, shows in self._shows.items()
        )


def _messages(compiled: ColumnTemplate | None, rows: pl.DataFrame) -> pl.DataFrame:
    """Return message and lost of a template's rows; null messages, lost, where it is not plain."""
    if compiled is None:
        return pl.DataFrame(
            {"message": [None] * rows.height, "lost": [True] * rows.height}, {"message": pl.String, "lost": pl.Boolean}
        )
    return rows.select(message=compiled.message, lost=compiled.lost)
