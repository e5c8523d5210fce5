"""Which families there are. Adding a family is adding its file and its line here."""

from collections.abc import Callable
from typing import Final

from cs_assets.families.base import Family
from cs_assets.families.definition import Definition
from cs_assets.families.extraction import ExtractionFamily

FAMILIES: Final[dict[str, Callable[[Definition], Family]]] = {
    "extraction": ExtractionFamily,
}
