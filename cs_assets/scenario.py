"""A scenario: one folder in `data/scenarios/`, its `scenario.yaml`, templates and examples.

Here belong the spec, its validation and the catalog of folders. What the stages make of a scenario does not.

    scenario = load_scenario("address_extraction")
    scenario.spec.title           # 收货信息抽取
    scenario.seed_templates()     # the human-written templates, parsed and checked
"""

import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from cs_assets.families.base import Family
from cs_assets.families.registry import FAMILIES
from cs_assets.families.syntax import SentenceTemplate, parse_template
from cs_assets.profiles import PROFILE_NAMES, ProfileName, current_profile

SCENARIO_FILE: Final = "scenario.yaml"
# What `atoms:` may name, with the slots of each bundle. The generators stand in `cs_assets/atoms/`.
ATOM_BUNDLES: Final[Mapping[str, tuple[str, ...]]] = {
    "shipping": (
        "名字.param.输出",
        "电话",
        "邮编",
        "地址.param.省",
        "地址.param.市",
        "地址.param.县",
        "详细地址",
        "含地区的详细地址",
        "订单号",
        "商品",
        "配送备注",
        "送达时间",
        "旧电话",
        "旧地址",
    )
}


class ScenarioError(ValueError):
    """A scenario folder that cannot be used; the message names file and key or line, what was found and allowed."""


class Counts(BaseModel):
    """How much of everything a profile makes."""

    model_config = ConfigDict(extra="forbid")

    variants_per_seed: Annotated[int, Field(ge=0, le=100)]
    judge: Annotated[int, Field(ge=8)]
    train: Annotated[int, Field(ge=4)]
    validation: Annotated[int, Field(ge=0)]
    test_iid: Annotated[int, Field(ge=0)]
    test_template_ood: Annotated[int, Field(ge=0)]
    test_entity_ood: Annotated[int, Field(ge=0)]
    test_noise: Annotated[int, Field(ge=0)]

    @property
    def samples(self) -> int:
        """How many samples all folds hold together."""
        return sum(self.model_dump(exclude={"variants_per_seed"}).values())


class ScenarioSpec(BaseModel):
    """The content of `scenario.yaml`."""

    model_config = ConfigDict(extra="forbid")

    title: Annotated[str, Field(min_length=1)]
    family: str
    atoms: str
    owners: list[str] = []
    system: str = ""
    instruction: Annotated[str, Field(min_length=1)]
    seed: Annotated[int, Field(ge=0)] = 20240601
    noise_share: Annotated[float, Field(ge=0, le=1)] = 0.3
    holdout_templates: Annotated[float, Field(gt=0, lt=1)] = 0.25
    holdout_corruptions: list[str] = []
    counts: dict[ProfileName, Counts]

    @field_validator("family")
    @classmethod
    def _known_family(cls, value: str) -> str:
        if value not in FAMILIES:
            raise ValueError(f"found {value!r}, allowed are {', '.join(sorted(FAMILIES))}")
        return value

    @field_validator("atoms")
    @classmethod
    def _known_bundle(cls, value: str) -> str:
        if value not in ATOM_BUNDLES:
            raise ValueError(f"found {value!r}, allowed are {', '.join(sorted(ATOM_BUNDLES))}")
        return value

    @field_validator("counts")
    @classmethod
    def _both_profiles(cls, value: dict[ProfileName, Counts]) -> dict[ProfileName, Counts]:
        missing = [name for name in PROFILE_NAMES if name not in value]
        if missing:
            raise ValueError(f"the profile {', '.join(missing)} is missing")
        return value


