"""One real pass with the embedded base model, small enough for CI: load, answer, learn. Run with `-m embedded`."""

import json
import re
from pathlib import Path

import pytest

from cs_assets.families.json_answers import read_repaired
from cs_assets.learning.inference import generate
from cs_assets.learning.models import load_causal_lm, load_tokenizer
from cs_assets.learning.sft import FineTuningSettings, train_adapter
from cs_assets.scenario import load_scenario
from cs_assets.training.exports import transformers
from resources.base_model import resolve_base_model

pytestmark = pytest.mark.embedded


@pytest.fixture(scope="module")
def base() -> str:
    return resolve_base_model("embedded", report=print).path


def test_it_reads_the_example_of_the_readme(base: str) -> None:
    scenario = load_scenario("address_extraction")
    [example], broken = scenario.examples()
    assert not broken
    [answer] = generate(
        load_causal_lm(base),
        load_tokenizer(base),
        [scenario.prompt(example.message)],
        max_new_tokens=128,
        batch_size=1,
    )
    read = read_repaired(answer, tuple(json.loads(example.answer)))
    assert read["姓名"] == "张三"
    assert read["电话"] == "13800138000"


def test_a_training_step_lowers_the_loss(base: str, tmp_path: Path) -> None:
    scenario = load_scenario("address_extraction")
    [example], _ = scenario.examples()
    conversation = scenario.conversation(example)
    settings = FineTuningSettings(base_model=base, epochs=2, batch_size=1, warmup=0.0, learning_rate=3e-4)
    (tmp_path / "adapter").mkdir()
    (tmp_path / "work").mkdir()
    log = train_adapter(base, [conversation], [], settings, tmp_path / "adapter", tmp_path / "work")
    first, second = (point.loss for point in log.curve)
    assert first is not None
    assert second is not None
    assert second < first


def test_calls_are_written_as_the_base_model_s_own_chat_template_writes_them(base: str) -> None:
    scenario = load_scenario("ticket_tools")
    example = next(sample for sample in scenario.examples()[0] if json.loads(sample.answer)["calls"])
    [row] = transformers(scenario, example.model_dump() | {"messages": scenario.conversation(example)})
    text = load_tokenizer(base).apply_chat_template(row["messages"], tools=row["tools"], tokenize=False)
    written = re.findall(r"<tool_call>\n(.*)\n</tool_call>", text.rpartition("<|im_start|>assistant")[2])
    assert [json.loads(call) for call in written] == json.loads(example.answer)["calls"]
    offered = re.findall(r"^\{\"type\": \"function\".*$", text, flags=re.MULTILINE)
    assert [json.loads(tool) for tool in offered] == json.loads(example.tools)
