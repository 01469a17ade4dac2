"""What a command has written reaches its reader, or its exit code says that it did not.

Python's own last flush comes after the exit code, and the packaged program does not tell of one that fails.
"""

import os
import sys
from collections.abc import Callable


def delivered(command: Callable[[], int]) -> int:
    """The exit code of a command, or 1 where standard output doesn't take what it wrote. Typer is not imported here:
    `--version` goes without."""
    code = 0
    if sys.__stdout__ is None:  # closed by whoever started us
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 (pathlib takes longer to import)
    try:
        code = command()
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's own flush
        if not code and not isinstance(error, BrokenPipeError):  # a command that failed has said why
            sys.stderr.write(f"ganglion: {error.strerror}{os.linesep}")
        return code or 1
    return code
