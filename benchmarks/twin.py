"""A million samples: the loop that a tutorial would write against the column engine, in one run on one machine.

    python -m benchmarks.twin --json --output benchmarks/results/twin.json
    python -m benchmarks.twin --rows 10000000 --json          # the stream: memory stays where it was

Both make atoms, render a message and its answer from the same templates of `address_extraction`, and write Parquet.
Each part runs in a process of its own, so that its peak memory is its own.

- loop: Faker for each field, a compiled Jinja2 template for the message and one for the answer, a list of dicts; row by
  row, in one process, as a script would. It verifies nothing. It is measured on fewer rows, because its rate does not
  depend on their number.
- engine: `cs_assets.samples.stream.write_samples`, coherent atoms, every sample verified by the family's rules.

The last line of `--json` is one object: loop_samples_s, samples_s and their ratio; peak_rss_mb, of the engine's largest
process and, as peak_rss_mb_all, of all its processes together; incoherent, the rows of atoms that contradict the
reference tables, over all rows, by the check behind `atomic_table`; broken, how many of about 5,000 samples drawn from
the written files the row-by-row `verify` objects to.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.outcome import add_result_options, circumstances, tell
from cs_assets.atoms.bundles import BUNDLES, sample_atoms, sample_chunks
from cs_assets.scenario import Scenario, load_scenario

SCENARIO: Final = "address_extraction"
LOOP_ROWS: Final = 20_000
VERIFIED_AGAIN: Final = 5_000
PROCESSES: Final = 2


def scenario_and_variants() -> tuple[Scenario, Any]:
    from cs_assets.templates.variants import template_variants

    scenario = load_scenario(SCENARIO)
    probes = sample_atoms(scenario.spec.atoms, 6, scenario.spec.seed).to_dicts()
    return scenario, template_variants(scenario, probes)


def loop(rows: int, folder: Path) -> dict[str, float]:
    """Write `rows` samples as a tutorial would; return seconds and samples."""
    import polars as pl
    from faker import Faker
    from jinja2 import Environment

    scenario, variants = scenario_and_variants()
    environment = Environment()
    templates = [environment.from_string(text) for text in variants.filter("accepted")["text"]]
    slots = scenario.slots
    faker, rng = Faker("zh_CN"), random.Random(scenario.spec.seed)
    Faker.seed(scenario.spec.seed)
    made: list[dict[str, str]] = []
    began = time.perf_counter()
    answer = environment.from_string((scenario.folder / "templates" / "bot.j2").read_text(encoding="utf-8"))
    while len(made) < rows:
        region = {"省": faker.province(), "市": faker.city(), "县": faker.district()}
        atoms = dict.fromkeys((slot.split(".")[0] for slot in slots), "") | {
            "名字": {"param": {"输出": faker.name()}},
            "电话": faker.phone_number(),
            "邮编": faker.postcode(),
            "地址": {"param": region},
            "详细地址": faker.street_address(),
        }
        message = rng.choice(templates).render(atoms)
        made.append({"message": message, "answer": answer.render(atoms)})
    pl.DataFrame(made).write_parquet(folder / "loop.parquet")
    return {"seconds": time.perf_counter() - began, "samples": len(made)}


def engine(rows: int, folder: Path) -> dict[str, float]:
    """Write `rows` samples by column; return seconds, samples and the peak memory of the processes."""
    from cs_assets.samples.stream import write_samples

    scenario, variants = scenario_and_variants()
    began = time.perf_counter()
    samples = write_samples(scenario, variants, rows, folder, PROCESSES)
    seconds = time.perf_counter() - began
    own, workers = (
        resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return {
        "seconds": seconds,
        "samples": samples,
        "peak_rss_mb": max(own, workers),
        "peak_rss_mb_all": own + PROCESSES * workers,
    }


def in_own_process(part: str, rows: int, folder: Path) -> dict[str, float]:
    """Run a part of this module in a process of its own and return what it found."""
    command = [sys.executable, "-m", "benchmarks.twin", "--part", part, "--rows", str(rows), "--folder", str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def incoherent_rows(rows: int) -> int:
    """Return how many rows of the atoms behind the samples contradict the reference tables."""
    scenario = load_scenario(SCENARIO)
    bundle = BUNDLES[scenario.spec.atoms]
    return sum(bundle.faults(chunk).height for chunk in sample_chunks(scenario.spec.atoms, rows, scenario.spec.seed))


def broken_samples(folder: Path) -> int:
    """Return how many of `VERIFIED_AGAIN` samples, drawn from the files, break a rule of the row-by-row `verify`."""
    import polars as pl

    from cs_assets.families.base import Sample

    family = load_scenario(SCENARIO).family
    files = sorted(folder.glob("part-*.parquet"))
    share = VERIFIED_AGAIN // len(files)
    found = (pl.read_parquet(path, columns=["message", "answer"]) for path in files)
    rows = pl.concat([table.sample(min(share, table.height), seed=7) for table in found]).to_dicts()
    return sum(bool(family.verify(Sample.model_validate(row))) for row in rows)


def measure(rows: int, loop_rows: int) -> dict[str, Any]:
    """Run both parts and the checks."""
    with tempfile.TemporaryDirectory() as folder:
        made = in_own_process("engine", rows, Path(folder))
        looped = in_own_process("loop", loop_rows, Path(folder))
        broken = broken_samples(Path(folder))
        written = sum(path.stat().st_size for path in Path(folder).glob("part-*.parquet"))
    loop_rate, rate = looped["samples"] / looped["seconds"], made["samples"] / made["seconds"]
    return {
        "loop_samples_s": round(loop_rate),
        "samples_s": round(rate),
        "ratio": round(rate / loop_rate, 1),
        "peak_rss_mb": round(made["peak_rss_mb"]),
        "peak_rss_mb_all": round(made["peak_rss_mb_all"]),
        "incoherent": incoherent_rows(rows),
        "broken": broken,
        "rows": rows,
        "samples": int(made["samples"]),
        "seconds": round(made["seconds"], 2),
        "parquet_mb": round(written / 1e6),
        "loop_rows": loop_rows,
        "processes": PROCESSES,
    }


def main() -> None:
    """Run the benchmark, or one part of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    add_result_options(parser)
    parser.add_argument("--part", choices=("loop", "engine"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        print(json.dumps({"loop": loop, "engine": engine}[arguments.part](arguments.rows, arguments.folder)))
        return
    told = circumstances("twin", "polars", "numpy", "faker", "jinja2")
    found = measure(arguments.rows, LOOP_ROWS) | told
    print(f"loop    {found['loop_samples_s']:>9,} samples/s")
    print(f"engine  {found['samples_s']:>9,} samples/s, {found['ratio']} times as many, {found['peak_rss_mb']:,} MB")
    print(f"incoherent rows: {found['incoherent']}; samples that break a rule: {found['broken']}")
    tell(found, arguments)


if __name__ == "__main__":
    main()
