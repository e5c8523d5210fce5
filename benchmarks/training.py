"""Useful tokens a second: `train_adapter` against the stock `trl sft` script, in one run on one machine.

    python -m benchmarks.training --json --output benchmarks/results/training.json
    python -m benchmarks.training --model models/qwen-0.5b --samples 4000 --settings '{"batch_size": 32}' --json
    python -m benchmarks.training --shape 7b --no-stock --samples 8000 --settings '{"batch_size": 32}' --json

Both train a LoRA adapter of the same shape on the same conversations of a scenario, with the same base model, batch,
steps, learning rate, schedule, precision, longest sample and seed, each in a process of its own. A useful token is one
of a question or an answer; padding is none. The seconds are those of the training loop, its one checkpoint at the end
included; loading and tokenising are not.

- stock: `python -m trl.scripts.sft`, with everything else as the script has it by default: gradient checkpointing, the
  base in float32, the head on every position where there is no Triton, samples in random order, no packing.
  `--stock="--gradient_checkpointing False"` changes that, and is told in the result. Its own default of bf16 is taken
  where ours computes in it.
- ours: `cs_assets.learning.sft.train_adapter` with the settings of the current profile, and with the environment that
  the executor gives a step (`KEEP_MEMORY` of `resources/lease.py`).

The last line of `--json` is one object: stock_tok_s, tok_s and their ratio; device and model; tokens and seconds of
both (the tokens are the same where the epochs are whole); peak_memory_gb of ours, the GPU's where there is one, else
the process's; both loss curves. Loss is compared as the mean over `window` steps, a fifth of the run: loss_difference
is the largest distance between the two, curves_equal that it is no more than `tolerance`. It is not zero: bf16 rounds,
and where samples of one length stand together (no packing, one epoch) the batches are others. With `--no-stock` the
stock script does not run, and whatever needs it is null.

How much of the device ours uses is told besides: model_tflops is tok_s by `flops_a_token`, matmul_peak_tflops what a
large matrix product reaches in the same precision on the same machine (`matmul_peak`), share_of_peak the first over the
second. Operations that are repeated (gradient checkpointing) or done on padding do not count; those of the head count
for every token, although only the answers' are put through it, so that the true share lies between
share_of_peak_without_head and share_of_peak.

`--shape` trains a model of random weights (`benchmarks/shapes.py`), which is as fast as a trained one; it is written
into the temporary folder (TMPDIR; 15 GB for 7b), with the tokenizer of `--model`.
"""

import argparse
import ast
import json
import math
import os
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from benchmarks.outcome import LEARNING, add_result_options, circumstances, processor, tell
from benchmarks.shapes import SHAPES, Multiplied, multiplied_parameters, write_random_model
from cs_assets.learning.conversations import Message, prompt_completion_pairs
from cs_assets.learning.models import device_name, precision
from cs_assets.learning.sft import FineTuningSettings, train_adapter
from cs_assets.learning.streaming import read_conversations
from cs_assets.learning.training import TrainingLog, training_arguments
from cs_assets.scenario import load_scenario
from resources.lease import KEEP_MEMORY

# Nats a token; a training loss of an extraction falls from about 1 to a few hundredths.
TOLERANCE: Final = 0.05
# Rows and columns of the matrices whose product is timed, and how many products are timed at once: as large as it takes
# to keep the device busy, and no larger. A GPU is through with one in a millisecond or two.
_PRODUCT: Final = {"cuda": (8192, 20), "cpu": (2048, 1)}
_TURNS: Final = 5
# What decides the result, and so has to be the same for both; everything else of the stock script stays as it is.
_SHARED: Final = (
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "learning_rate",
    "num_train_epochs",
    "lr_scheduler_type",
    "warmup_steps",
    "max_length",
    "seed",
    "data_seed",
    "bf16",
    "use_cpu",
    "logging_steps",
    "save_steps",
    "report_to",
    "disable_tqdm",
)


class Run(BaseModel):
    """What one of the two did: its losses step by step, its useful tokens, the seconds that they took."""

    losses: list[float]
    tokens: int
    seconds: float
    peak_memory_gb: float | None = None

    @property
    def rate(self) -> float:
        return self.tokens / self.seconds


