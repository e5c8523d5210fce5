"""What a check says: passed, or what is wrong and what to do, in the UI and in the run's log.

The command line prints no more than the name of a check that failed, so the reasons must stand in the log.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import dagster as dg

_SHOWN: Final = 5


def check_result(
    context: dg.AssetCheckExecutionContext,
    complaints: Sequence[str],
    metadata: Mapping[str, Any],
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    """Return the result of a check that passes when there is nothing to complain about, and log what there is."""
    more = f"\n… and {len(complaints) - _SHOWN} more" if len(complaints) > _SHOWN else ""
    description = "\n".join(complaints[:_SHOWN]) + more
    if complaints:
        log = context.log.error if severity == dg.AssetCheckSeverity.ERROR else context.log.warning
        log(description)
    return dg.AssetCheckResult(
        passed=not complaints, description=description or None, metadata=metadata, severity=severity
    )
