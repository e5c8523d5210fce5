"""What a scenario's YAML holds, as a pydantic model: `scenario.yaml`, a family's own file, the `options`.

Here belong the reading and the errors, which say where; what is read means what the model says.

    schema = read_yaml(definition, "schema.yaml", Schema)
    options = read_options(definition, IntentOptions)
    spec = parse_yaml(text, "scenarios/a/scenario.yaml", ScenarioSpec)
"""

from collections.abc import Iterator
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from cs_assets.families.definition import Definition, ScenarioError

Model = TypeVar("Model", bound=BaseModel)


class _UniqueKeys(yaml.SafeLoader):
    """YAML as everyone reads it, but a key that stands twice is an error, not a silent choice of the last."""

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key in [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]:
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} stands twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return node


def read_yaml(definition: Definition, name: str, model: type[Model]) -> Model:
    """Return the content of a YAML file in the scenario's folder, validated.

    Raises:
        ScenarioError: the file is missing, not UTF-8, not YAML, or does not fit the model; one line a problem.
    """
    return parse_yaml(definition.read(name), str(definition.folder / name), model)


def read_options(definition: Definition, model: type[Model]) -> Model:
    """Return the key `options` of `scenario.yaml`, validated.

    Raises:
        ScenarioError: it does not fit the model; one line a problem.
    """
    return validated(dict(definition.options), f"{definition.folder / 'scenario.yaml'}: options", model)


class _NoOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")


def refuse_options(definition: Definition) -> None:
    """Raise a ScenarioError if `scenario.yaml` has `options`, for a family that has none."""
    read_options(definition, _NoOptions)


def parse_yaml(text: str, source: str, model: type[Model]) -> Model:
    """Return the content of a YAML text, validated; `source` is what errors call it.

    Raises:
        ScenarioError: it is not YAML, has a key twice, or does not fit the model; one line a problem.
    """
    try:
        content = yaml.load(text, Loader=_UniqueKeys)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ScenarioError(f"{source}{line}: not YAML: {getattr(error, 'problem', None) or error}.") from error
    if not isinstance(content, dict):
        keys = ", ".join(list(model.model_fields)[:2])
        raise ScenarioError(f"{source}: found {type(content).__name__}, expected keys such as {keys}.")
    return validated(content, source, model)


def validated(content: dict[str, Any], source: str, model: type[Model]) -> Model:
    """Return the content as the model has it.

    Raises:
        ScenarioError: it does not fit: source, key, what was found and what is allowed, one line a problem.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ScenarioError("\n".join(f"{source}: {_explained(found, model)}" for found in error.errors())) from error


def _explained(problem: Any, model: type[BaseModel]) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "missing":
        return f"key {key!r} is missing."
    if problem["type"] == "extra_forbidden":
        return f"unknown key {key!r}; allowed are {', '.join(_allowed_keys(problem['loc'], model)) or 'none'}."
    reason = problem["msg"].removeprefix("Value error, ")
    # A rule about the whole file has no key, and its message names what was found.
    return f"key {key!r}: {reason} (found {problem['input']!r})." if key else f"{reason}."


def _allowed_keys(location: tuple[int | str, ...], model: type[BaseModel]) -> list[str]:
    for part in location:
        if part in model.model_fields:
            model = next(_models_of(model.model_fields[str(part)].annotation), model)
    return sorted(model.model_fields)


def _models_of(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the models in an annotation such as `dict[str, Node]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_of(part)
