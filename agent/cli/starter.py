"""`init`: files to start from. Nothing that is there is ever overwritten."""

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.failure import Failure
from agent.cli.screen import say

CONFIG = "ganglion.toml"
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


def starter(name: str) -> str:
    """The starter workflow under this name."""
    return (Path(__file__).parent.parent / "starter.yaml").read_text().replace("NAME", name)
