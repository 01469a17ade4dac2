"""The commands about models, in one group."""

from typing import Any

import typer

from agent.cli.models.add import add
from agent.cli.models.bench import bench
from agent.cli.models.listing import listing
from agent.cli.models.remove import remove
from agent.cli.models.show import show
from agent.cli.models.verify import verify
from agent.cli.typos import Commands

LIST = "list"


class _ListsByItself(Commands):
    """`ganglion models` lists them; a word that is no command stays a mistake."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if ctx.resilient_parsing:  # the shell asks what may come
            pass
        elif not args or (args[0].startswith("-") and args[0] not in ("-h", "--help")):
            args = [LIST, *args]
        found: list[str] = super().parse_args(ctx, args)
        return found


group = typer.Typer(
    cls=_ListsByItself,
    help="Language models: what there is, what is in memory, and files for more.\n\n"
    "`ganglion models` lists them. A model is a section \\[models.NAME] of the configuration, or a file that "
    "`ganglion models add` has brought into the data directory, where a running agent finds it without a restart.",
)
group.command(LIST)(listing)
group.command()(show)
group.command()(add)
group.command()(verify)
group.command()(bench)
group.command()(remove)
