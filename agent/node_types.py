"""The node types of this agent: the engine's control types and the built-in plugins."""

from engine.execution.control import control_types
from plugins.nodes import builtin_types
from plugins.registry import Registry

SHELL_IS_OFF = (
    "it is off, because whoever may deploy could then run programs on this machine; "
    "to allow it set allow_shell = true under [engine]"
)


def node_types(*, allow_shell: bool) -> Registry:
    """All of them, in one registry."""
    disabled = {} if allow_shell else {"shell": SHELL_IS_OFF}
    return Registry((*control_types(), *builtin_types()), disabled=disabled)
