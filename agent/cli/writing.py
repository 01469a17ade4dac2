"""Texts that nodes are writing, as they come."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from agent.cli.screen import clean

if TYPE_CHECKING:
    from rich.console import RenderableType

LINES = 4
"""Of each text; its end is shown."""
TEXTS = 4
"""Shown at once."""


def with_texts(picture: "RenderableType", texts: Mapping[str, str], width: int) -> "RenderableType":
    """A picture with the texts below it, a node's name before each."""
    from rich.console import Group
    from rich.text import Text

    shown = []
    for path, text in list(texts.items())[-TEXTS:]:
        end = " ".join(clean(text).split())[-max(20, width * LINES - len(path) - 4) :]
        if end:
            shown.append(Text.assemble("\n", (f"{clean(path)}  ", "bold"), end))
    return Group(picture, *shown) if shown else picture
