from engine.definition.model import Workflow, WorkflowTrigger
from engine.triggers.circles import chain_warnings


def warned(name: str, **sources: list[str]) -> tuple[str, ...]:
    """Warnings about one of the workflows, each given by what it starts on; `!x` is its on_failure."""
    workflows = {
        one: Workflow(
            name=one,
            triggers=tuple(WorkflowTrigger(name=source) for source in found if source[0] != "!"),
            on_failure=next((source[1:] for source in found if source[0] == "!"), None),
        )
        for one, found in sources.items()
    }
    return chain_warnings(name, workflows)


def test_workflows_in_a_row_are_fine() -> None:
    assert warned("c", a=[], b=["a"], c=["b", "a"]) == ()


def test_a_circle_is_told_with_its_way() -> None:
    (warning,) = warned("c", a=["c"], b=["a"], c=["b"])
    assert warning.startswith("triggers: these workflows start each other: c → a → b → c;")


def test_a_handler_of_failures_closes_a_circle_too() -> None:
    (warning,) = warned("b", a=["!b"], b=["a"], c=["b"]) or ("",)
    assert warning == ""
    (warning,) = warned("a", a=["b", "!b"], b=[])
    assert "a → b → a" in warning


def test_a_circle_of_others_is_not_told() -> None:
    assert warned("d", a=["b"], b=["a"], c=["b"], d=["c"]) == ()


def test_one_that_starts_on_itself_is_told_by_its_file() -> None:
    assert warned("a", a=["a"]) == ()


def test_a_source_that_is_not_deployed_is_told() -> None:
    (warning,) = warned("b", **{"cold-chain": [], "b": ["cold-chian"]})
    assert warning == "triggers: no workflow named cold-chian is deployed here; did you mean cold-chain?"
