"""Which families there are. Adding a family is adding its file and its line here."""

from collections.abc import Callable
from typing import Final

from cs_assets.families.base import Family
from cs_assets.families.extraction import ExtractionFamily
from cs_assets.families.syntax import SentenceTemplate

# Built from the scenario's answer template and the slots that its atoms define.
FAMILIES: Final[dict[str, Callable[[SentenceTemplate, frozenset[str]], Family]]] = {"extraction": ExtractionFamily}
