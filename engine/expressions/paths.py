"""Paths: the closures that walk them, and what is said where they end too early."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeAlias

from engine.expressions.context import Code, Context, Run, constant
from engine.expressions.errors import ExpressionError, Refusal, did_you_mean, one_of
from engine.expressions.operators import brief, kind
from engine.expressions.scope import UNDEFINED, Frame
from engine.expressions.tree import Index, Key, Path, Slice
from engine.secrets import SecretText
from engine.values import Json

Hop: TypeAlias = Callable[[Frame, Json], Json]


def step(container: Json, key: Json) -> Json:
    """One key further, or UNDEFINED."""
    container_type = type(container)
    if container_type is dict:
        return container.get(key, UNDEFINED) if type(key) is str else UNDEFINED
    if (container_type is list or container_type is str) and type(key) is int:
        return container[key] if -len(container) <= key < len(container) else UNDEFINED
    return UNDEFINED


def walk(value: Json, keys: Sequence[str | int]) -> Json:
    """All keys further, or UNDEFINED."""
    for key in keys:
        value = step(value, key)
        if value is UNDEFINED:
            break
    return value


@lru_cache(maxsize=512)
def attribute_of(path: str) -> tuple[str | int, ...]:
    """The keys of a dotted attribute: `user.roles.0`."""
    return tuple(
        int(part) if part.isascii() and part.isdigit() and len(part) < 10 else part for part in path.split(".")
    )


def show(root: str, keys: Sequence[str | int]) -> str:
    """A path as people write it."""
    parts = [root]
    for key in keys:
        if type(key) is str and key.isidentifier():
            parts.append(f".{key}")
        else:
            parts.append(f"[{key}]" if type(key) is int else f'["{key}"]')
    return "".join(parts)


def emit_path(context: Context, node: Path, lenient: bool) -> Code:
    """The code of a path: its leading keys in one fast closure, then whatever is computed."""
    keys: list[str | int] = []
    places: list[int] = []
    for segment in node.segments:
        if not isinstance(segment, Key):
            break
        keys.append(segment.key)
        places.append(segment.offset)
    rest = node.segments[len(keys) :]
    if isinstance(node.root, str):
        root = node.root
        if root in context.locals:
            run = _local(context, node.offset, root, tuple(keys), tuple(places), lenient)
        else:
            _check_root(context, node)
            context.refer(root, tuple(keys), node.offset, guarded=lenient)
            run = global_path(context, node.offset, root, tuple(keys), tuple(places), lenient)
        folds: tuple[Code, ...] | None = None
    else:
        base = context.compile(node.root, lenient=lenient)
        run = base.run
        rest = node.segments
        folds = (base,)
    hops = [_hop(context, segment, lenient) for segment in rest]
    if not hops:
        return Code(run)
    first, steps = run, tuple(hop for hop, _ in hops)

    def hopping(frame: Frame) -> Json:
        value = first(frame)
        for hop in steps:
            if value is UNDEFINED:
                break
            value = hop(frame, value)
        return value

    code = Code(hopping)
    return code if folds is None or lenient else context.folded(code, *folds, *(code for _, code in hops if code))


def _check_root(context: Context, node: Path) -> None:
    if node.root == "secrets":
        hint = "a secret stands alone, in a text, or beside ~"
        raise context.error(node.offset, "a secret may only be passed on, never looked at", hint)
    if node.root == "nodes" and (not node.segments or not _names_node(node)):
        hint = "write the node's name, nodes.triage, so that the order of nodes is known"
        raise context.error(node.offset, "nodes needs a name that is known before anything runs", hint)


def _names_node(node: Path) -> bool:
    return isinstance(node.segments[0], Key) and isinstance(node.segments[0].key, str)


def global_path(
    context: Context, offset: int, root: str, keys: tuple[str | int, ...], places: tuple[int, ...], lenient: bool
) -> Run:
    source = context.source

    def missing(frame: Frame) -> Json:
        """The slow way: lists, strings, and what is not there."""
        value = frame.values.get(root, UNDEFINED)
        if value is UNDEFINED:
            if lenient:
                return UNDEFINED
            raise _no_root(frame, source, offset, root)
        return _walk_or_raise(frame, value, source, root, keys, places, lenient)

    if len(keys) == 2:
        # The commonest shape by far, nodes.a.x and trigger.data.x, without a loop.
        first, second = keys

        def pair(frame: Frame) -> Json:
            try:
                value = frame.values[root]
                if type(value) is dict:
                    value = value[first]
                    if type(value) is dict:
                        return value[second]
            except KeyError:
                pass
            return missing(frame)

        return pair

    def run(frame: Frame) -> Json:
        try:
            value = frame.values[root]
            for key in keys:
                if type(value) is not dict:
                    return missing(frame)
                value = value[key]
        except KeyError:
            return missing(frame)
        return value

    return run


def _local(
    context: Context, offset: int, root: str, keys: tuple[str | int, ...], places: tuple[int, ...], lenient: bool
) -> Run:
    slot, source = context.locals[root], context.source
    if not keys:

        def variable(frame: Frame) -> Json:
            return frame.locals[slot]

        return variable

    def run(frame: Frame) -> Json:
        value = frame.locals[slot]
        try:
            for key in keys:
                if type(value) is not dict:
                    break
                value = value[key]
            else:
                return value
        except KeyError:
            pass
        return _walk_or_raise(frame, frame.locals[slot], source, root, keys, places, lenient)

    return run


def _walk_or_raise(
    frame: Frame,
    value: Json,
    source: str,
    root: str,
    keys: tuple[str | int, ...],
    places: tuple[int, ...],
    lenient: bool,
) -> Json:
    for index, key in enumerate(keys):
        found = step(value, key)
        if found is UNDEFINED:
            if lenient:
                return UNDEFINED
            raise _no_key(frame, source, places[index], show(root, keys[:index]), value, key)
        value = found
    return value


def _hop(context: Context, segment: Key | Index | Slice, lenient: bool) -> tuple[Hop, Code | None]:
    source, offset, refuse = context.source, segment.offset, context.refuse(segment.offset)
    if isinstance(segment, Slice):
        return _slice(context, segment)
    if isinstance(segment, Key):
        code, get = None, constant(segment.key).run
    else:
        code = context.compile(segment.node)
        get = code.run

    def hop(frame: Frame, container: Json) -> Json:
        key = get(frame)
        if type(key) is not str and type(key) is not int:
            try:
                raise Refusal(f"an index is an integer or a string, not {brief(key)}")
            except Refusal as refusal:
                raise refuse(refusal) from None
        found = step(container, key)
        if found is UNDEFINED and not lenient:
            raise _no_key(frame, source, offset, "", container, key)
        return found

    return hop, code


def _slice(context: Context, segment: Slice) -> tuple[Hop, Code | None]:
    refuse = context.refuse(segment.offset)
    start = context.compile(segment.start).run if segment.start else _nothing
    stop = context.compile(segment.stop).run if segment.stop else _nothing

    def hop(frame: Frame, container: Json) -> Json:
        first, last = start(frame), stop(frame)
        try:
            for bound in (first, last):
                if bound is not None and type(bound) is not int:
                    raise Refusal(f"the bounds of a slice are integers, not {brief(bound)}")
            if type(container) is str:
                return frame.made(container[first:last])
            if type(container) is not list:
                raise Refusal(f"a list or a string can be sliced, not {brief(container)}")
            found = container[first:last]
            frame.spend(len(found))
        except Refusal as refusal:
            raise refuse(refusal) from None
        return found

    return hop, Code(_nothing)


def _nothing(_frame: Frame) -> Json:
    return None


def _no_root(frame: Frame, source: str, offset: int, root: str) -> ExpressionError:
    names = list(frame.values)
    hints = frame.scope.hints or {}
    hint = hints.get(root) or did_you_mean(root, names) or one_of(names)
    return ExpressionError(f"there is no {root[:64]} here", source, offset, hint)


def _no_key(frame: Frame, source: str, offset: int, path: str, container: Json, key: str | int) -> ExpressionError:
    shown = f"[{key}]" if type(key) is int else str(key)[:64]
    owner = path or "this"
    try:
        name = kind(container)
    except Refusal as refusal:
        return ExpressionError(refusal.message, source, offset)
    hint = ""
    if type(container) is dict and type(key) is str:
        if path == "nodes":
            hint = (frame.scope.hints or {}).get(f"nodes.{key}", "")
            message = f"nodes.{shown} is undefined"
        else:
            message = f"{owner} has no key {shown}"
        hint = hint or did_you_mean(shown, container) or one_of(container) or "the object is empty"
    elif type(container) in (list, str) and type(key) is int:
        unit = "item" if type(container) is list else "character"
        size = len(container)
        message = f"{owner} has {size} {unit}{'' if size == 1 else 's'}, there is no {shown}"
    elif type(container) is SecretText:
        message = f"{owner} is a secret, it can only be passed on"
    else:
        article = "" if name == "null" else "an " if name == "object" else "a "
        message = f"{owner} is {article}{name}, it has no {shown}"
        if name == "list":
            hint = "take one item, [0], or all: |map(attribute='…')"
    return ExpressionError(message, source, offset, hint or "|default(…) says what to take instead")
