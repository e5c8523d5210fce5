"""What a scenario's YAML holds, as a pydantic model: `scenario.yaml`, a family's own file, the `options`.

Here belong the reading and the errors, which say where; what is read means what the model says.

    schema = read_yaml(definition, "schema.yaml", Schema)
    options = read_options(definition, IntentOptions)
    spec = parse_yaml(text, "scenarios/a/scenario.yaml", ScenarioSpec)
"""

from collections.abc import Iterator
from typing import Any, Final, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from cs_assets.families.definition import Definition, ScenarioError

Model = TypeVar("Model", bound=BaseModel)
# A table that a person keeps is a tenth of it. The parser takes a second for a million characters at best.
MAX_YAML_CHARACTERS: Final = 200_000
# Of values and keys, each alias counted as what it stands for: nine aliases of nine aliases, nine times, fill a disk.
MAX_YAML_CONTENT: Final = 1_000_000
_SHOWN_PROBLEMS: Final = 20
_SHOWN_CHARACTERS: Final = 200


class _SafeLoader(yaml.SafeLoader):
    """YAML as everyone reads it, but a key that stands twice is an error, not a silent choice of the last, and so are
    aliases that multiply; and whatever is wrong with a value, the error says where.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        mark, is_alias = self.peek_event().start_mark, self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        if is_alias and id(node) not in self._sizes:
            raise yaml.MarkedYAMLError(problem="an alias stands for what it is a part of", problem_mark=mark)
        if not is_alias:
            self._sizes[id(node)] = 1 + sum(self._sizes[id(part)] for part in _parts(node)) + _own_size(node)
        if self._sizes[id(node)] > MAX_YAML_CONTENT:
            problem = f"more than {MAX_YAML_CONTENT} characters, each alias counted as what it stands for"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        # As `!!float ''`, `!!bool abc`, `!!timestamp abc`, `!!timestamp {=: ''}`, 2024-13-45 and 1:1:1...:1.5 do.
        except (LookupError, AttributeError, TypeError, ValueError, OverflowError) as error:
            problem = f"{_shown(node.value)} is no {node.tag.rpartition(':')[2]}. Put quotes around what is a text"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from error

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key in [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]:
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} stands twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return node


def _parts(node: yaml.Node | None) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _own_size(node: yaml.Node | None) -> int:
    return len(node.value) if isinstance(node, yaml.ScalarNode) else 0


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
        ScenarioError: it is not YAML, too large, has a key twice, or does not fit the model; one line a problem.
    """
    if len(text) > MAX_YAML_CHARACTERS:
        raise ScenarioError(f"{source}: {len(text)} characters; at most {MAX_YAML_CHARACTERS} are allowed.")
    try:
        content = yaml.load(text, Loader=_SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ScenarioError(f"{source}{line}: not YAML: {getattr(error, 'problem', None) or error}.") from error
    except RecursionError:  # its thousand lines say no more
        raise ScenarioError(f"{source}: values are nested too deeply.") from None
    except (ValueError, OverflowError) as error:  # of the scanner, such as the escape \U00110000 in a text
        raise ScenarioError(f"{source}: not YAML: {error}.") from error
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
        problems = [f"{source}: {_explained(found, model)}" for found in error.errors()[:_SHOWN_PROBLEMS]]
        more = [f"{source}: and {left} more."] if (left := error.error_count() - _SHOWN_PROBLEMS) > 0 else []
        raise ScenarioError("\n".join(problems + more)) from None  # pydantic's own text has all of them


def _explained(problem: Any, model: type[BaseModel]) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "missing":
        return f"key {key!r} is missing."
    if problem["type"] == "extra_forbidden":
        return f"unknown key {key!r}; allowed are {', '.join(_allowed_keys(problem['loc'], model)) or 'none'}."
    reason = problem["msg"].removeprefix("Value error, ")
    # A rule about the whole file has no key, and its message names what was found.
    return f"key {key!r}: {reason} (found {_shown(problem['input'])})." if key else f"{reason}."


def _shown(value: Any) -> str:
    try:
        return repr(value)[:_SHOWN_CHARACTERS]
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a number of thousands of digits"


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
