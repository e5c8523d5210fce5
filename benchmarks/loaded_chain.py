"""The definitions, with the libraries of the models imported beforehand: a step of a model begins as soon as any other.

The server that steps are forked from imports the code location. Where steps are killed by the dozen, most of the time
would go into importing the same libraries again.
"""

import datasets
import openai
import peft
import torch
from transformers.models.qwen2 import modeling_qwen2
from trl.trainer import dpo_trainer, reward_trainer, sft_trainer

from cs_assets.definitions import defs

PRELOADED = (datasets, openai, peft, torch, modeling_qwen2, dpo_trainer, reward_trainer, sft_trainer)

__all__ = ["PRELOADED", "defs"]
