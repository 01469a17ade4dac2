"""What a running agent says of its models."""

from typing import TYPE_CHECKING

from agent.cli.models.known import Shelf

if TYPE_CHECKING:
    from plugins.llm.models import ModelState


def live_states(shelf: Shelf) -> "tuple[ModelState, ...]":
    """Of the agent that runs on this data directory; empty where none does."""
    return ()
