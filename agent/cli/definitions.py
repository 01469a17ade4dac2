"""`deploy`, `undeploy`: which workflows an agent runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.complete import workflows as complete_workflows
from agent.cli.options import AgentName, AsJson, ConfigFile, DataDir, Params, Url, assignments, read_source
from agent.cli.reach import Where, ask, talk
from agent.cli.screen import local_time, remark, say, table, write_json
from engine.control.messages import Definitions, Deploy, Deployed, Done, Nothing, Undeploy

if TYPE_CHECKING:
    from mesh.client import ServiceClient


def deploy(
    files: Annotated[list[Path], typer.Argument(help="Workflow files; - is standard input.", show_default=False)],
    param: Params = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    url: Url = None,
    agent: AgentName = None,
    as_json: AsJson = False,
) -> None:
    """Make workflow files the active versions; running executions keep theirs."""
    params = assignments(param, "-p")
    requests = [Deploy(source=_text(path), filename=str(path), params=params) for path in files]

    async def conversation(client: "ServiceClient") -> list[Deployed]:
        return [await client.call("deploy", request, Deployed) for request in requests]

    answers = talk(Where(config, data_dir, url, agent), conversation)
    if as_json:
        write_json({"deployed": answers})
        return
    for path, answer in zip(files, answers, strict=True):
        change = "deployed" if answer.changed else "unchanged"
        starts = f", starts on {', '.join(answer.subjects)}" if answer.subjects else ""
        say(f"{answer.workflow} version {answer.version} {change}{starts}")
        for warning in answer.warnings:
            remark(f"{path}: warning: {warning}")


def undeploy(
    workflow: Annotated[str, typer.Argument(help="The workflow's name.", autocompletion=complete_workflows)],
    config: ConfigFile = None,
    data_dir: DataDir = None,
    url: Url = None,
    agent: AgentName = None,
    as_json: AsJson = False,
) -> None:
    """Switch a workflow's triggers off; running executions go on."""
    answer = ask(Where(config, data_dir, url, agent), "undeploy", Undeploy(workflow=workflow), Done)
    if as_json:
        write_json(answer)
    else:
        say(answer.message or f"{workflow} is no longer deployed")


def workflows(
    config: ConfigFile = None,
    data_dir: DataDir = None,
    url: Url = None,
    agent: AgentName = None,
    as_json: AsJson = False,
) -> None:
    """List deployed workflows, and what starts them."""
    answer = ask(Where(config, data_dir, url, agent), "workflows", Nothing(), Definitions)
    if as_json:
        write_json(answer)
        return
    if not answer.definitions:
        say("no workflows; deploy one: ganglion deploy FILE")
        return
    table(
        ("WORKFLOW", "DEPLOYED", "STARTS ON", "WHAT IT IS FOR"),
        (
            (
                f"{info.workflow}@{info.version}",
                local_time(info.deployed_at),
                ", ".join((*info.subjects, *info.schedules, *info.watches)),
                info.problem or info.description,
            )
            for info in answer.definitions
        ),
        last_wraps=True,
    )


def _text(path: Path) -> str:
    # What is not UTF-8 is told by the reader of the file, which knows the place.
    return read_source(path).decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode()
