"""Which families there are. Adding a family is adding its module, or its package, and its line here."""

from collections.abc import Callable
from typing import Final

from cs_assets.families.base import Family
from cs_assets.families.definition import Definition
from cs_assets.families.dialogue.family import DialogueFamily
from cs_assets.families.extraction import ExtractionFamily
from cs_assets.families.identity import IdentityFamily
from cs_assets.families.intent import IntentFamily
from cs_assets.families.knowledge.family import KnowledgeFamily
from cs_assets.families.reply.family import ReplyFamily
from cs_assets.families.tool_call.family import ToolCallFamily
from cs_assets.families.workflow.family import WorkflowFamily

FAMILIES: Final[dict[str, Callable[[Definition], Family]]] = {
    "dialogue": DialogueFamily,
    "extraction": ExtractionFamily,
    "identity": IdentityFamily,
    "intent": IntentFamily,
    "knowledge": KnowledgeFamily,
    "reply": ReplyFamily,
    "tool_call": ToolCallFamily,
    "workflow": WorkflowFamily,
}
