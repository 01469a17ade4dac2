"""Options that say which agent a command goes to, written once: a decorator puts them into the command's signature.

    @to_agent                                   --config --data-dir --url --agent --timeout
    def pause(id: Id, *, where: Where, as_json: AsJson = False) -> None: ...

`where` stands in the command for all of them; `to_fleet` adds --fleet.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from copy import copy
from typing import Annotated, Any, get_args

import typer

from agent.cli import complete
from agent.cli.options import AnyDataDir, ConfigFile, Url
from agent.cli.reach import Where
from engine.quantities import parse_duration

PANEL = "Which agent"


def read_seconds(text: str) -> float:
    """A duration that is not zero, such as 5s, or a number of seconds."""
    try:
        seconds = parse_duration(float(text) if text.replace(".", "", 1).isdigit() else text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}") from None
    if seconds <= 0:
        raise typer.BadParameter("expected a duration such as 5s")
    return seconds


def in_panel(option: Any) -> Any:
    """An option that other commands have too, among those that say which agent is meant."""
    kind, info = get_args(option)
    info = copy(info)
    info.rich_help_panel = PANEL
    return Annotated[kind, info]


ONE: dict[str, Any] = {
    "config": in_panel(ConfigFile),
    "data_dir": in_panel(AnyDataDir),
    "url": in_panel(Url),
    "agent": Annotated[
        str | None,
        typer.Option("--agent", help="Id of the agent, if it is another one.", show_default=False,
                     autocompletion=complete.agents, rich_help_panel=PANEL),
    ],
    "timeout": Annotated[
        float | None,
        typer.Option("--timeout", help="How long an agent may take to answer: 15s unless told.", show_default=False,
                     parser=read_seconds, metavar="DURATION", rich_help_panel=PANEL),
    ],
}  # fmt: skip
FLEET = Annotated[
    str | None,
    typer.Option(
        "--fleet",
        help="Ask all agents with these labels: site=berlin, several with commas, != too, * for everybody. "
        "Exit code 0: all did it; 1: some refused or failed; 3: some did not answer.",
        show_default=False,
        metavar="LABELS",
        autocompletion=complete.labels,
        rich_help_panel=PANEL,
    ),
]


def to_agent(command: Callable[..., None]) -> Callable[..., None]:
    """The command goes to one agent; it takes `where: Where`, keyword-only."""
    return _addressed(command, ONE)


def to_fleet(command: Callable[..., None]) -> Callable[..., None]:
    """The command goes to one agent, or with `where.fleet` to several (fleetwide.py)."""
    return _addressed(command, {**ONE, "fleet": FLEET})


def to_server(command: Callable[..., None]) -> Callable[..., None]:
    """The command is about the whole fleet: it goes to whoever knows of that, at the server that the agent uses."""
    return _addressed(command, {name: option for name, option in ONE.items() if name != "agent"})


def _addressed(command: Callable[..., None], options: Mapping[str, Any]) -> Callable[..., None]:
    @functools.wraps(command)
    def addressed(**given: Any) -> None:
        where = Where(**{name: given.pop(name, None) for name in options})
        command(where=where, **given)

    signature = inspect.signature(command)
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if parameter.name == "where":
            parameters += [
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option)
                for name, option in options.items()
            ]
        else:
            parameters.append(parameter)
    addressed.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    addressed.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return addressed
