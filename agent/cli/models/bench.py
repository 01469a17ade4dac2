"""`models bench`: how fast a model is on this machine."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.complete import models
from agent.cli.failure import Exit, Failure
from agent.cli.models.known import Shelf
from agent.cli.models.progress import size
from agent.cli.models.speed import Speed, measure
from agent.cli.options import AsJson, ConfigFile, DataDir
from agent.cli.screen import remark, seconds, table, write_json
from agent.lock import holder

if TYPE_CHECKING:
    from plugins.llm.spec import ModelSpec

MAX_PROMPT = 2**20


def bench(
    name: Annotated[str, typer.Argument(help="The model; a local one.", autocompletion=models)],
    tokens: Annotated[int, typer.Option("--tokens", min=1, max=100_000, help="How many it is to write.")] = 256,
    prompt: Annotated[
        Path | None,
        typer.Option("--prompt", metavar="FILE", help="A text to ask it with, instead of ours.", show_default=False),
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Load a model in this process, and measure how fast it reads and writes.

    It is asked again until it has written so many tokens, and each time with another beginning, so that nothing of the
    prompt was read before. An agent that works beside it takes its share of the processors.

      ganglion models bench qwen --tokens 500
    """
    shelf = Shelf(config, data_dir)
    spec = shelf.local(name, "measure")
    text = "" if prompt is None else _read(prompt)
    if holder(shelf.data_path) is not None:
        remark("an agent runs on this data directory: what it does meanwhile makes these figures smaller")
    speed = asyncio.run(_measured(shelf, spec, text, tokens))
    if as_json:
        write_json(speed)
    else:
        _show(speed)


async def _measured(shelf: Shelf, spec: "ModelSpec", text: str, tokens: int) -> Speed:
    from plugins.llm.errors import ModelError
    from plugins.llm.service.checksums import Checksums

    try:
        shelf.quarantine().refuse(spec)
        await Checksums(shelf.folder).check(spec)
        return await measure(spec, prompt=text, tokens=tokens, told=_told)
    except ModelError as error:
        raise Failure(str(error), Exit.FAILED) from None
    finally:
        _told("")


def _told(doing: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{doing}\x1b[K")
        sys.stderr.flush()


def _show(speed: Speed) -> None:
    rows = [
        ("load", seconds(speed.load_seconds)),
        ("memory", f"{size(speed.memory_bytes)}, {size(speed.memory_expected_bytes)} are set aside for it"),
        ("prompt", f"{speed.prompt_tokens_per_second:,.0f} tokens/s ({speed.prompt_tokens} tokens)"),
        ("answer", f"{speed.answer_tokens_per_second:,.1f} tokens/s ({speed.answer_tokens} tokens, {speed.answers} "
                   f"answer{'' if speed.answers == 1 else 's'})"),
        ("first token", f"{seconds(speed.first_token_seconds)} after the question"),
    ]  # fmt: skip
    table((speed.name, ""), rows)


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()[: MAX_PROMPT + 1]
        text = data.decode()
    except OSError as error:
        raise Failure(f"--prompt {path}: {error.strerror}: name a text file that can be read") from None
    except UnicodeDecodeError:
        raise Failure(f"--prompt {path}: is not UTF-8 text") from None
    if not text.strip() or len(data) > MAX_PROMPT:
        raise Failure(f"--prompt {path}: expected a text of up to {MAX_PROMPT // 1024} KiB")
    return text
