"""`deploy`, `undeploy`: which workflows an agent runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.addressed import to_fleet
from agent.cli.complete import workflows as complete_workflows
from agent.cli.fleetwide import each, show_answer, show_done
from agent.cli.options import AsJson, Params, assignments, read_source
from agent.cli.reach import Where, talk
from agent.cli.screen import local_time, remark, say, table, write_json
from engine.control.messages import DefinitionInfo, Definitions, Deploy, Deployed, Nothing, Undeploy

if TYPE_CHECKING:
    from mesh.client import ServiceClient


@to_fleet
def deploy(
    files: Annotated[list[Path], typer.Argument(help="Workflow files; - is standard input.", show_default=False)],
    param: Params = None,
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:
    """Make workflow files the active versions; running executions keep theirs."""
    params = assignments(param, "-p")
    requests = [Deploy(source=_text(path), filename=str(path), params=params) for path in files]

    async def conversation(client: "ServiceClient") -> list[Deployed]:
        return [await client.call("deploy", request, Deployed) for request in requests]

    if where.fleet is not None:
        each(where, conversation, lambda answers: "\n".join(map(_deployed, answers)), as_json=as_json)
        return
    answers = talk(where, conversation)
    if as_json:
        write_json({"deployed": answers})
        return
    for path, answer in zip(files, answers, strict=True):
        say(_deployed(answer))
        for warning in answer.warnings:
            remark(f"{path}: warning: {warning}")


@to_fleet
def undeploy(
    workflow: Annotated[str, typer.Argument(help="The workflow's name.", autocompletion=complete_workflows)],
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:
    """Switch a workflow's triggers off; running executions go on."""
    show_done(where, "undeploy", Undeploy(workflow=workflow), as_json=as_json)


@to_fleet
def workflows(
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:
    """List deployed workflows, and what starts them."""
    show_answer(where, "workflows", Nothing(), Definitions, _show, _in_lines, as_json=as_json)


def _show(answer: Definitions) -> None:
    if not answer.definitions:
        say("no workflows; deploy one: ganglion deploy FILE")
        return
    table(
        ("WORKFLOW", "DEPLOYED", "STARTS ON", "WHAT IT IS FOR"),
        (
            (
                f"{info.workflow}@{info.version}",
                local_time(info.deployed_at),
                _starts_on(info),
                info.problem or info.description,
            )
            for info in answer.definitions
        ),
        last_wraps=True,
    )


def _deployed(answer: Deployed) -> str:
    change = "deployed" if answer.changed else "unchanged"
    starts = f", starts on {', '.join(answer.subjects)}" if answer.subjects else ""
    return f"{answer.workflow} version {answer.version} {change}{starts}"


def _in_lines(answer: Definitions) -> str:
    return "\n".join(
        f"{info.workflow}@{info.version}  {info.problem or _starts_on(info)}" for info in answer.definitions
    ) or "no workflows"  # fmt: skip


def _starts_on(info: DefinitionInfo) -> str:
    return ", ".join((*info.subjects, *info.schedules, *info.watches))


def _text(path: Path) -> str:
    # What is not UTF-8 is told by the reader of the file, which knows the place.
    return read_source(path).decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode()
