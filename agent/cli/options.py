"""Options that many commands share, and the reading of their values."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.failure import Failure
from agent.config import Config, load_config
from engine.values import InvalidValue, Json, decode_json

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="Configuration file (TOML).", show_default=False, dir_okay=False)
]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="The agent's data directory.", show_default=False)]
AnyDataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="The agent's data directory.", show_default=False, readable=False),
]
"""The same, for commands that say themselves what can't be read, and what to do."""
Url = Annotated[
    str | None, typer.Option("--url", help="NATS server to reach the agent by.", envvar="GANGLION_URL",
                             show_default=False)
]  # fmt: skip
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Params = Annotated[
    list[str] | None,
    typer.Option("--param", "-p", help="NAME=VALUE, the value as JSON or text; repeatable.", show_default=False),
]
Data = Annotated[
    str | None,
    typer.Option(
        "--data", "-d", help="trigger.data as JSON; @FILE reads a file, - standard input.", show_default=False
    ),
]


def assignments(texts: list[str] | None, option: str) -> dict[str, Json]:
    """`NAME=VALUE` pairs; a value that is not JSON is text."""
    values: dict[str, Json] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise Failure(f"{option} {text}: expected NAME=VALUE, such as {option} limit=4")
        try:
            values[name] = decode_json(value.encode())
        except InvalidValue:
            values[name] = value
    return values


def read_data(text: str | None) -> Json:
    """The value of --data. Raises Failure when it is not JSON."""
    if text is None:
        return None
    try:
        if text == "-":
            return decode_json(sys.stdin.buffer.read())
        if text.startswith("@"):
            return decode_json(Path(text[1:]).read_bytes())
        return decode_json(text.encode())
    except OSError as error:
        raise Failure(f"--data {text}: {error.strerror}: name a file that can be read") from None
    except InvalidValue as error:
        raise Failure(f"--data: {error}; text goes into quotes: --data '\"on\"'") from None


def read_source(path: Path) -> bytes:
    """The bytes of a workflow file; `-` is standard input."""
    if str(path) == "-":
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}: name a workflow file that can be read") from None


def settings(config: Path | None, data_dir: Path | None = None, *, to_make: bool = False) -> Config:
    """The configuration as commands see it. Raises InvalidConfig."""
    flags = {"--data-dir": ("data_dir", None if data_dir is None else str(data_dir))}
    return load_config(config, flags=flags, to_make=to_make)[0]


def settings_to_fill(config: Path | None, data_dir: Path | None) -> Config:
    """For a command that puts something into the data directory, and gives it to whose that is: it makes none in
    another user's home. Raises InvalidConfig."""
    found = settings(config, data_dir)
    return found if found.data_path.exists() else settings(config, data_dir, to_make=True)
