"""What a scenario folder gives its family: answer templates, slots, options and files of the family's own.

Here belongs reading the folder. What a file means is the business of the family that asks for it.

    definition.answer_templates()           # {"refund/01": <templates/bot/refund/01.j2>}
    definition.read("workflow.yaml")        # the text of a file in the folder, or an error that names it
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cs_assets.families.syntax import SentenceTemplate, parse_template


class ScenarioError(ValueError):
    """A scenario folder that cannot be used; the message names file and key or line, what was found and allowed."""


@dataclass(frozen=True)
class Definition:
    """A scenario as its family sees it.

    slots: what a template may name. options: the key `options` of `scenario.yaml`, checked by the family.
    """

    folder: Path
    slots: frozenset[str]
    options: Mapping[str, Any] = field(default_factory=dict)

    def read(self, name: str) -> str:
        """Return the text of a file in the folder.

        Raises:
            ScenarioError: it is missing or not UTF-8.
        """
        path = self.folder / name
        if not path.is_file():
            raise ScenarioError(f"{path}: missing; the scenario's family needs it.")
        return read_text(path)

    def answer_template(self) -> SentenceTemplate:
        """Return `templates/bot.j2`.

        Raises:
            ScenarioError: it is missing.
            TemplateError: it is malformed.
        """
        path = self.folder / "templates" / "bot.j2"
        if not path.is_file():
            raise ScenarioError(f"{path}: missing. It holds the answer with its slots.")
        return parse_template(read_text(path), str(path), self.slots)

    def answer_templates(self) -> dict[str, SentenceTemplate]:
        """Return every `*.j2` under `templates/bot/`, by its path without the suffix.

        Raises:
            TemplateError: one is malformed.
        """
        return read_templates(self.folder / "templates" / "bot", self.slots)


def read_templates(folder: Path, slots: frozenset[str]) -> dict[str, SentenceTemplate]:
    """Return the templates under `folder`, parsed, by their path without the suffix, in stable order.

    Raises:
        ScenarioError: a file's name cannot be written down.
        TemplateError: the first bad one, with file and line.
    """
    found = {}
    for path in template_files(folder):
        name = path.relative_to(folder).with_suffix("")
        if not name.as_posix().isprintable():
            raise ScenarioError(f"{str(path)!a}: control characters, or bytes that are not UTF-8. Rename the file.")
        unit = name.parent.as_posix() if name.parent.parts else ""
        found[name.as_posix()] = parse_template(read_text(path), str(path), slots, unit, name.as_posix())
    return found


def template_files(folder: Path) -> list[Path]:
    """Return the `*.j2` files under a folder, sorted; what an editor leaves there (`.#01.j2`) does not count."""
    return sorted(path for path in folder.rglob("*.j2") if path.is_file() and not path.name.startswith("."))


def read_text(path: Path) -> str:
    """Read a file as UTF-8.

    Raises:
        ScenarioError: it is in another encoding.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{path}: byte {error.start} is not UTF-8. Save the file as UTF-8.") from error
