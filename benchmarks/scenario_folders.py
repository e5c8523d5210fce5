"""Many scenario folders, as a company with many small tasks has them: what the sensors and the UI have to bear.

    make_scenarios(Path("scenarios"), 1000)

Each is `address_extraction` with its first templates and counts for tests; the text of one template bears the folder's
number, so that no two folders are the same.
"""

import shutil
from pathlib import Path
from typing import Final

TEMPLATES: Final = 20
_EXAMPLE: Final = Path(__file__).resolve().parent.parent / "data" / "scenarios" / "address_extraction"
_COUNTS: Final = """
    variants_per_seed: 1
    judge: 16
    train: 32
    validation: 4
    test_iid: 4
    test_template_ood: 4
    test_entity_ood: 4
    test_noise: 4
"""


def make_scenarios(folder: Path, count: int, templates: int = TEMPLATES) -> list[str]:
    """Write `count` scenario folders with `templates` templates each into `folder`; return their names, sorted."""
    names = [f"scenario_{number:04d}" for number in range(count)]
    seeds = sorted((_EXAMPLE / "templates" / "human").glob("*.j2"))[:templates]
    head, _ = (_EXAMPLE / "scenario.yaml").read_text(encoding="utf-8").split("counts:")
    for number, name in enumerate(names):
        human = folder / name / "templates" / "human"
        human.mkdir(parents=True)
        for seed in seeds:
            shutil.copy(seed, human)
        (human / seeds[0].name).write_text(f"这是第{number}家店的客人：{seeds[0].read_text(encoding='utf-8')}", "utf-8")
        shutil.copy(_EXAMPLE / "templates" / "bot.j2", human.parent)
        # The last file, by which the folder counts as a scenario.
        spec = f"{head}counts:\n  demo:{_COUNTS}  full:{_COUNTS}"
        (folder / name / "scenario.yaml").write_text(spec, encoding="utf-8")
    return names
