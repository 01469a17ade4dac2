"""`state`: what a workflow keeps beyond its executions."""

from typing import Annotated

import msgspec
import typer

from agent.cli.addressed import to_fleet
from agent.cli.complete import workflows as complete_workflows
from agent.cli.failure import Failure
from agent.cli.fleetwide import show_answer, show_done
from agent.cli.options import AsJson
from agent.cli.reach import Where
from agent.cli.screen import local_time, remark, say, short, table
from engine.control.messages import SetState, StateEntries, StateEntry, StateKey, StateKeys
from engine.values import InvalidValue, Json, decode_json


@to_fleet
def state(
    workflow: Annotated[str, typer.Argument(help="The workflow's name.", autocompletion=complete_workflows)],
    key: Annotated[str | None, typer.Argument(help="One key, with its whole value; without it all are listed.")] = None,
    set_to: Annotated[
        str | None, typer.Option("--set", help="Set the key to this value, JSON or text.", show_default=False)
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the key.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=500, help="How many keys are listed.")] = 100,
    after: Annotated[str, typer.Option("--after", help="List the keys behind this one.")] = "",
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:
    """Show or change what a workflow keeps: its counters, what it saw last."""
    if key is None and (set_to is not None or delete):
        raise Failure("which key? write `ganglion state WORKFLOW KEY --set VALUE`")
    if set_to is not None and delete:
        raise Failure("--set and --delete exclude each other")
    if key is None:
        keys = StateKeys(workflow=workflow, after=after, limit=limit)
        show_answer(where, "state", keys, StateEntries, _show, _in_lines, as_json=as_json)
        return
    one = StateKey(workflow=workflow, key=key)
    if set_to is None and not delete:
        show_answer(where, "statekey", one, StateEntry, _show_entry, _in_a_line, as_json=as_json)
        return
    if set_to is None:
        show_done(where, "dropstate", one, as_json=as_json)
    else:
        show_done(where, "setstate", SetState(workflow=workflow, key=key, value=_value(set_to)), as_json=as_json)


def _show_entry(entry: StateEntry) -> None:
    say(msgspec.json.format(msgspec.json.encode(entry.value)).decode())
    remark(f"revision {entry.revision}, changed {local_time(entry.changed_at)}")


def _in_lines(found: StateEntries) -> str:
    return "\n".join(map(_in_a_line, found.entries)) or "keeps nothing"


def _in_a_line(entry: StateEntry) -> str:
    value = f"({entry.size} bytes)" if entry.value is msgspec.UNSET else short(entry.value, 60)
    return f"{entry.key}  {value}  changed {local_time(entry.changed_at)}"


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
