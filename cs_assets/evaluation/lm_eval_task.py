"""What the stock `lm_eval` program runs of ours: the prompts as they were trained, and the family's score.

Only `lm_eval` imports this module, through the files that `lm_eval_files.py` writes; it needs the extra `lm-eval`.
A stock task builds one prompt a case, of a system and a user message. A trajectory is asked for step by step, with
calls and results between; so the prompts are written out, and rendered with the chat template of the model asked.
"""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask

from cs_assets.families.base import Family
from cs_assets.scenario import load_scenario


def read_cases(path: Path) -> dict[str, Any]:
    """Return the cases of a split as a `datasets.Dataset`, which `lm_eval` wants."""
    from datasets import Dataset

    lines = path.read_text(encoding="utf-8").split("\n")
    return {"test": Dataset.from_list([json.loads(line) for line in lines if line])}


class ScenarioTask(ConfigurableTask):
    """A test split: a request for each prompt of a case."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config={key: value for key, value in config.items() if key != "class"})

    def fewshot_context(
        self,
        doc: Mapping[str, Any],
        num_fewshot: int,
        chat_template: Callable[..., str] | None = None,
        **options: Any,
    ) -> list[str]:
        """Return the prompts of a case as texts.

        Raises:
            ValueError: no chat template is to be applied, or examples are to be shown.
        """
        if chat_template is None:
            raise ValueError(f"{self.config.task}: run lm_eval with --apply_chat_template, as the model was trained.")
        if num_fewshot:
            raise ValueError(f"{self.config.task}: found num_fewshot {num_fewshot}; the prompts stand as they are, 0.")
        return [chat_template(prompt) for prompt in doc["prompts"]]

    def construct_requests(self, doc: Mapping[str, Any], ctx: list[str], **options: Any) -> list[Instance]:
        """Return one request a prompt."""
        metadata = options["metadata"]
        return [
            Instance(
                request_type=self.OUTPUT_TYPE,
                doc=doc,
                arguments=(text, dict(self.config.generation_kwargs)),
                idx=number,
                metadata=metadata,
            )
            for number, text in enumerate(ctx)
        ]


def process_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """Return the scores of what was said to the prompts of a case, as `predictions` has them."""
    family = _family(doc["scenario"])
    return family.score(family.assembled(doc["answer"], results), doc["answer"]).metrics()


@functools.cache
def _family(scenario: str) -> Family:
    return load_scenario(scenario).family
