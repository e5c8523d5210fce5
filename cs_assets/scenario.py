"""A scenario: one folder in `data/scenarios/`, its `scenario.yaml`, templates and examples.

Here belong the spec, its validation and the catalog of folders. What the stages make of a scenario does not.

    scenario = load_scenario("address_extraction")
    scenario.spec.title           # 收货信息抽取
    scenario.seed_templates()     # the human-written templates, parsed and checked
"""

import functools
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from cs_assets.families.base import Family, Sample
from cs_assets.families.definition import Definition, ScenarioError, read_templates, read_text, template_files
from cs_assets.families.json_lines import read_line
from cs_assets.families.registry import FAMILIES
from cs_assets.families.syntax import SentenceTemplate
from cs_assets.families.yaml_files import parse_yaml, validated
from cs_assets.profiles import PROFILE_NAMES, ProfileName, current_profile

SCENARIO_FILE: Final = "scenario.yaml"
# Letters, as any language has them, digits, _ and -: a name is a folder, a partition and a file of each stage.
SCENARIO_NAME: Final = re.compile(r"\w[\w-]{0,63}")
REAL_STYLE_FILE: Final = "real_style.jsonl"
# The longest committed session takes a fifth; the rules that look for numbers take seconds for as much.
MAX_MESSAGE_CHARACTERS: Final = 10_000
_SHOWN_NAMES: Final = 20
_SHOWN_CHARACTERS: Final = 100
# Of anything that is counted: a slip of the keyboard is not to fill the memory for hours.
MOST: Final = 10_000_000
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
        "备用电话",
        "旧名字",
        "旧县",
        "旧门牌",
        "订单尾号",
        "身份证号",
        "数量",
        "金额",
    ),
    "repairs": ("姓名", "产品", "故障", "城市", "详细地址", "日期", "时间", "别的事", "人工", "会员身份"),
    "inquiries": (
        "招呼",
        "标点",
        "商品",
        "百货",
        "款式",
        "破损",
        "毛病",
        "配件",
        "品类",
        "设备",
        "报修设备",
        "故障",
        "退货原因",
        "订单号",
        "快递",
        "运单号",
        "天数",
        "时限",
        "月数",
        "下单时间",
        "期限",
        "件数",
        "金额",
        "差价",
        "活动",
        "城市",
        "新地址",
        "收件人",
        "电话",
        "抬头",
        "邮箱",
        "别家",
        "症状",
        "代码",
        "菜",
        "外语",
        "影视",
        "作文",
        "家务",
        "乱码",
        "算式",
    ),
    "shop_records": (
        "商品.param.品牌",
        "商品.param.品类",
        "商品.param.型号",
        "商品.param.规格",
        "商品.param.价格",
        "商品.param.库存",
        "订单.param.订单号",
        "订单.param.商品",
        "订单.param.单价",
        "订单.param.数量",
        "订单.param.金额",
        "订单.param.快递",
        "订单.param.运单号",
        "订单.param.状态",
        "订单.param.下单时间",
        "评价.param.用户",
        "评价.param.商品",
        "评价.param.星级",
        "评价.param.时间",
        "评价.param.内容",
    ),
    "shop_visit": (
        "设备",
        "配件",
        "规格",
        "数量",
        "时间",
        "地点",
        "动作",
        "指代",
        "旧.设备",
        "旧.配件",
        "旧.规格",
        "旧.数量",
        "旧.时间",
        "旧.地点",
        "旁.物品",
        "旁.地点",
    ),
    "tickets": (
        "称呼",
        "电话",
        "地址",
        "城市",
        "产品",
        "故障",
        "师傅专长",
        "日期",
        "上门时间",
        "旧上门时间",
        "会员身份",
        "工单号",
        "完工单号",
        "订单号",
        "取消原因",
        "评分",
    ),
    "assistant": ("招呼", "称呼", "商品", "角色", "时段.问候", "时段.感叹", "模型.名字", "模型.公司", "助手.名字"),
    "complaints": (
        "商品",
        "金额",
        "原价",
        "现价",
        "差价",
        "称呼",
        "订单号",
        "订单尾号",
        "快递",
        "城市",
        "等待",
        "下单时间",
        "签收时间",
        "承诺时间",
        "抬头",
        "en.item",
        "en.amount",
        "en.name",
        "en.order",
        "en.city",
        "en.courier",
        "en.wait",
        "破损.商品",
        "破损.情况",
        "缺件.商品",
        "缺件.少了",
        "质量.商品",
        "质量.问题",
        "过敏.商品",
        "过敏.反应",
        "电器.商品",
        "电器.故障",
        "错发.商品",
        "错发.要的",
        "错发.收到的",
        "尺码.商品",
        "尺码.买的",
        "尺码.换成",
        "尺码.不合身",
        "送礼.商品",
        "送礼.破损",
        "送礼.对象",
        "送礼.要的",
        "送礼.收到的",
        "送礼.场合",
        "en.damaged.item",
        "en.damaged.what",
        "en.missing.item",
        "en.missing.part",
        "en.faulty.item",
        "en.faulty.trouble",
        "en.allergy.item",
        "en.allergy.reaction",
        "en.device.item",
        "en.device.fault",
        "en.wrong.item",
        "en.wrong.ordered",
        "en.wrong.received",
        "en.size.item",
        "en.size.bought",
        "en.size.wanted",
        "en.size.fit",
    ),
}


