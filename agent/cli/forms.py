"""`forms`, `submit`: what workflows ask of people."""

import getpass
import sys
from functools import partial
from typing import Annotated, TypeAlias

import typer

from agent.cli.addressed import to_agent, to_fleet
from agent.cli.failure import Failure
from agent.cli.fleetwide import show_answer
from agent.cli.options import AsJson, read_data
from agent.cli.reach import Where, ask
from agent.cli.screen import local_time, say, short, table, write_json
from engine.control.form_messages import FormInfo, FormList, Forms, Submit, Submitted
from engine.values import InvalidValue, Json, decode_json

Field: TypeAlias = dict[str, Json]
Form = Annotated[str, typer.Argument(help="A form's id, or the beginning of it.")]
Values = Annotated[
    str | None,
    typer.Option("--data", "-d", help="Its values as JSON; @FILE reads a file, - standard input.", show_default=False),
]


@to_fleet
def forms(
    id: Annotated[str, typer.Argument(help="One form, with its fields; without it, all open ones.")] = "",
    mine: Annotated[
        str, typer.Option("--for", metavar="NAME", help="Only those that this person may submit.", show_default=False)
    ] = "",
    all: Annotated[bool, typer.Option("--all", "-a", help="Those of the past too.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many.")] = 100,
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:
    """List what waits for people: approvals, decisions, values."""
    request = Forms(form=id, assignee=mine, all=all, limit=limit)
    show_answer(where, "forms", request, FormList, partial(_list, request=request), _in_lines, as_json=as_json)


@to_agent
def submit(
    id: Form,
    data: Values = None,
    by: Annotated[str, typer.Option("--by", help="Who says so; your user name without it.", show_default=False)] = "",
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:
    """Fill a form in: -d '{"approve": true}', or answer its questions on a terminal."""
    values = read_data(data)
    if data is None:
        values = _asked(where, id)
    if not isinstance(values, dict):
        raise Failure(
            f"--data: the values of a form are an object, such as -d '{{\"approve\": true}}', got {short(values)}"
        )
    answer = ask(where, "submit", Submit(form=id, values=values, by=by or _user()), Submitted)
    if as_json:
        write_json(answer)
    else:
        say(f"form {answer.form} is submitted; {answer.execution} goes on")


def _list(answer: FormList, request: Forms) -> None:
    if request.form and len(answer.forms) == 1:
        _show(answer.forms[0])
    elif not answer.forms:
        say("no forms" if request.all else "no open forms; those of the past: ganglion forms --all")
    else:
        table(
            ("FORM", "WORKFLOW", "OPENED", "UNTIL", "FOR", "STATUS", "TITLE"),
            (
                (
                    form.form,
                    f"{form.workflow}/{form.node}",
                    local_time(form.opened_at),
                    local_time(form.until),
                    ", ".join(form.assignees),
                    form.status,
                    form.title,
                )
                for form in answer.forms
            ),
            last_wraps=True,
        )


def _asked(where: Where, id: str) -> dict[str, Json]:
    """What a person types, field by field. Raises Failure where nobody can be asked."""
    found = ask(where, "forms", Forms(form=id), FormList).forms
    still_open = [form for form in found if form.status == "open"]
    if len(still_open) != 1 or not still_open[0].fields:
        return {}  # the agent says what is wrong with the id
    form = still_open[0]
    if not sys.stdin.isatty():
        names = ", ".join(form.fields)
        raise Failure(f"the form asks for {names}: give them with -d '{{…}}', or run this on a terminal")
    _show(form)
    say()
    values: dict[str, Json] = {}
    for name, field in form.fields.items():
        text = typer.prompt(f"{name} ({_kind(field)})", default="", show_default=False)
        if text:
            values[name] = _read(field, text)
    return values


def _read(field: Field, text: str) -> Json:
    """What was typed, as the field's type; whether it fits, the agent says."""
    if field["type"] == "string":
        return text
    if field["type"] == "boolean" and text.lower() in ("y", "yes", "n", "no"):
        return text.lower().startswith("y")
    try:
        return decode_json(text.encode())
    except (InvalidValue, UnicodeEncodeError):
        return text


def _show(form: FormInfo) -> None:
    say(f"{form.title}")
    if form.message:
        say(form.message)
    until = f", until {local_time(form.until)}" if form.until else ""
    say(f"\nform {form.form}, {form.status}, opened {local_time(form.opened_at)}{until}")
    say(f"asked by {form.workflow}, node {form.node} of {form.execution}")
    if form.assignees:
        say(f"for {', '.join(form.assignees)}")
    if form.fields:
        say()
        table(
            ("FIELD", "TYPE", "DEFAULT", "MEANING"),
            (
                (name, _kind(field), _default(field), str(field.get("description", "")))
                for name, field in form.fields.items()
            ),
            last_wraps=True,
        )
    if form.answer is not None:
        say(f"\nsubmitted by {form.answer['by'] or 'somebody'} at {local_time(form.answer['at'])}")
        say(short(form.answer["values"], 2000))
    elif form.status == "open":
        say(f"\nganglion submit {form.form}" + (" -d '{…}'" if form.fields else ""))


def _in_lines(answer: FormList) -> str:
    return "\n".join(
        f"{form.form}  {form.workflow}/{form.node}  {form.status}  {', '.join(form.assignees)}  {form.title}"
        for form in answer.forms
    ) or "no forms"  # fmt: skip


def _kind(field: Field) -> str:
    if choices := field.get("one_of"):
        return " | ".join(short(choice, 40) for choice in choices)
    bounds = [f"{sign} {field[name]:g}" for name, sign in (("min", ">="), ("max", "<=")) if name in field]
    return " ".join([field["type"], *bounds, *(["required"] if field.get("required") else [])])


def _default(field: Field) -> str:
    return short(field["default"], 40) if "default" in field else ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without an entry for this user
        return ""
