"""Which size of run: `demo` (two CPU cores, embedded base model) or `full` (a GPU, a hub model).

Here belongs only the choice between the two. The numbers themselves stand beside the code they drive, both sizes
in one line, so that a reader compares them where they matter:

    class AdapterSettings(BaseModel):
        learning_rate: float = by_profile(demo=2e-4, full=1e-4, description="Peak learning rate.", gt=0)

`CS_PROFILE` is read once, when the definitions load; the Launchpad then shows the chosen numbers as defaults and
lets a person change each of them.
"""

import os
from typing import Any, Literal

from pydantic import Field

ProfileName = Literal["demo", "full"]
PROFILE_NAMES: tuple[ProfileName, ...] = ("demo", "full")


def current_profile() -> ProfileName:
    """Return the profile named by `CS_PROFILE`, `demo` when it is unset.

    Raises:
        ValueError: `CS_PROFILE` holds another word.
    """
    name = os.environ.get("CS_PROFILE") or "demo"
    if name not in PROFILE_NAMES:
        raise ValueError(f"CS_PROFILE is {name!r}; allowed are {', '.join(PROFILE_NAMES)}. Set it to one of them.")
    return name


def by_profile(*, demo: Any, full: Any, description: str, **constraints: Any) -> Any:
    """Declare a pydantic field whose default depends on the profile; `constraints` go to `pydantic.Field`."""
    return Field(default=demo if current_profile() == "demo" else full, description=description, **constraints)
