"""`init`, `new`: files to start from. Nothing that is there is ever overwritten."""

import re
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.failure import Failure
from agent.cli.screen import say

CONFIG = "ganglion.toml"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_SETTINGS = """\
# Settings of this agent; `config.example.toml` of the project and `ganglion doctor` know all of them.
data_dir = "data"

[engine]
workflows_dir = "workflows"
"""


def init(
    directory: Annotated[Path, typer.Argument(help="Where to; made if it is not there.")] = Path(),
) -> None:
    """Write a configuration and a first workflow into a directory."""
    config, workflow = directory / CONFIG, directory / "workflows" / "hello.yaml"
    for path in (config, workflow):
        if path.exists():
            raise Failure(f"{path} is there already: name another directory, or remove it first")
    workflow.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(_SETTINGS)
    workflow.write_text(starter("hello"))
    say(f"{config}\n{workflow}\n\nNext: ganglion up --config {config}\nThen: ganglion trigger hello --config {config}")


def new(
    name: Annotated[str, typer.Argument(help="The workflow's name: lower-case letters, digits and hyphens.")],
    file: Annotated[Path | None, typer.Option("--output", "-o", help="The file.", show_default="NAME.yaml")] = None,
) -> None:
    """Write a commented workflow file to start from."""
    if not _NAME.fullmatch(name):
        raise Failure(f"{name!r} is no workflow name: use up to 64 lower-case letters, digits and hyphens")
    path = file or Path(f"{name}.yaml")
    try:
        with path.open("x") as out:
            out.write(starter(name))
    except FileExistsError:
        raise Failure(f"{path} is there already: take another name, or -o FILE") from None
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}") from None
    say(f"{path}\n\nNext: ganglion check {path}\nThen: ganglion run {path}")


def starter(name: str) -> str:
    """The starter workflow under this name."""
    return (Path(__file__).parent.parent / "starter.yaml").read_text().replace("NAME", name)
