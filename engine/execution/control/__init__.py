"""The engine's own node types: they steer the flow and touch nothing outside."""

from engine.contract import NodeType
from engine.execution.control.assign import SET
from engine.execution.control.branch import IF, SWITCH
from engine.execution.control.foreach import FOREACH
from engine.execution.control.form import FORM
from engine.execution.control.guard import TRY
from engine.execution.control.loop import REPEAT, WHILE
from engine.execution.control.sleep import SLEEP
from engine.execution.control.state import STATE
from engine.execution.control.subflow import SUBFLOW
from engine.execution.control.wait import WAIT


def control_types() -> tuple[NodeType, ...]:
    """All of them, for the agent's registry."""
    return (FOREACH, FORM, IF, REPEAT, SET, SLEEP, STATE, SUBFLOW, SWITCH, TRY, WAIT, WHILE)
