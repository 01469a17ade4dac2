"""`state`: what a workflow keeps beyond its executions."""

from typing import Annotated

import msgspec
import typer

from agent.cli.complete import workflows as complete_workflows
from agent.cli.failure import Failure
from agent.cli.options import AgentName, AsJson, ConfigFile, DataDir, Url
from agent.cli.reach import Where, ask
from agent.cli.screen import local_time, remark, say, short, table, write_json
from engine.control.messages import Done, SetState, StateEntries, StateEntry, StateKey, StateKeys
from engine.values import InvalidValue, Json, decode_json


def state(
    workflow: Annotated[str, typer.Argument(help="The workflow's name.", autocompletion=complete_workflows)],
    key: Annotated[str | None, typer.Argument(help="One key, with its whole value; without it all are listed.")] = None,
    set_to: Annotated[
        str | None, typer.Option("--set", help="Set the key to this value, JSON or text.", show_default=False)
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the key.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="How many keys are listed.")] = 100,
    after: Annotated[str, typer.Option("--after", help="List the keys behind this one.")] = "",
    config: ConfigFile = None,
    data_dir: DataDir = None,
    url: Url = None,
    agent: AgentName = None,
    as_json: AsJson = False,
) -> None:
    """Show or change what a workflow keeps: its counters, what it saw last."""
    where = Where(config, data_dir, url, agent)
    if key is None and (set_to is not None or delete):
        raise Failure("which key? write `ganglion state WORKFLOW KEY --set VALUE`")
    if set_to is not None and delete:
        raise Failure("--set and --delete exclude each other")
    if key is None:
        entries = ask(where, "state", StateKeys(workflow=workflow, after=after, limit=limit), StateEntries)
        if as_json:
            write_json(entries)
        else:
            _show(entries)
        return
    if set_to is not None or delete:
        done = (
            ask(where, "dropstate", StateKey(workflow=workflow, key=key), Done)
            if set_to is None
            else ask(where, "setstate", SetState(workflow=workflow, key=key, value=_value(set_to)), Done)
        )
        if as_json:
            write_json(done)
        else:
            say(done.message)
        return
    entry = ask(where, "statekey", StateKey(workflow=workflow, key=key), StateEntry)
    if as_json:
        write_json(entry)
    else:
        say(msgspec.json.format(msgspec.json.encode(entry.value)).decode())
        remark(f"revision {entry.revision}, changed {local_time(entry.changed_at)}")


def _show(found: StateEntries) -> None:
    if not found.entries:
        say(f"{found.workflow} keeps nothing")
        return
    table(
        ("KEY", "CHANGED", "TIMES", "VALUE"),
        (
            (
                entry.key,
                local_time(entry.changed_at),
                str(entry.revision),
                f"({entry.size} bytes)" if entry.value is msgspec.UNSET else short(entry.value, 60),
            )
            for entry in found.entries
        ),
    )
    if found.more:
        remark(f"there are more: --after {found.entries[-1].key}")


def _value(text: str) -> Json:
    """JSON, or else text."""
    try:
        return decode_json(text.encode())
    except (InvalidValue, UnicodeEncodeError):
        return text
