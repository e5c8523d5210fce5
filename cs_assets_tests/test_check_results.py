"""What a check says: in its result, and in the log, where the command line shows it."""

import dagster as dg
import pytest

from cs_assets.check_results import check_result


def test_a_check_without_complaints_passes() -> None:
    result = check_result(dg.build_asset_check_context(), [], {"rows": 3})
    assert result.passed
    assert result.description is None
    assert result.metadata["rows"].value == 3


@pytest.mark.parametrize("severity", list(dg.AssetCheckSeverity))
def test_complaints_stand_in_result_and_log(severity: dg.AssetCheckSeverity) -> None:
    @dg.asset
    def table() -> None: ...

    @dg.asset_check(asset=table)
    def sound(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        return check_result(context, [f"row {number} is odd" for number in range(7)], {}, severity)

    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.materialize([table, sound], instance=instance)
        [evaluation] = run.get_asset_check_evaluations()
        logged = [entry for entry in instance.all_logs(run.run_id) if entry.user_message.startswith("row 0 is odd\n")]
    assert not evaluation.passed
    assert evaluation.severity is severity
    assert (evaluation.description or "").splitlines()[-1] == "… and 2 more"
    assert [entry.level for entry in logged] == [40 if severity is dg.AssetCheckSeverity.ERROR else 30]
