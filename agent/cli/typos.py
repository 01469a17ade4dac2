"""What a person meant whose command line is none."""

import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from typer.core import TyperGroup

from agent.cli.failure import Failure

WORDS = ("help", "version")
"""What the first word may be besides a command; see root.py."""


class Commands(TyperGroup):
    """A group that names the command which was meant, and the place where options belong."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing and args and args[0].startswith("-"):  # else the shell asks what may come
            self._refuse_options(ctx, args)
        found: list[str] = super().parse_args(ctx, args)
        return found

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        word = args[0]
        if not ctx.resilient_parsing and word not in self.commands and not word.startswith("-"):
            near = _near(word, [*self.commands, *(() if ctx.parent else WORDS)])
            hint = f" Did you mean {', '.join(map(repr, near))}?" if near else ""
            ctx.fail(f"No such command {word!r}.{hint}")
        return super().resolve_command(ctx, args)

    def _refuse_options(self, ctx: Any, args: list[str]) -> None:
        """Raises Failure if the first option is one of a command."""
        option = args[0].partition("=")[0]
        if option in _options(self) or not any(option in _options(command) for command in _below(self)):
            return
        path = ("ganglion", ctx.info_name) if ctx.parent else ("ganglion",)
        line = next(self._moved(args), ["COMMAND", option])
        raise Failure(f"options go behind the command: {shlex.join([*path, *line])}")

    def _moved(self, args: list[str]) -> Iterator[list[str]]:
        """The arguments with the options behind each word that may be the command."""
        for place, word in enumerate(args):
            command: Any = self
            end = place
            while end < len(args) and args[end] in getattr(command, "commands", {}):
                command = command.commands[args[end]]
                end += 1
            if word in self.commands and _are_options(args[:place], _options(command)):
                yield [*args[place:end], *args[:place], *args[end:]]


def _near(word: str, words: Sequence[str]) -> list[str]:
    from difflib import get_close_matches

    return [word.lower()] if word.lower() in words else get_close_matches(word.lower(), words)


def _below(group: TyperGroup) -> Iterator[Any]:
    """All commands, those of groups too."""
    for command in group.commands.values():
        if isinstance(command, TyperGroup):
            yield from _below(command)
        else:
            yield command


def _options(command: Any) -> dict[str, bool]:
    """By name: whether a value follows."""
    return {
        name: not (getattr(param, "is_flag", False) or getattr(param, "count", False))
        for param in command.params
        for name in (*param.opts, *param.secondary_opts)
        if name.startswith("-")
    }


def _are_options(args: list[str], options: dict[str, bool]) -> bool:
    """Whether these are options and their values, and nothing else."""
    place = 0
    while place < len(args):
        name, equals, _ = args[place].partition("=")
        if name not in options:
            return False
        place += 2 if options[name] and not equals else 1
    return place == len(args)
