"""Exit codes, and how a command gives up."""

from enum import IntEnum


class Exit(IntEnum):
    """What a script can tell from `$?`."""

    OK = 0
    FAILED = 1
    """The execution failed, or what was asked could not be done."""
    USAGE = 2
    """The command line, the configuration or a file is not valid."""
    UNREACHABLE = 3
    """No agent answered."""


class Failure(Exception):
    """The command can't go on; the message says what, where and what to do next."""

    def __init__(self, message: str, code: Exit = Exit.USAGE) -> None:
        super().__init__(message)
        self.code = code
