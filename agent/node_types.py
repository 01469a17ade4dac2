"""The node types of this agent: the engine's control types, the built-in plugins, and those of the models."""

from engine.execution.control import control_types
from plugins.llm.nodes import llm_types
from plugins.llm.service.models import Models
from plugins.nodes import builtin_types
from plugins.registry import Registry

SHELL_IS_OFF = (
    "it is off, because whoever may deploy could then run programs on this machine; "
    "to allow it set allow_shell = true under [engine]"
)


def node_types(*, allow_shell: bool, models: Models | None = None) -> Registry:
    """All of them, in one registry. `models` is needed to run nodes that ask one, not to read workflows."""
    disabled = {} if allow_shell else {"shell": SHELL_IS_OFF}
    return Registry((*control_types(), *builtin_types(), *llm_types(models)), disabled=disabled)
