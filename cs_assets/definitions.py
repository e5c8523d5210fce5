"""Assembly only: every asset, check, job, sensor and resource in one Definitions.

from cs_assets.definitions import build_defs
defs = build_defs(resource_overrides={"base_models": ...})
"""

import os
from collections.abc import Mapping
from typing import Any

import dagster as dg

from cs_assets import automation
from cs_assets.alignment import assets as alignment_assets
from cs_assets.atoms import assets as atoms_assets
from cs_assets.atoms import checks as atoms_checks
from cs_assets.evaluation import assets as evaluation_assets
from cs_assets.evaluation import checks as evaluation_checks
from cs_assets.quality import assets as quality_assets
from cs_assets.quality import checks as quality_checks
from cs_assets.release import assets as release_assets
from cs_assets.reward import assets as reward_assets
from cs_assets.reward import checks as reward_checks
from cs_assets.samples import assets as samples_assets
from cs_assets.samples import checks as samples_checks
from cs_assets.templates import assets as templates_assets
from cs_assets.templates import checks as templates_checks
from cs_assets.training import assets as training_assets
from cs_assets.training import checks as training_checks
from resources.base_model import BaseModels
from resources.gpu import executor_for
from resources.llm import LLM
from resources.store import Store, default_root, io_managers
from resources.tracking import Tracking
from resources.webhook import Webhook

# In the order of the chain.
ASSETS = [
    atoms_assets,
    templates_assets,
    samples_assets,
    quality_assets,
    training_assets,
    reward_assets,
    alignment_assets,
    evaluation_assets,
    release_assets,
]
CHECKS = [
    atoms_checks,
    templates_checks,
    samples_checks,
    quality_checks,
    training_checks,
    reward_checks,
    evaluation_checks,
]


def _from_environment(**names: str) -> dict[str, Any]:
    """Return the fields whose variables are set. EnvVar keeps what they hold out of what Dagster stores and shows."""
    return {field: dg.EnvVar(name) for field, name in names.items() if os.environ.get(name)}


def _numbers_from_environment(**names: str) -> dict[str, Any]:
    return {field: dg.EnvVar.int(name) for field, name in names.items() if os.environ.get(name)}


def build_defs(resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """Return the definitions; `resource_overrides` replaces resources by key, as tests do."""
    resources: dict[str, Any] = {
        "store": Store(),
        "tracking": Tracking(**_from_environment(uri="MLFLOW_TRACKING_URI")),
        "base_models": BaseModels(),
        "llm": LLM(
            **_from_environment(
                api_key="OPENAI_API_KEY",
                base_url="OPENAI_BASE_URL",
                model="OPENAI_MODEL",
                embedding_model="OPENAI_EMBEDDING_MODEL",
                cache_path="CS_LLM_CACHE",
            ),
            **_numbers_from_environment(max_calls="CS_LLM_MAX_CALLS", max_tokens="CS_LLM_MAX_TOKENS"),
        ),
        "failure_webhook": Webhook(**_from_environment(url="CS_FAILURE_WEBHOOK")),
        **io_managers(default_root()),
    }
    return dg.Definitions(
        assets=dg.load_assets_from_modules(ASSETS),
        asset_checks=dg.load_asset_checks_from_modules(CHECKS),
        jobs=automation.JOBS,
        schedules=automation.SCHEDULES,
        sensors=automation.SENSORS,
        resources=resources | dict(resource_overrides or {}),
        executor=executor_for(),
    )


defs = build_defs()
