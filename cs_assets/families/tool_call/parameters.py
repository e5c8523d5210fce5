"""How words become arguments: the file `parameters.yaml` of a scenario whose answers call functions.

Here belongs what the file says. What follows from it for an answer is in `family.py`.

    slots: {工单号: [ticket_id, number]}                        # which parameters a slot of a template fills
    spoken: {isVIP: {default: false, words: {会员: true}}}      # values that are not copied from the message
    shapes: {ticket_id: '(?:WX)?\\d{8}'}                        # what a value looks like
"""

import functools
import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from cs_assets.families.tools import Argument


class SpokenValues(BaseModel):
    """What is said -> the value; `default` where nothing is said, None where it is missing then."""

    model_config = ConfigDict(extra="forbid")

    words: Annotated[dict[str, Argument], Field(min_length=1)]
    default: Argument | None = None

    @functools.cached_property
    def pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(map(re.escape, sorted(self.words, key=len, reverse=True))))

    def said(self, text: str) -> list[Argument]:
        """Return the values of the words in `text`, the longest words first where they overlap."""
        return [self.words[match] for match in self.pattern.findall(text)]


class Parameters(BaseModel):
    """The content of `parameters.yaml`."""

    model_config = ConfigDict(extra="forbid")

    slots: dict[str, list[str]]
    spoken: dict[str, SpokenValues] = {}
    shapes: dict[str, re.Pattern[str]] = {}
