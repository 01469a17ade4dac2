"""`models add`: a file or a URL becomes a model."""

import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.failure import Exit, Failure
from agent.cli.models.known import Shelf
from agent.cli.models.progress import ProgressLine, parameters, size
from agent.cli.options import AsJson, ConfigFile, DataDir, settings_to_fill
from agent.cli.screen import remark, say, write_json
from agent.ownership import hand_over

if TYPE_CHECKING:
    from plugins.llm.files.adding import Added, Wish


def add(
    source: Annotated[
        str, typer.Argument(metavar="FILE|URL", help="A GGUF file, or its URL; #sha256=HEX at the end of that pins it.")
    ],
    name: Annotated[
        str, typer.Option("--name", help="What workflows call it. From the file's name, unless told.")
    ] = "",
    sha256: Annotated[
        str, typer.Option("--sha256", metavar="HEX", help="The checksum that it must have, 64 hex digits.")
    ] = "",
    context: Annotated[
        int, typer.Option("--context", min=0, help="Tokens of a conversation; 0: what it was made for, 4096 at most.")
    ] = 0,
    link: Annotated[bool, typer.Option("--link", help="Leave the file where it is, and link to it.")] = False,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Allow http://, where anybody between can change the file.")
    ] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Add a model: copy its file, or download it, into the data directory.

    It gets its name when it is whole: its checksum is what was asked for, or is kept from now on, and its structure
    fits its length. A running agent finds it by itself.

    A download that is interrupted, also by Ctrl-C or a power cut, goes on with the same command. The URL is kept
    nowhere.

      ganglion models add Qwen2.5-0.5B-Instruct-Q4_K_M.gguf --name qwen

      ganglion models add https://example.com/models/qwen.gguf --sha256 9c1b…
    """
    from plugins.llm.files.adding import Wish, wished_name
    from plugins.llm.files.errors import FileTrouble

    settings_to_fill(config, data_dir)
    shelf = Shelf(config, data_dir)
    wish = Wish(
        source=source, name=name, sha256=sha256, context=context, is_linked=link, is_insecure=insecure
    )  # fmt: skip
    try:
        wished = wished_name(wish)
        if shelf.is_configured(wished):
            raise Failure(f"{wished} is {shelf.section(wished)}: take it out there, or add this one as --name another")
        added = _added(shelf, wish)
    except FileTrouble as trouble:
        on = "" if trouble.is_wrong else _go_on(shelf, wished)
        raise Failure(f"{trouble}{on}", Exit.USAGE if trouble.is_wrong else Exit.FAILED) from None
    except KeyboardInterrupt:
        remark(f"interrupted{_go_on(shelf, wished)}")
        raise typer.Exit(128 + signal.SIGINT) from None
    if as_json:
        write_json(added)
    elif added.is_new:
        kind = ", ".join(filter(None, (added.architecture, parameters(added.parameters), added.quantisation)))
        say(f"{added.name}: {size(added.bytes)}, {kind}")
        say(f"sha256 {added.sha256}")
        if added.context and context > added.context:
            remark(f"it was made for {added.context:,} tokens: with more most models make nonsense")
        remark(f"ask it with `model: {added.name}` in a node of type llm, or see: ganglion models bench {added.name}")
    else:
        say(f"{added.name} is there already, with that checksum")


def _added(shelf: Shelf, wish: "Wish") -> "Added":
    from plugins.llm.files.adding import add as bring

    line = ProgressLine()
    try:
        added = bring(wish, shelf.folder, told=line)
    finally:
        line.clear()
    with suppress(OSError):  # the service's log will say that it can't read the model
        hand_over(shelf.folder, like=shelf.folder.parent)
    return added


def _go_on(shelf: Shelf, name: str) -> str:
    """What is kept of a download, and how to go on."""
    begun = next((one for one in shelf.begun() if one.name == name), None)
    if begun is None:
        return ""
    of = f" of {size(begun.total)}" if begun.total else ""
    return f"; {size(begun.done)}{of} are kept: the same command goes on from there"