class Counts(BaseModel):
    """How much of everything a profile makes."""

    model_config = ConfigDict(extra="forbid")

    variants_per_seed: Annotated[int, Field(ge=0, le=100)]
    judge: Annotated[int, Field(ge=8, le=MOST)]
    train: Annotated[int, Field(ge=4, le=MOST)]
    validation: Annotated[int, Field(ge=0, le=MOST)]
    test_iid: Annotated[int, Field(ge=0, le=MOST)]
    test_template_ood: Annotated[int, Field(ge=0, le=MOST)]
    test_entity_ood: Annotated[int, Field(ge=0, le=MOST)]
    test_noise: Annotated[int, Field(ge=0, le=MOST)]
    # Of the messages of real_style.jsonl, which are not rendered; empty: all of them.
    real_style: Annotated[int, Field(ge=0, le=MOST)] | None = None

    @property
    def samples(self) -> int:
        """How many samples are to be rendered for all folds together."""
        return sum(self.model_dump(exclude={"variants_per_seed", "real_style"}).values())

    @property
    def atoms(self) -> int:
        """How many rows of atoms they need: a fold has blocks of its own, and not every row suits every template."""
        return 8 * self.samples + 400


class ScenarioSpec(BaseModel):
    """The content of `scenario.yaml`."""

    model_config = ConfigDict(extra="forbid")

    title: Annotated[str, Field(min_length=1)]
    family: str
    atoms: str
    owners: list[str] = []
    system: str = ""
    instruction: Annotated[str, Field(min_length=1)]
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 20240601
    noise_share: Annotated[float, Field(ge=0, le=1)] = 0.3
    # Noises that do not suit the scenario, or unit -> those that do not suit what its templates say.
    noise_excluded: list[str] | dict[str, list[str]] = []
    holdout_templates: Annotated[float, Field(gt=0, lt=1)] = 0.25
    holdout_corruptions: list[str] = []
    answer_tokens: Annotated[int, Field(ge=8, le=32_768)] = 128
    near_duplicates: Annotated[float, Field(gt=0, le=1)] = 0.9
    options: dict[str, Any] = {}
    counts: dict[ProfileName, Counts]

    def noise_excluded_from(self, unit: str) -> list[str]:
        """Return the noises that do not suit a message of this unit."""
        excluded = self.noise_excluded
        return excluded if isinstance(excluded, list) else excluded.get(unit, [])

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
        changed = validated(wanted, "run config", Counts)
        spec = self.spec.model_copy(update={"counts": {**self.spec.counts, current_profile(): changed}})
        return Scenario(self.folder, spec)

    def with_held_out(self, share: float) -> "Scenario":
        """Return the same scenario with another share of template families held out of training."""
        return Scenario(self.folder, self.spec.model_copy(update={"holdout_templates": share}))

    @functools.cached_property
    def family(self) -> Family:
        """The family, made for this scenario.

        Raises:
            ScenarioError: a file or an option that the family needs is missing or malformed.
            TemplateError: an answer template is malformed.
        """
        return FAMILIES[self.spec.family](Definition(self.folder, self.slots, self.spec.options))

    @property
    def seeds_folder(self) -> Path:
        """Where the human-written templates stand: a file each, in a folder of its unit's name if there are units."""
        return self.folder / "templates" / "human"

    def seed_paths(self) -> list[Path]:
        """Return the human-written template files in stable order.

        Raises:
            ScenarioError: the folder is missing or holds no `*.j2`.
        """
        paths = template_files(self.seeds_folder)
        if not paths:
            raise ScenarioError(
                f"{self.seeds_folder}: no template found. Put at least one sentence with slots there, as 01.j2."
            )
        return paths

    def seeds(self) -> dict[str, SentenceTemplate]:
        """Parse and check every seed; return them by their path without the suffix, such as `refund/01`.

        Raises:
            ScenarioError: there is none.
            TemplateError: the first bad one, with file and line.
        """
        self.seed_paths()
        return read_templates(self.seeds_folder, self.slots)

    def prompt(self, message: str, tools: str = "") -> list[dict[str, str]]:
        """Return the chat messages that ask the model about a customer's message; `tools` as in `base.Sample`."""
        system = "\n".join(part for part in (self.spec.system, f"可用的函数：{tools}" if tools else "") if part)
        head = [{"role": "system", "content": system}] if system else []
        return [*head, {"role": "user", "content": f"{message}\n{self.spec.instruction}"}]

    def conversation(self, sample: Sample) -> list[dict[str, str]]:
        """Return the chat messages of a whole case: the prompt and what the answer stands for."""
        return [*self.prompt(sample.message, sample.tools), *self.family.completion(sample.answer)]

    def examples(self) -> tuple[list[Sample], list[str]]:
        """Read `examples.jsonl`: the good lines, and one message for each broken one. Empty lines are skipped.

        A line is an object with `message`, `answer` (an object for an answer that is JSON, else a text) and, where
        functions are on offer, `tools`.
        """
        return _read_samples(self.folder / "examples.jsonl", Sample)

    def real_style(self) -> tuple[list["RealStyleSample"], list[str]]:
        """Read `real_style.jsonl`, as `examples`; a line may have a `format` as well."""
        return _read_samples(self.folder / REAL_STYLE_FILE, RealStyleSample)