def conversations_of(name: str, count: int) -> list[list[Message]]:
    """Return `count` training conversations of a scenario, noise and all."""
    from cs_assets.samples.twin import make_twin

    samples = make_twin(load_scenario(name).with_counts(train=count)).samples
    conversations: list[list[Message]] = samples.filter(fold="train")["messages"].to_list()
    return conversations


def write_lines(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True)
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def require_plain_lora(settings: FineTuningSettings) -> None:
    """Refuse what the stock script cannot train, and what `flops_a_token` does not hold for.

    Raises:
        ValueError: the adapter is no LoRA on all layers.
    """
    if settings.method != "lora" or settings.top_layers != 1:
        raise ValueError(f"method {settings.method}, top_layers {settings.top_layers}: wanted are lora and 1, in both.")


def stock_command(base: str, settings: FineTuningSettings, data: Path, out: Path, extra: Sequence[str]) -> list[str]:
    """Return the call of the stock script; `extra` stands last and wins.

    Raises:
        ValueError: the settings ask for an adapter that the script cannot make.
    """
    require_plain_lora(settings)
    shared = training_arguments(settings, out, parameters=0)
    adapter = {
        "lora_r": settings.rank,
        "lora_alpha": settings.alpha,
        "lora_dropout": settings.dropout,
        "lora_target_modules": "all-linear",
    }
    options = {
        "model_name_or_path": base,
        "dataset_name": data,
        "output_dir": out,
        **adapter,
        **{name: shared[name] for name in _SHARED},
    }
    flags = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    return [sys.executable, "-m", "trl.scripts.sft", "--use_peft", *flags, *extra]


def run_stock(command: list[str], out: Path, cache: Path) -> Run:
    """Run the stock script and read its own account: the last checkpoint's log and the run time that it prints.

    Raises:
        RuntimeError: it failed; the end of what it said is told.
    """
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "HF_DATASETS_CACHE": str(cache)}
    )
    if done.returncode:
        raise RuntimeError(f"{shlex.join(command)}\nended with {done.returncode}:\n{done.stderr[-3000:]}")
    printed = next(line for line in reversed(done.stdout.splitlines()) if line.startswith("{'train_runtime'"))
    newest = max(out.glob("checkpoint-*"), key=lambda folder: int(folder.name.rsplit("-", 1)[-1]))
    history = json.loads((newest / "trainer_state.json").read_text(encoding="utf-8"))["log_history"]
    return Run(
        losses=[entry["loss"] for entry in history],
        tokens=int(history[-1]["num_tokens"]),
        seconds=float(ast.literal_eval(printed)["train_runtime"]),
    )


def run_ours(base: str, settings: FineTuningSettings, data: Path, out: Path) -> Run:
    """Run `train_adapter` in a process of its own, which has what the executor gives a step."""
    command = [sys.executable, "-m", "benchmarks.training", "--part", str(out), "--model", base, "--data", str(data)]
    done = subprocess.run(
        [*command, "--settings", settings.model_dump_json()],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=os.environ | KEEP_MEMORY,
    )
    return Run.model_validate_json(done.stdout.splitlines()[-1])


def train_here(base: str, settings: FineTuningSettings, data: Path, out: Path) -> Run:
    """Train in this process."""
    import torch

    log: TrainingLog = train_adapter(base, list(read_conversations(data)), [], settings, out / "model", out / "work")
    on_gpu = device_name() == "cuda"
    memory = torch.cuda.max_memory_allocated() if on_gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    losses = [point.loss for point in log.curve if point.loss is not None]
    return Run(losses=losses, tokens=log.tokens, seconds=log.seconds, peak_memory_gb=round(memory / 1e9, 2))


def smoothed(losses: Sequence[float], window: int) -> list[float]:
    """Return the mean of every `window` losses that follow one another."""
    return [sum(losses[start : start + window]) / window for start in range(len(losses) - window + 1)]


