"""Where `secrets.NAME` may stand: alone, in a text, and beside `~`. Everywhere else it is refused when compiled."""

import re

from engine.expressions.context import Code, Context
from engine.expressions.scope import Frame
from engine.expressions.tree import Key, Node, Path
from engine.secrets import SecretName, SecretText
from engine.values import Json

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


def secret_text(context: Context, node: Node) -> Code | None:
    """The marker of a secret, if the node is one. Never constant: nothing that is stored may be built from it."""
    if not isinstance(node, Path) or node.root != "secrets" or "secrets" in context.locals:
        return None
    if len(node.segments) != 1:
        raise context.error(node.offset, "a secret is written secrets.NAME", "a secret is one text, it has no parts")
    segment = node.segments[0]
    if not isinstance(segment, Key) or type(segment.key) is not str or not _NAME.fullmatch(segment.key):
        hint = "its name is letters, digits and _, and is known before anything runs"
        raise context.error(segment.offset, "a secret is written secrets.NAME", hint)
    context.refer("secrets", (segment.key,), node.offset, guarded=False)
    marker = SecretText(SecretName(segment.key))

    def run(_frame: Frame) -> Json:
        return marker

    return Code(run)
