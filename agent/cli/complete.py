"""Shell completion of names that only a running agent knows. Slow or absent agents complete nothing, quickly."""

from agent.cli.reach import Where, ask
from engine.control.messages import Definitions, Executions, List, Nothing


def workflows(incomplete: str) -> list[str]:
    """Names of deployed workflows."""
    try:
        answer = ask(Where(), "workflows", Nothing(), Definitions)
    except Exception:  # a completion must never print
        return []
    return [info.workflow for info in answer.definitions if info.workflow.startswith(incomplete)]


def executions(incomplete: str) -> list[tuple[str, str]]:
    """Ids of the newest executions, with what they are."""
    try:
        answer = ask(Where(), "list", List(limit=50), Executions)
    except Exception:
        return []
    return [
        (info.execution, f"{info.workflow} {info.status}")
        for info in answer.executions
        if info.execution.startswith(incomplete)
    ]