def compared(stock: Run, ours: Run) -> dict[str, Any]:
    """Return rates, their ratio and how far the loss curves lie apart.

    Raises:
        ValueError: the runs have not as many steps, so that they did not do the same.
    """
    if len(stock.losses) != len(ours.losses):
        raise ValueError(f"the stock script made {len(stock.losses)} steps, train_adapter {len(ours.losses)}.")
    window = max(1, len(ours.losses) // 5)
    pairs = zip(smoothed(stock.losses, window), smoothed(ours.losses, window), strict=True)
    difference = max(abs(one - other) for one, other in pairs)
    return alone(ours) | {
        "stock_tok_s": round(stock.rate, 1),
        "ratio": round(ours.rate / stock.rate, 2),
        "stock_tokens": stock.tokens,
        "stock_seconds": round(stock.seconds, 1),
        "window": window,
        "loss_difference": round(difference, 4),
        "curves_equal": difference <= TOLERANCE,
        "stock_curve": [round(loss, 4) for loss in stock.losses],
    }


def alone(ours: Run) -> dict[str, Any]:
    """Return the same figures as `compared`, with null for those that need the stock script."""
    return {
        "stock_tok_s": None,
        "tok_s": round(ours.rate, 1),
        "ratio": None,
        "stock_tokens": None,
        "tokens": ours.tokens,
        "stock_seconds": None,
        "seconds": round(ours.seconds, 1),
        "peak_memory_gb": ours.peak_memory_gb,
        "steps": len(ours.losses),
        "window": None,
        "loss_difference": None,
        "tolerance": TOLERANCE,
        "curves_equal": None,
        "stock_curve": None,
        "curve": [round(loss, 4) for loss in ours.losses],
    }


def flops_a_token(parameters: int) -> int:
    """Return the operations that training a LoRA adapter takes a token: 4 for each parameter multiplied with.

    Full training takes about 6 (Kaplan et al. 2020, arXiv 2001.08361, section 2.1): multiplication and addition make 2
    in the forward pass, and in the backward pass 2 for the gradient of what went in and 2 for that of the weight. A
    base under LoRA has no gradients of its weights, which leaves 4. As in the model FLOPs utilisation of PaLM
    (arXiv 2204.02311, appendix B), what is computed twice counts once. Attention's products of tokens with tokens and
    the adapter's own are left out: for samples of a few hundred tokens they are a few hundredths.

    Args:
        parameters: those of the layers and the head, without the embedding table (`multiplied_parameters`).
    """
    return 4 * parameters


def matmul_peak(size: int, products: int) -> float:
    """Return the most TFLOP/s that this device makes of square matrices in the precision that training computes in.

    The best of several turns after a warm-up, of random numbers (of zeros a GPU makes more, since they draw less
    power). A product of m x k with k x n takes 2 * m * n * k operations.

    Args:
        size: m, n and k.
        products: how many are timed together, so that their start does not count.
    """
    import torch

    device = device_name()
    one, other = (torch.randn(size, size, device=device, dtype=getattr(torch, precision())) for _ in range(2))
    into = torch.empty_like(one)

    def seconds() -> float:
        began = time.perf_counter()
        for _ in range(products):
            torch.mm(one, other, out=into)
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began

    seconds()
    return 2 * size**3 * products / min(seconds() for _ in range(_TURNS)) / 1e12


def share_of_peak(rate: float, multiplied: Multiplied, peak: float) -> dict[str, float]:
    """Return how much of the device a training uses.

    Args:
        rate: tokens a second.
        multiplied: parameters that each of them is multiplied with.
        peak: TFLOP/s of the device.
    """
    without_head = rate * flops_a_token(multiplied.layers) / 1e12
    model = rate * flops_a_token(multiplied.layers + multiplied.head) / 1e12
    figures = {
        "matmul_peak_tflops": peak,
        "model_tflops": model,
        "share_of_peak": model / peak,
        "share_of_peak_without_head": without_head / peak,
    }
    return {name: float(f"{figure:.4g}") for name, figure in figures.items()}


def device() -> str:
    """Return the GPU's name, or the processor's with the cores that this process may use."""
    import torch

    if device_name() == "cuda":
        return str(torch.cuda.get_device_name())
    return f"{processor()}, {len(os.sched_getaffinity(0))} cores"


def base_folder(model: str, shape: str | None, work: Path) -> str:
    """Return the folder of the base model: the one that is named, or one of random weights, written into `work`."""
    from resources.base_model import resolve_base_model

    # A tokenizer needs no weights beside it, so a folder with nothing else will do, which resolving would refuse.
    needs_weights = shape is None or not Path(model).is_dir()
    found = resolve_base_model(model, report=lambda line: print(line, file=sys.stderr)).path if needs_weights else model
    return found if shape is None else str(write_random_model(SHAPES[shape], found, work / "base"))


def whole_steps(chosen: FineTuningSettings, steps: int | None, pairs: int) -> FineTuningSettings:
    """Return the settings for a run of so many steps, or of each pair once, with one checkpoint at its end."""
    an_epoch = math.ceil(pairs / (chosen.batch_size * chosen.gradient_accumulation))
    count = steps or an_epoch
    return chosen.model_copy(update={"epochs": count / an_epoch, "checkpoint_steps": count, "patience": 0})


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Make the data, run both, and return the figures."""
    chosen = FineTuningSettings.model_validate_json(arguments.settings)
    require_plain_lora(chosen)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        base = base_folder(arguments.model, arguments.shape, folder)
        conversations = conversations_of(arguments.scenario, arguments.samples)
        pairs = [pair for messages in conversations for pair in prompt_completion_pairs(messages)]
        settings = whole_steps(chosen, arguments.steps, len(pairs))
        write_lines(folder / "pairs" / "train.jsonl", pairs)
        write_lines(folder / "conversations" / "train.jsonl", [{"messages": messages} for messages in conversations])
        command = stock_command(base, settings, folder / "pairs", folder / "stock", shlex.split(arguments.stock))
        stock = None if arguments.no_stock else run_stock(command, folder / "stock", folder / "cache")
        ours = run_ours(base, settings, folder / "conversations", folder / "ours")
        multiplied = multiplied_parameters(base)
    figures = alone(ours) if stock is None else compared(stock, ours)
    said = shlex.join(["python", *command[1:]]).replace(work, ".").replace(base, arguments.model)
    return {
        **figures,
        **share_of_peak(ours.rate, multiplied, matmul_peak(*_PRODUCT[device_name()])),
        "device": device(),
        "model": arguments.model,
        "shape": arguments.shape,
        "scenario": arguments.scenario,
        "samples": arguments.samples,
        "settings": settings.model_dump(exclude={"base_model"}),
        "stock_command": None if stock is None else said,
    }


def main() -> None:
    """Run the benchmark, or our part of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded", help="a name of data/base_models.yaml, a folder, or a hub id")
    parser.add_argument(
        "--shape", choices=SHAPES, help="train random weights of this shape, with the model's tokenizer"
    )
    parser.add_argument("--scenario", default="address_extraction")
    parser.add_argument("--samples", type=int, default=160, help="conversations to train on")
    parser.add_argument(
        "--steps", type=int, help="optimizer steps, if no sample is too long; default: each sample once"
    )
    parser.add_argument("--settings", default="{}", help="a JSON object of fields of FineTuningSettings, for both")
    stock = parser.add_mutually_exclusive_group()
    stock.add_argument("--stock", default="", help="further arguments of the stock script; they win")
    stock.add_argument("--no-stock", action="store_true", help="train by train_adapter alone; ratio is then null")
    add_result_options(parser)
    parser.add_argument("--part", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--data", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        settings = FineTuningSettings.model_validate_json(arguments.settings)
        print(train_here(arguments.model, settings, arguments.data, arguments.part).model_dump_json())
        return
    told = circumstances("training", *LEARNING)
    found = measure(arguments) | told
    print(
        f"ours   {found['tok_s']:>10,} tokens/s on {found['device']}, {found['share_of_peak']:.1%} of its matrix peak"
    )
    if found["ratio"] is not None:
        print(f"stock  {found['stock_tok_s']:>10,} tokens/s; ours makes {found['ratio']} times as many")
        print(f"loss curves at most {found['loss_difference']} apart (tolerance {found['tolerance']})")
    tell(found, arguments)


if __name__ == "__main__":
    main()
