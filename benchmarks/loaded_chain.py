"""The definitions, with the libraries of the models imported beforehand: a step of a model begins as soon as any other.

The server that steps are forked from imports the code location. Where steps are killed by the dozen, most of the time
would go into importing the same libraries again. A clock that is wrong is made here as well, for the run and its steps.
"""

import os
import time
from pathlib import Path

import datasets
import openai
import peft
import torch
from transformers.models.qwen2 import modeling_qwen2
from trl.trainer import dpo_trainer, reward_trainer, sft_trainer

from benchmarks.chain_place import CLOCK
from cs_assets.definitions import defs

PRELOADED = (datasets, openai, peft, torch, modeling_qwen2, dpo_trainer, reward_trainer, sft_trainer)

__all__ = ["PRELOADED", "defs"]


def _follow(told: Path) -> None:
    """Let `time.time` be wrong by as many seconds as a file says at the moment."""
    right = time.time
    time.time = lambda: right() + float(told.read_text(encoding="utf-8") or 0)


if CLOCK in os.environ:
    _follow(Path(os.environ[CLOCK]))
