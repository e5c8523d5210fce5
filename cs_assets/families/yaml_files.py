"""What a family reads from YAML into a pydantic model: its own file, and the scenario's `options`; errors say where.

Here belongs the reading; what is read means what the model of the family that asks for it says.

    schema = read_yaml(definition, "schema.yaml", Schema)
    options = read_options(definition, IntentOptions)
"""

from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from cs_assets.families.definition import Definition, ScenarioError

Model = TypeVar("Model", bound=BaseModel)


def read_yaml(definition: Definition, name: str, model: type[Model]) -> Model:
    """Return the content of a YAML file in the scenario's folder, validated.

    Raises:
        ScenarioError: the file is missing, not UTF-8, not YAML, or does not fit the model; one line a problem.
    """
    path = definition.folder / name
    try:
        content = yaml.safe_load(definition.read(name))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ScenarioError(f"{path}{line}: not YAML: {getattr(error, 'problem', None) or error}.") from error
    return _validated(content, model, str(path))


def read_options(definition: Definition, model: type[Model]) -> Model:
    """Return the key `options` of `scenario.yaml`, validated.

    Raises:
        ScenarioError: it does not fit the model; one line a problem.
    """
    return _validated(dict(definition.options), model, f"{definition.folder / 'scenario.yaml'}: options")


def _validated(content: Any, model: type[Model], where: str) -> Model:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ScenarioError("\n".join(f"{where}: {_explained(problem)}" for problem in error.errors())) from error


def _explained(problem: Any) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    reason = problem["msg"].removeprefix("Value error, ")
    # A rule about the whole file has no key, and its message names what was found.
    return f"key {key!r}: {reason} (found {problem['input']!r})." if key else f"{reason}."