class Scenario:
    """A validated scenario folder."""

    def __init__(self, folder: Path, spec: ScenarioSpec) -> None:
        self.folder = folder
        self.name = folder.name
        self.spec = spec

    @property
    def slots(self) -> frozenset[str]:
        """What a template of this scenario may name."""
        return frozenset(ATOM_BUNDLES[self.spec.atoms])

    @property
    def counts(self) -> Counts:
        """How much of everything the current profile makes."""
        return self.spec.counts[current_profile()]

    def with_counts(self, **counts: int | None) -> "Scenario":
        """Return the same scenario with other counts in the current profile; None leaves the scenario's own.

        Raises:
            ScenarioError: a count is not allowed.
        """
        wanted = self.counts.model_dump() | {name: count for name, count in counts.items() if count is not None}
        try:
            changed = Counts.model_validate(wanted)
        except ValidationError as error:
            raise ScenarioError(_explain(Path("run config"), error)) from error
        spec = self.spec.model_copy(update={"counts": {**self.spec.counts, current_profile(): changed}})
        return Scenario(self.folder, spec)

    @functools.cached_property
    def family(self) -> Family:
        """The family with this scenario's answer template.

        Raises:
            ScenarioError: the answer template is missing.
            TemplateError: it is malformed.
        """
        path = self.folder / "templates" / "bot.j2"
        if not path.is_file():
            raise ScenarioError(f"{path}: missing. It holds the answer as JSON with slots.")
        template = parse_template(_read_text(path), str(path), self.slots)
        return FAMILIES[self.spec.family](template, self.slots)

    def seed_paths(self) -> list[Path]:
        """Return the human-written template files in stable order.

        Raises:
            ScenarioError: the folder is missing or holds no `*.j2`.
        """
        folder = self.folder / "templates" / "human"
        paths = template_files(folder)
        if not paths:
            raise ScenarioError(f"{folder}: no template found. Put at least one sentence with slots there, as 01.j2.")
        return paths

    def seed_templates(self) -> list[SentenceTemplate]:
        """Parse and check every seed.

        Raises:
            TemplateError: the first bad one, with file and line.
        """
        return [parse_template(_read_text(p), str(p), self.slots) for p in self.seed_paths()]

    def prompt(self, message: str) -> list[dict[str, str]]:
        """Return the chat messages that ask the model about a customer's message."""
        system = [{"role": "system", "content": self.spec.system}] if self.spec.system else []
        return [*system, {"role": "user", "content": f"{message}\n{self.spec.instruction}"}]

    def examples(self) -> tuple[list[dict[str, Any]], list[str]]:
        """Read `examples.jsonl`: the good lines, and one message for each broken one. Empty lines are skipped."""
        path = self.folder / "examples.jsonl"
        rows: list[dict[str, Any]] = []
        broken: list[str] = []
        lines = _read_text(path).split("\n") if path.is_file() else []
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                if not isinstance(row, dict) or set(row) != {"message", "answer"}:
                    raise ValueError("the keys must be message and answer")
                rows.append(row)
            except ValueError as error:
                broken.append(f"{path}, line {number}: {error}")
        return rows, broken


def template_files(folder: Path) -> list[Path]:
    """Return the `*.j2` files of a folder, sorted; what an editor leaves there (`.#01.j2`) does not count."""
    return sorted(path for path in folder.glob("*.j2") if path.is_file() and not path.name.startswith("."))


def scenarios_folder() -> Path:
    """Return the folder of scenario folders: `CS_SCENARIOS`, else `data/scenarios` beside the packages."""
    configured = os.environ.get("CS_SCENARIOS")
    return Path(configured) if configured else Path(__file__).resolve().parent.parent / "data" / "scenarios"


def scenario_names() -> list[str]:
    """Return the names of all scenario folders, sorted. A folder counts as soon as it holds a `scenario.yaml`."""
    return sorted(path.parent.name for path in scenarios_folder().glob(f"*/{SCENARIO_FILE}"))


def load_scenario(name: str) -> Scenario:
    """Load and validate one scenario folder.

    Raises:
        ScenarioError: there is no such folder, or its `scenario.yaml` is malformed.
        TemplateError: its answer template is.
    """
    names = scenario_names()
    if name not in names:
        raise ScenarioError(f"no scenario {name!r} in {scenarios_folder()}; there are: {', '.join(names) or 'none'}.")
    folder = scenarios_folder() / name
    return Scenario(folder, _read_spec(folder / SCENARIO_FILE))


def _read_text(path: Path) -> str:
    """Read a file as UTF-8.

    Raises:
        ScenarioError: it is in another encoding.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{path}: byte {error.start} is not UTF-8. Save the file as UTF-8.") from error


class _UniqueKeys(yaml.SafeLoader):
    """YAML as everyone reads it, but a key that stands twice is an error, not a silent choice of the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                problem = f"the key {key!r} stands twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _read_spec(path: Path) -> ScenarioSpec:
    try:
        content = yaml.load(_read_text(path), Loader=_UniqueKeys)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise ScenarioError(f"{path}{line}: not YAML: {getattr(error, 'problem', None) or error}.") from error
    if not isinstance(content, dict):
        raise ScenarioError(f"{path}: found {type(content).__name__}, expected keys such as title and family.")
    try:
        return ScenarioSpec.model_validate(content)
    except ValidationError as error:
        raise ScenarioError(_explain(path, error)) from error


def _explain(path: Path, error: ValidationError) -> str:
    """Turn pydantic's report into one line a key: file, key, what was found, what is allowed."""
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "missing":
            lines.append(f"{path}: key {key!r} is missing.")
        elif problem["type"] == "extra_forbidden":
            lines.append(f"{path}: unknown key {key!r}; allowed are {', '.join(_allowed_keys(problem['loc']))}.")
        else:
            reason = problem["msg"].removeprefix("Value error, ")
            lines.append(f"{path}: key {key!r}: {reason} (found {problem['input']!r}).")
    return "\n".join(lines)


def _allowed_keys(location: tuple[int | str, ...]) -> list[str]:
    model = Counts if location[0] == "counts" else ScenarioSpec
    return sorted(model.model_fields)
