"""What the alignment hands on."""

from pydantic import BaseModel, ConfigDict

from resources.store import ModelFolder


class Alignment(BaseModel):
    """What the alignment made; no model where it is off."""

    model_config = ConfigDict(frozen=True)

    method: str
    model: ModelFolder | None = None
