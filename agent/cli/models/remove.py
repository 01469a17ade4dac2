"""`models remove`: a model that was added goes away."""

import sys
from typing import Annotated

import typer

from agent.cli.complete import added_models
from agent.cli.failure import Exit, Failure
from agent.cli.models.known import Shelf
from agent.cli.models.live import states_here
from agent.cli.models.progress import size
from agent.cli.options import AsJson, ConfigFile, DataDir
from agent.cli.screen import remark, say, write_json
from agent.lock import holder


def remove(
    name: Annotated[str, typer.Argument(help="The model.", autocompletion=added_models)],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Take away a model that was added, its file too; also what an interrupted download has left.

    A file that was only linked stays. A running agent finds it no more: nodes that name it fail from then on, while
    those that it is answering get their answer.

      ganglion models remove qwen --yes
    """
    from plugins.llm.files.adding import remove as take_away
    from plugins.llm.files.errors import FileTrouble

    shelf = Shelf(config, data_dir)
    if shelf.is_configured(name):
        raise Failure(f"{name} is {shelf.section(name)}: remove it there")
    begun = next((one for one in shelf.begun() if one.name == name), None)
    if begun is None and not shelf.catalogue.problem(name):
        shelf.spec(name)
    if not yes:
        if not sys.stdin.isatty():
            raise Failure(f"{name} would be gone for good: say --yes")
        if not typer.confirm(f"Remove {name} and its file from {shelf.folder}?", err=True):
            raise Failure(f"{name} stays", Exit.FAILED)
    _, infos = states_here(shelf, shelf.where) if holder(shelf.data_path) is not None else ("", [])
    held_bytes = sum(info.memory_bytes for info in infos if info.name == name)
    try:
        freed = take_away(name, shelf.folder)
    except FileTrouble as trouble:
        raise Failure(str(trouble), Exit.FAILED) from None
    shelf.quarantine().release(name)
    if as_json:
        write_json({"name": name, "freed_bytes": freed})
        return
    say(f"{name} is removed; {size(freed)} are free again")
    if held_bytes:
        remark(f"the agent that runs here holds {size(held_bytes)} of it in memory, until nobody has asked for a while")
