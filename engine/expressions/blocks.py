"""Texts, `{% if %}` and `{% for %}` as closures that give strings."""

from collections.abc import Callable, Sequence

from engine.expressions.context import Code, Context, Run
from engine.expressions.emit import concatenation, defined_by
from engine.expressions.errors import Refusal
from engine.expressions.limits import MAX_CHARS
from engine.expressions.operators import brief, join, text_of
from engine.expressions.scope import Frame, too_long
from engine.expressions.secret import secret_text
from engine.expressions.tree import Concatenation, For, If, Literal, Node, Path, Text, nodes_of, size_of
from engine.values import Json


def emit_part(context: Context, node: Node) -> Code:
    """A part of a text, or a whole expression: the places where a secret may stand."""
    secret = secret_text(context, node)
    if secret is not None:
        return secret
    if isinstance(node, Concatenation):
        return concatenation(context, node, secrets=True)
    return context.compile(node)


def emit_text(context: Context, node: Text, _lenient: bool) -> Code:
    codes = [emit_part(context, part) for part in node.parts]
    pieces = [_printed(context, part, code) for part, code in zip(node.parts, codes, strict=True)]
    if len(pieces) == 1:
        return context.folded(Code(pieces[0]), *codes)
    refuse = context.refuse(node.offset)

    def run(frame: Frame) -> Json:
        parts = [piece(frame) for piece in pieces]
        try:
            return join(frame, parts)
        except Refusal as refusal:
            raise refuse(refusal) from None

    return context.folded(Code(run), *codes)


def _printed(context: Context, node: Node, code: Code) -> Run:
    if isinstance(node, Text | If | For) or (isinstance(node, Literal) and type(node.value) is str):
        return code.run
    value, refuse = code.run, context.refuse(node.offset)

    def run(frame: Frame) -> Json:
        found = value(frame)
        if type(found) is str:
            return found
        try:
            return text_of(frame, found)
        except Refusal as refusal:
            raise refuse(refusal) from None

    return run


def emit_if(context: Context, node: If, _lenient: bool) -> Code:
    branches: list[tuple[Run, Run]] = []
    codes: list[Code] = []
    for condition, body in node.branches:
        asked = context.condition(condition)
        with context.knowing(defined_by(condition)):
            text = context.compile(body)
        branches.append((asked.run, text.run))
        codes += [asked, text]
    last = context.compile(node.otherwise)
    otherwise = last.run

    def run(frame: Frame) -> Json:
        for asked, text in branches:
            if asked(frame):
                return text(frame)
        return otherwise(frame)

    return context.folded(Code(run), *codes, last)


def emit_for(context: Context, node: For, _lenient: bool) -> Code:
    """A loop pays for each item as much as its body is large, so that steps stand for time."""
    items = context.compile(node.items)
    refuse = context.refuse(node.items.offset)
    with context.binding(*node.names) as slots:
        condition = context.condition(node.condition) if node.condition else None
        with context.binding("loop") as (about,):
            body = context.compile(node.body)
    tells = any(isinstance(one, Path) and one.root == "loop" for one in nodes_of(node.body))
    otherwise = context.compile(node.otherwise)
    cost = 2 + size_of(node.body) + (size_of(node.condition) if node.condition else 0)
    bind, slot = _binder(slots), slots[0] if len(slots) == 1 else None
    listed, wanted, text, nothing = items.run, condition.run if condition else None, body.run, otherwise.run

    def run(frame: Frame) -> Json:
        found = listed(frame)
        try:
            if type(found) is dict:
                found = list(found)
            if type(found) is not list:
                raise Refusal(f"a loop needs a list, not {brief(found)}")
            frame.spend(cost * len(found))
            if wanted is not None:
                found = _wanted(frame, found, bind, wanted)
            count, parts, characters = len(found), list[str](), 0
            for number, item in enumerate(found):
                if slot is None:
                    bind(frame, item)
                else:
                    frame.locals[slot] = item
                if tells:
                    frame.locals[about] = _about(number, count)
                part = text(frame)
                parts.append(part)
                characters += len(part)
                if characters > MAX_CHARS:
                    raise too_long(characters)
            if not count:
                return nothing(frame)
            return join(frame, parts)
        except Refusal as refusal:
            raise refuse(refusal) from None

    return Code(run)


def _about(number: int, count: int) -> dict[str, Json]:
    """What the name `loop` gives."""
    return {
        "index": number + 1, "index0": number, "revindex": count - number, "revindex0": count - number - 1,
        "first": number == 0, "last": number + 1 == count, "length": count,
    }  # fmt: skip


def _binder(slots: Sequence[int]) -> Callable[[Frame, Json], None]:
    if len(slots) == 1:
        slot = slots[0]

        def bind(frame: Frame, item: Json) -> None:
            frame.locals[slot] = item

        return bind

    def unpack(frame: Frame, item: Json) -> None:
        if type(item) is not list or len(item) != len(slots):
            hint = "loop over |items of an object to get keys and values" if len(slots) == 2 else ""
            raise Refusal(f"{brief(item)} does not unpack into {len(slots)} names", hint)
        for slot, value in zip(slots, item, strict=True):
            frame.locals[slot] = value

    return unpack


def _wanted(frame: Frame, items: list[Json], bind: Callable[[Frame, Json], None], wanted: Run) -> list[Json]:
    chosen = []
    for item in items:
        bind(frame, item)
        if wanted(frame):
            chosen.append(item)
    return chosen
