"""What goes out answers as what was tested: a merged model behind a real server, asked by the `openai` client.

Its base ships a penalty on repetitions, as many do, under which it was not tested.
"""

from pathlib import Path
from typing import Any

import openai
import polars as pl
import pytest

from cs_assets.learning.inference import generate
from cs_assets.learning.models import load_causal_lm, load_tokenizer
from cs_assets.release.model_card import Origin
from cs_assets.release.packaging import Package
from cs_assets.scenario import Scenario
from cs_assets_tests.release.conftest import Train, write_loud_model
from cs_assets_tests.transformers_serve import MISSING, serving


@pytest.mark.skipif(bool(MISSING), reason=f"transformers serve needs {', '.join(MISSING)}")
def test_a_released_model_says_behind_a_server_what_base_and_adapter_say_here(
    scenario: Scenario, train: Train, tmp_path: Path
) -> None:
    from transformers import GenerationConfig

    base = write_loud_model(tmp_path / "base")
    GenerationConfig(repetition_penalty=1.3, eos_token_id=2, pad_token_id=0).save_pretrained(base)
    trained, folder = train(of=base), tmp_path / "released"
    folder.mkdir()
    origin = Origin(base="base", on_hub=False, quantised=False, licence="MIT", form="lora", merged=True, training={})
    Package(scenario.spec.system, trained, str(base), origin, pl.DataFrame()).fill(folder)
    [example], _ = scenario.examples()
    asked = [scenario.prompt(message) for message in (example.message, "李四 13900139000 北京市海淀区中关村大街1号")]
    here = generate(
        load_causal_lm(str(base), str(trained)), load_tokenizer(str(base)), asked, max_new_tokens=16, batch_size=1
    )
    with serving(folder / "merged", tmp_path / "serve.log") as url:
        client = openai.OpenAI(base_url=url, api_key="none", max_retries=0)
        said = [answer(client, str(folder / "merged"), messages) for messages in asked]
    # transformers serve takes blanks from both ends of an answer.
    assert said == [text.strip() for text in here]
    assert said[0] != said[1]


def answer(client: openai.OpenAI, model: str, messages: Any) -> str:
    completion = client.chat.completions.create(model=model, messages=messages, max_tokens=16, temperature=0)
    return completion.choices[0].message.content or ""