class RealStyleSample(Sample):
    """A message as people really write it, labelled by hand; never trained on. `format` says what kind it is."""

    format: str = ""


AnySample = TypeVar("AnySample", bound=Sample)


def _read_samples(path: Path, model: type[AnySample]) -> tuple[list[AnySample], list[str]]:
    optional = set(model.model_fields) - {"message", "answer"}
    rows: list[AnySample] = []
    broken: list[str] = []
    for number, line in enumerate(read_text(path).split("\n") if path.is_file() else [], start=1):
        if not line.strip():
            continue
        try:
            row = read_line(line)
            if not isinstance(row, dict) or set(row) - optional != {"message", "answer"}:
                raise ValueError("the keys must be message and answer")
            if len(str(row["message"])) > MAX_MESSAGE_CHARACTERS:
                raise ValueError(f"the message has more than {MAX_MESSAGE_CHARACTERS} characters")
            texts = {k: v if isinstance(v, str) else json.dumps(v, ensure_ascii=False) for k, v in row.items()}
            rows.append(model.model_validate(texts))
        except ValueError as error:
            broken.append(f"{path}, line {number}: {error}")
    return rows, broken


def scenarios_folder() -> Path:
    """Return the folder of scenario folders: `CS_SCENARIOS`, else `data/scenarios` beside the packages."""
    configured = os.environ.get("CS_SCENARIOS")
    return Path(configured) if configured else Path(__file__).resolve().parent.parent / "data" / "scenarios"


def scenario_names() -> list[str]:
    """Return the names of all scenario folders, sorted. A folder counts as soon as it holds a `scenario.yaml`."""
    return [name for name in _folder_names() if SCENARIO_NAME.fullmatch(name)]


def misnamed_folders() -> list[str]:
    """Return the folders that would be scenarios if their names were allowed, sorted."""
    return [name for name in _folder_names() if not SCENARIO_NAME.fullmatch(name)]


def _folder_names() -> list[str]:
    # A hidden one is what `make scenario` is just making, or an editor's.
    found = (path for path in scenarios_folder().glob(f"[!.]*/{SCENARIO_FILE}") if path.is_file())
    return sorted(path.parent.name for path in found)


def is_scenario(name: str) -> bool:
    """Tell whether there is a scenario folder of that name, at the cost of one look."""
    return bool(SCENARIO_NAME.fullmatch(name)) and (scenarios_folder() / name / SCENARIO_FILE).is_file()


def no_such_scenario(name: str) -> str:
    """Return what is said of a name that is none: in one line, with some of those that there are."""
    names = scenario_names()
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    known = f"{', '.join(names[:_SHOWN_NAMES]) or 'none'}{more}"
    return f"no scenario {name[:_SHOWN_CHARACTERS]!r} in {scenarios_folder()}; there are: {known}."


def load_scenario(name: str) -> Scenario:
    """Load and validate one scenario folder.

    Raises:
        ScenarioError: there is no such folder, or its `scenario.yaml` is malformed.
        TemplateError: its answer template is.
    """
    if not is_scenario(name):
        raise ScenarioError(no_such_scenario(name))
    folder = scenarios_folder() / name
    path = folder / SCENARIO_FILE
    return Scenario(folder, parse_yaml(read_text(path), str(path), ScenarioSpec))
