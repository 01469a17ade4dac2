"""What a running agent says of its models."""

from typing import TYPE_CHECKING

from agent.cli.failure import Failure
from agent.cli.models.known import Shelf
from agent.cli.reach import Where, ask
from agent.cli.screen import remark
from agent.lock import holder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.model_desk import ModelInfo

__all__ = ["states_here"]


def states_here(shelf: Shelf, where: Where) -> "tuple[str, Sequence[ModelInfo]]":
    """The agent of this data directory, and how its models are; without one nobody, and how they are then."""
    from agent.model_desk import AgentModels
    from engine.control.messages import Nothing

    if holder(shelf.data_path) is None:
        return "", shelf.states()
    try:
        answer = ask(where, "models", Nothing(), AgentModels)
    except Failure as failure:
        remark(f"an agent runs on {shelf.data_path}, but does not tell how its models are: {failure}")
        return "", shelf.states()
    return answer.agent, answer.models
