"""The model card, with the data card in it, in the format of the Hugging Face hub: a YAML head, then Markdown.

Here belongs what a stranger must know who finds the released folder: what it is for, how it is asked, what was
measured, what it was trained on, what it cannot do. Every figure comes from the report or is counted in the tables.

    card = model_card(scenario, report, origin, training_splits, atomic_table)    # "---\\nbase_model: Qwen/..."
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from cs_assets.evaluation.reporting import EvaluationReport, markdown
from cs_assets.families.base import METRIC_TITLES, METRICS, Metric
from cs_assets.learning.models import Form
from cs_assets.scenario import Scenario
from cs_assets.training.splits import REAL_STYLE, families_in
from resources.store import preview

# The hub's names of the metrics, where it has one.
_HUB_METRICS: Final[Mapping[Metric, str]] = {
    "exact": "exact_match",
    "repaired": "repaired_exact_match",
    "strict_json": "strict_json",
    "field_accuracy": "accuracy",
}
# What a reader asks of a training, in the order in which it is told; some numbers say something of one form alone.
_NUMBERS: Final[Mapping[str, Form | None]] = {
    "method": None,
    "rank": "lora",
    "alpha": "lora",
    "top_layers": "lora",
    "prefix_tokens": "prefix",
    "learning_rate": None,
    "epochs": None,
    "batch_size": None,
    "gradient_accumulation": None,
    "warmup": None,
    "max_length": None,
    "packing": None,
    "patience": None,
    "seed": None,
}
_WHAT: Final[Mapping[Form, str]] = {
    "lora": "A LoRA adapter on",
    "prefix": "A trained prefix for",
    "full": "All weights, trained from",
}
_ON_BASE: Final = '`PeftModel.from_pretrained(base, "adapter")` puts it on the base'
_OLLAMA: Final = "Ollama: `ollama create NAME -f Modelfile`. vLLM: `./vllm.sh`."
_UNMERGED: Final = (
    "vLLM: `./vllm.sh`, which DoRA has only once it is merged. `merge: true` in the run config of `release` merges it, "
    "and writes a Modelfile for Ollama."
)
_USE: Final[Mapping[tuple[Form, bool], str]] = {
    ("lora", True): f"`merged/` is base and adapter in one, for `AutoModelForCausalLM`; or {_ON_BASE}. {_OLLAMA}",
    ("lora", False): f"{_ON_BASE}. {_UNMERGED}",
    ("prefix", False): f"{_ON_BASE}. A prefix cannot be merged into the weights, and vLLM and Ollama do not take it.",
    ("full", True): f"`merged/` is the model, for `AutoModelForCausalLM`: every weight was trained. {_OLLAMA}",
}
_CARD: Final = """\
---
{head}
---

# {title} (`{name}`)

{what} `{base}` ({licence}), trained by cs-assets to do one thing: {title}. The training data is synthetic; no
customer's message is among it.

## How it is asked

{system}

User message: what the customer typed, a line break, and always this:

```
{instruction}
```

{use}

## What was measured

{figures}

It is judged by its {headline}. Answers are greedy, without a penalty on repetitions (`do_sample=False,
repetition_penalty=1.0`); intervals: 95 % bootstrap over the messages.

## How it was trained

{training}

## Data card

- Scenario: {title}; family `{family}`; messages of customers to a Chinese shop.
- Atoms: {atoms} rows of the bundle `{bundle}`: invented people, numbers and orders that agree with public tables of
  regions, number segments and goods. Sources and licences: data/reference/README.md of cs-assets.
- Templates: {templates} sentences in {families} families. Samples by origin of their sentence: {origins}. `seed` was
  written by a person, `rewrite` by fixed rules, `llm` by a language model.
- Truth: by construction, from the atoms; no model labelled anything.
- Noise: {noise:.0%} of the training messages have one kind of it.
- Seed of the data: {seed}.
- Held out: test_template_ood shares no template family with train, test_entity_ood no entity block, test_noise has
  kinds of noise that train has not; real_style was written and labelled by hand. No test message stands in train, by a
  check.

{splits}

## Known limits

- The messages of the `test_*` splits are synthetic, as those of the training are. {real} Try your own before you rely
  on it.
- It was trained and tested with the prompt above alone; another prompt is another task.
- What other languages, or another trade's customers, do to it was not measured.
- It knows nothing of earlier messages, unless they stand in the message.
- What counts as right and what is not covered, docs/scenarios/{name}.md of cs-assets says of its own scenarios.
- What it forgot of the base's general knowledge {forgotten}.
{quantised}"""
_QUANTISED: Final = """\
- It was trained on a copy of the base with weights of about 8 bits, and every figure above is of that copy{merged}.
  On the base in full precision the adapter was not measured.
