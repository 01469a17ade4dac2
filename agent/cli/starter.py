"""`init`: files to start from. Nothing that is there is ever overwritten."""

from pathlib import Path
from typing import Annotated

import typer

from agent.cli.failure import Failure
from agent.cli.screen import say
from agent.config.example import example

CONFIG = "ganglion.toml"
_VALUES = {"data_dir": "data", "engine.workflows_dir": "workflows"}
_SHOWN = frozenset(
    {
        *_VALUES, "agent.id", "agent.labels", "mesh.listen", "mesh.mqtt", "mesh.hub", "engine.max_executions",
        "engine.allow_shell", "store.retention.age", "store.retention.bytes", "log.level", "models",
    }
)  # fmt: skip
"""What a person is likely to set first."""


def init(
    directory: Annotated[Path, typer.Argument(help="Where to; made if it is not there.")] = Path(),
    every: Annotated[bool, typer.Option("--all", help="With every key that there is, as config.example.toml.")] = False,
) -> None:
    """Write a configuration and a first workflow into a directory."""
    config, workflow = directory / CONFIG, directory / "workflows" / "hello.yaml"
    for path in (config, workflow):
        if path.exists():
            raise Failure(f"{path} is there already: name another directory, or remove it first")
    more = "" if every else "\n# Every other key: ganglion init --all DIRECTORY\n"
    try:
        workflow.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(example(None if every else _SHOWN, _VALUES) + more)
        workflow.write_text(starter("hello"))
    except OSError as error:
        why = error.strerror or error
        raise Failure(f"{directory.absolute()} can't be written ({why}): name a directory of yours") from None
    say(f"{config}\n{workflow}\n\nNext: ganglion up --config {config}\nThen: ganglion trigger hello --config {config}")


def starter(name: str) -> str:
    """The starter workflow under this name."""
    return (Path(__file__).parent.parent / "starter.yaml").read_text().replace("NAME", name)
