"""`deadletters`: messages that could not be taken in or sent, with their cause."""

from typing import Annotated

import typer

from agent.cli.addressed import to_agent, to_fleet
from agent.cli.fleetwide import show_answer
from agent.cli.options import AsJson
from agent.cli.reach import Where, ask
from agent.cli.screen import local_time, say, table, write_json
from agent.cli.typos import Commands
from engine.control.messages import ByNumber, DeadLetterInfo, DeadLetterList, DeadLetters, Done

group = typer.Typer(cls=Commands, no_args_is_help=True, help="Messages that could not be taken in or sent out.")
Number = Annotated[int, typer.Argument(help="The dead letter's number.")]


@group.command("list")
@to_fleet
def listing(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many.")] = 20,
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:
    """List dead letters, newest first."""
    request = DeadLetters(limit=limit)
    show_answer(where, "deadletters", request, DeadLetterList, _list, _in_lines, as_json=as_json)


@group.command()
@to_agent
def show(
    number: Number,
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter with its body."""
    letter = ask(where, "deadletter", ByNumber(id=number), DeadLetterInfo)
    if as_json:
        write_json(letter)
        return
    say(f"dead letter {letter.id}, received {letter.received_at} on {letter.subject} ({letter.origin})")
    say(f"reason   {letter.reason}")
    if letter.replayed_at:
        say(f"replayed {letter.replayed_at}")
    for name, value in letter.headers.items():
        say(f"{name}: {value}")
    say(f"\n{letter.body}" + ("…" if letter.size > len(letter.body) else ""))


@group.command()
@to_agent
def replay(
    number: Number,
    *,
    where: Where,
    as_json: AsJson = False,
) -> None:
    """Take a dead letter in, or send it, once more."""
    answer = ask(where, "replay", ByNumber(id=number), Done)
    if as_json:
        write_json(answer)
    else:
        say(answer.message or f"dead letter {number} was replayed")


def _list(answer: DeadLetterList) -> None:
    if not answer.deadletters:
        say("no dead letters")
        return
    table(
        ("NUMBER", "RECEIVED", "FROM", "SUBJECT", "BYTES", "REPLAYED", "REASON"),
        (
            (
                str(letter.id),
                local_time(letter.received_at),
                letter.origin,
                letter.subject,
                str(letter.size),
                local_time(letter.replayed_at),
                letter.reason,
            )
            for letter in answer.deadletters
        ),
        last_wraps=True,
    )


def _in_lines(answer: DeadLetterList) -> str:
    return "\n".join(
        f"{letter.id}  {local_time(letter.received_at)}  {letter.origin}  {letter.subject}  {letter.reason}"
        for letter in answer.deadletters
    ) or "no dead letters"  # fmt: skip