"""


@dataclass(frozen=True)
class Origin:
    """Where a model comes from.

    Attributes:
        base: what the world calls the base: a hub id, or a folder's name.
        on_hub: whether that is a hub id.
        quantised: whether a quantised copy of it was trained on and measured.
        licence: of the base.
        form: what was trained of it.
        merged: whether the folder holds a plain model too.
        training: the numbers of the training by name, as they were logged; may be empty.
    """

    base: str
    on_hub: bool
    quantised: bool
    licence: str
    form: Form
    merged: bool
    training: Mapping[str, str]


def model_card(
    scenario: Scenario, report: EvaluationReport, origin: Origin, splits: pl.DataFrame, atoms: pl.DataFrame
) -> str:
    """Return the README.md of a release.

    Args:
        scenario: what it was trained for.
        report: what was measured.
        origin: where it comes from.
        splits: the table of `training_splits`.
        atoms: the table of `atomic_table`.
    """
    spec, rendered = scenario.spec, splits.filter(pl.col("split") != REAL_STYLE)
    by_origin = rendered.group_by("template_origin").len().sort("template_origin")
    return _CARD.format(
        head=_head(scenario, report, origin),
        quantised=_quantised(origin),
        name=scenario.name,
        title=spec.title,
        what=_WHAT[origin.form],
        base=origin.base,
        licence=origin.licence,
        system=_system(scenario, splits),
        instruction=spec.instruction.strip(),
        use=_USE[origin.form, origin.merged].replace("NAME", scenario.name),
        figures=markdown(report),
        headline=report.headline_title,
        training=_training(report, origin),
        family=spec.family,
        atoms=atoms.height,
        bundle=spec.atoms,
        templates=rendered["template_id"].n_unique(),
        families=len(families_in(rendered)),
        origins=", ".join(f"{name} {count}" for name, count in by_origin.iter_rows()),
        noise=spec.noise_share,
        seed=spec.seed,
        splits=_splits(splits),
        real=_real_style(report),
        forgotten="is measured above, by general questions" if report.retention else "was not measured",
    )


def _system(scenario: Scenario, splits: pl.DataFrame) -> str:
    """Return what the system message is, by an example where the functions on offer stand in it."""
    offered = splits.filter(pl.col("tools") != "", split="train")["tools"]
    if not offered.is_empty():
        head = "System message, always with the functions that may be called, here those of one case:"
        return f"{head}\n\n```\n{scenario.prompt('', offered[0])[0]['content']}\n```"
    return f"System message: `{scenario.spec.system}`" if scenario.spec.system else "System message: none"


def _quantised(origin: Origin) -> str:
    merged = ", which `merged/` holds" if origin.merged else ""
    return _QUANTISED.format(merged=merged) if origin.quantised else ""


def _head(scenario: Scenario, report: EvaluationReport, origin: Origin) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type="text-generation",
            task_name=scenario.spec.title,
            dataset_type=scenario.name,
            dataset_name=f"{scenario.name} (cs-assets)",
            dataset_split=cell.split,
            metric_type=_HUB_METRICS[metric],
            metric_name=METRIC_TITLES[metric],
            metric_value=round(cell.figure(metric).mean, 4),
        )
        for cell in report.cells
        if cell.model == "tuned"
        for metric in METRICS
    ]
    relation = "finetune" if origin.merged else "adapter"
    base: dict[str, Any] = {"base_model": origin.base, "base_model_relation": relation} if origin.on_hub else {}
    data = ModelCardData(
        model_name=scenario.name,
        eval_results=results,
        language="zh",
        library_name="transformers" if origin.merged else "peft",
        pipeline_tag="text-generation",
        tags=["customer-service", "synthetic-data", "cs-assets", scenario.spec.family],
        metrics=list(_HUB_METRICS.values()),
        **base,
        **_licence(origin.licence),
    )
    return data.to_yaml()


def _licence(licence: str) -> dict[str, Any]:
    """Return a licence as the hub writes it: its id in small letters, `other` for what is none."""
    if " " in licence:
        return {"license": "other", "license_name": "that-of-the-base-model"}
    return {"license": licence.lower()}


def _training(report: EvaluationReport, origin: Origin) -> str:
    rows = [
        f"| {name} | {origin.training[name]} |"
        for name, form in _NUMBERS.items()
        if name in origin.training and form in (None, origin.form)
    ]
    told = ["| number | value |", "|---|---|", *rows] if rows else ["The numbers of the training were not kept."]
    return "\n".join([*told, *([f"\nThe loss curve: {report.fit}"] if report.fit else [])])


def _splits(splits: pl.DataFrame) -> str:
    counted = splits.group_by("split", maintain_order=True).agg(
        pl.len().alias("samples"),
        pl.col("unit_families").explode().drop_nulls().n_unique().alias("template families"),
        pl.col("template_id").filter(pl.col("template_id") != "").n_unique().alias("templates"),
        pl.col("entity_block").drop_nulls().n_unique().alias("entity blocks"),
    )
    return preview(counted, rows=counted.height)


def _real_style(report: EvaluationReport) -> str:
    found = report.cell(REAL_STYLE, "tuned")
    if found is None:
        return "No message as people write them was asked."
    figure = found.figure(report.headline)
    return f"`{REAL_STYLE}` is the exception: {report.headline_title} {figure} of {figure.n} messages."
