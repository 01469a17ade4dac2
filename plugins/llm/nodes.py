"""The node types of this room."""

from engine.contract import NodeType
from plugins.llm.agent_loop.node_type import AGENT_LOOP
from plugins.llm.node.node_type import llm_type
from plugins.llm.service.models import Models

__all__ = ["llm_types"]


def llm_types(models: Models | None) -> tuple[NodeType, ...]:
    """`llm` and `agent_loop` over a service of models; without one they can be read and not run."""
    return (llm_type(models), AGENT_LOOP)
