"""When Dagster may make an asset by itself, where the sensor `cheap_stages` is switched on.

Only what needs no GPU declares a condition. `template_variants` asks an LLM where one is configured, within its budget.
"""

from typing import Final

import dagster as dg

# `eager` makes what is older than what it is made of, and what goes missing; the second part makes what was missing
# already when the sensor looked for the first time.
MISSING_OR_OUTDATED: Final = (
    dg.AutomationCondition.eager()
    | (
        dg.AutomationCondition.missing()
        & dg.AutomationCondition.initial_evaluation()
        & ~dg.AutomationCondition.any_deps_missing()
        & ~dg.AutomationCondition.in_progress()
    )
).with_label("missing or outdated")
