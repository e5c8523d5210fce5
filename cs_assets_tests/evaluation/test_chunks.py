"""Answers in chunks: what a run had when it was killed is not asked again, and the answers are those of one go."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cs_assets.evaluation import retention
from cs_assets.evaluation.chunks import SIZE, Keep, answered, generated
from cs_assets.evaluation.probe import load_probe
from cs_assets.evaluation.retention import RetentionSettings
from cs_assets.learning.inference import generate
from cs_assets.learning.models import load_causal_lm, load_tokenizer
from resources.store import Store, fingerprint

PROMPTS = [[{"role": "user", "content": f"{number}是" + "多少" * (number % 7)}] for number in range(SIZE + 40)]


class Killed(BaseException):
    """A signal, where it strikes."""


class Kept:
    """What keeps chunks in a store, counts those that were made, and is killed while it makes one more than `most`."""

    def __init__(self, folder: Path, most: int = 9) -> None:
        self.store, self.most, self.made = Store(root=str(folder)), most, 0

    def __call__(self, chunk: Any, make: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        def count() -> tuple[pl.DataFrame, str]:
            if self.made == self.most:
                raise Killed
            table = make()
            self.made += 1
            return table, ""

        return self.store.cached_table("predictions", fingerprint(chunk=chunk), count)[0]


def resumed(folder: Path, ask: Callable[[Keep], Any]) -> tuple[Any, int]:
    """Ask, be killed in the second chunk, and ask again; return what came out, and how many chunks were asked then."""
    with pytest.raises(Killed):
        ask(Kept(folder, most=1))
    later = Kept(folder)
    return ask(later), later.made


def test_after_a_kill_the_first_chunk_is_not_asked_again(tmp_path: Path) -> None:
    asked: list[str] = []
    told: list[tuple[int, int]] = []

    def echo(prompts: list[list[dict[str, str]]], report: Any) -> list[str]:
        asked.extend(prompt[0]["content"] for prompt in prompts)
        report(len(prompts), len(prompts))
        return [f"!{prompt[0]['content']}" for prompt in prompts]

    found, made = resumed(tmp_path, lambda keep: answered(PROMPTS, echo, keep, report=lambda *done: told.append(done)))
    contents = [prompt[0]["content"] for prompt in PROMPTS]
    assert found == [f"!{content}" for content in contents]
    assert (asked, made) == (contents, 1)
    assert told == [(SIZE, len(PROMPTS)), (len(PROMPTS), len(PROMPTS))]


@pytest.mark.parametrize("batch_size", [30, 2 * SIZE])
def test_a_model_says_in_chunks_what_it_says_in_one_go(
    talkative: tuple[Path, Path], tmp_path: Path, batch_size: int
) -> None:
    model, tokenizer = load_causal_lm(*map(str, talkative)), load_tokenizer(str(talkative[0]))
    whole = generate(model, tokenizer, PROMPTS, max_new_tokens=3, batch_size=batch_size)
    kept = Kept(tmp_path)
    found = generated(model, tokenizer, PROMPTS, max_new_tokens=3, batch_size=batch_size, keep=kept)
    assert found == whole
    assert len(set(whole)) > len(whole) / 4
    assert kept.made == (2 if batch_size < SIZE else 1)
    assert generated(model, tokenizer, PROMPTS, max_new_tokens=3, batch_size=batch_size) == whole


def test_the_batches_are_those_of_one_go(monkeypatch: pytest.MonkeyPatch, tiny_model: Path) -> None:
    model, tokenizer = load_causal_lm(str(tiny_model)), load_tokenizer(str(tiny_model))
    shapes: list[tuple[int, ...]] = []
    generating = model.generate

    def watched(**inputs: Any) -> Any:
        shapes.append(tuple(inputs["input_ids"].shape))
        return generating(**inputs)

    monkeypatch.setattr(model, "generate", watched)
    generate(model, tokenizer, PROMPTS, max_new_tokens=1, batch_size=30)
    whole = list(shapes)
    shapes.clear()
    generated(model, tokenizer, PROMPTS, max_new_tokens=1, batch_size=30)
    assert shapes == whole
    assert len({length for _, length in whole}) > 1


def test_a_killed_probe_goes_on_and_gives_the_same_table(tiny_model: Path, tmp_path: Path) -> None:
    items, settings = load_probe(None), RetentionSettings(max_new_tokens=1, generation_batch_size=64)
    found, made = resumed(
        tmp_path, lambda keep: retention.ask("base", str(tiny_model), None, items, settings, keep=keep)
    )
    assert found.equals(retention.ask("base", str(tiny_model), None, items, settings))
    assert (len(items) > SIZE, made) == (True, 1)
