"""The built-in node types that touch the world; one file each.

The control types (if, switch, sleep) are the engine's, `engine.execution.control`; the agent joins both lists.
"""

from engine.contract import NodeType
from plugins.nodes.fail import FAIL
from plugins.nodes.http import HTTP
from plugins.nodes.log import LOG
from plugins.nodes.publish import PUBLISH
from plugins.nodes.request import REQUEST
from plugins.nodes.shell import SHELL
from plugins.nodes.transform import TRANSFORM

__all__ = ["builtin_types"]


def builtin_types() -> tuple[NodeType, ...]:
    """All of them, in the order of the reference."""
    return (TRANSFORM, HTTP, PUBLISH, REQUEST, SHELL, LOG, FAIL)
