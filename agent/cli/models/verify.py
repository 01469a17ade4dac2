"""`models verify`: whether files are what they were, and an end of a quarantine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from agent.cli.complete import models
from agent.cli.failure import Exit, Failure
from agent.cli.models.known import Shelf
from agent.cli.models.progress import ProgressLine
from agent.cli.options import AsJson, ConfigFile, DataDir
from agent.cli.screen import remark, state, table, write_json

if TYPE_CHECKING:
    from rich.text import Text

    from plugins.llm.spec import ModelSpec


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of one model."""

    name: str
    is_whole: bool
    sha256: str = ""
    """Of its file now."""
    is_pinned: bool = False
    """The checksum was compared with the one of the configuration, or of the day when it was added."""
    problem: str = ""
    is_released: bool = False
    """It was in quarantine, or on its way there."""


def verify(
    name: Annotated[str, typer.Argument(help="The model.", autocompletion=models, show_default=False)] = "",
    everything: Annotated[bool, typer.Option("--all", help="All models that have a file.")] = False,
    release: Annotated[
        bool, typer.Option("--release", help="If it is whole: forget that it killed the process, and use it again.")
    ] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Read a model's file from end to end: is it what it was?

    Compares the checksum with the one that is pinned, and the structure with the file's length. Exit code 1 if one is
    damaged.

      ganglion models verify --all
    """
    if bool(name) == everything:
        raise Failure("say which: ganglion models verify NAME, or --all")
    shelf = Shelf(config, data_dir)
    names = shelf.names() if everything else (name,)
    if not everything and not shelf.catalogue.problem(name):
        shelf.local(name, "verify")
    found = []
    line = ProgressLine()
    try:
        for one in names:
            if shelf.catalogue.problem(one):
                found.append(Verified(name=one, is_whole=False, problem=shelf.catalogue.problem(one)))
            elif (spec := shelf.spec(one)).file:
                found.append(_verified(shelf, spec, line, release=release))
    finally:
        line.clear()
    if as_json:
        write_json({"ok": all(one.is_whole for one in found), "models": found})
    elif found:
        table(("MODEL", "", "SHA256", ""), (_row(one) for one in found), last_wraps=True)
    else:
        remark("no model has a file here: ganglion models add FILE|URL")
    if not all(one.is_whole for one in found):
        raise typer.Exit(Exit.FAILED)


def _verified(shelf: Shelf, spec: "ModelSpec", line: ProgressLine, *, release: bool) -> Verified:
    from plugins.llm.files.checking import check_file
    from plugins.llm.files.errors import FileTrouble

    try:
        found, _ = check_file(Path(spec.file), spec.sha256.lower(), line)
    except FileTrouble as trouble:
        return Verified(name=spec.name, is_whole=False, problem=str(trouble))
    finally:
        line.clear()
    is_released = release and shelf.quarantine().release(spec.name)
    return Verified(
        name=spec.name, is_whole=True, sha256=found, is_pinned=bool(spec.sha256), is_released=is_released,
        problem="" if is_released else shelf.quarantine().problem(spec),
    )  # fmt: skip


def _row(one: Verified) -> "list[str | Text]":
    notes = [one.problem]
    if one.is_whole and not one.is_pinned:
        notes.append("no checksum is pinned: set `sha256` to have it compared")
    if one.is_released:
        notes.append("it may be used again")
    return [one.name, state("ok" if one.is_whole else "fail"), one.sha256, "; ".join(filter(None, notes))]
