"""Where a node or a body stands in an execution: `scan[17]/fetch`, `safe/catch/notify`, `outer[2]/inner[0]`.

A node's path is the path of the body that holds it, a slash, and its name. A body's path is that of the control-flow
node that holds it and a suffix: `[17]`, `/catch`, `/pages[0]`. So nodes and bodies take turns, and a path can be read
without its workflow.
"""

import re

import msgspec

__all__ = ["BadPath", "Path", "read_path"]

_STEP = re.compile(r"(?P<name>[a-z][a-z0-9_]*)(?P<suffix>\[\d+\]|/[a-z][a-z0-9_]*(?:\[\d+\])?)?(?:/(?=.)|$)")


class BadPath(ValueError):
    """The text is no path; the message says what one looks like."""


class Path(msgspec.Struct, frozen=True):
    """A path, read."""

    text: str
    holder: str
    """Of a node: the path of the body that it stands in; empty for the workflow's own nodes. Of a body: the path of the
    control-flow node that it belongs to."""
    name: str
    """Of a node: its own name. Of a body: that of its control-flow node."""
    suffix: str = ""
    """Of a body: what distinguishes it from the others of its node. Empty for a node."""

    @property
    def is_body(self) -> bool:
        return bool(self.suffix)

    @property
    def is_iteration(self) -> bool:
        """A body that stands for one item or one round, not for a page or a branch."""
        return self.suffix.startswith("[")

    @property
    def prefix(self) -> str:
        """What stands before the names of its neighbours, for a node."""
        return f"{self.holder}/" if self.holder else ""

    @property
    def key(self) -> str:
        """Of a node: what tells it from the other nodes of its workflow, wherever it runs. Its name may be that of
        another where it does not stand in the file, but not within the control-flow node that holds it."""
        return f"{read_path(self.holder).name}/{self.name}" if self.holder else self.name


def read_path(text: str) -> Path:
    """Read a path. Raises BadPath."""
    holder, position = "", 0
    while (step := _STEP.match(text, position)) is not None:
        name, suffix = step["name"], step["suffix"] or ""
        if step.end() == len(text):
            if suffix:
                return Path(text, text[: -len(suffix)], name, suffix)
            return Path(text, holder, name)
        if not suffix:
            break
        holder, position = text[: step.end() - 1], step.end()
    raise BadPath(f"{text[:200]!r} is no path of a node: it looks like fetch, scan[17]/fetch or safe/catch/notify")
