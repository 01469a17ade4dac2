"""One compilation under way: what turns nodes into closures shares this state."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

from engine.expressions.errors import ExpressionError, Refusal
from engine.expressions.limits import MAX_DEPTH
from engine.expressions.operators import measure, truth
from engine.expressions.reference import Reference
from engine.expressions.scope import Frame, Scope
from engine.expressions.tree import Node
from engine.values import Json

Run: TypeAlias = Callable[[Frame], Json]
Known: TypeAlias = tuple[str, tuple[str | int, ...]]

RESERVED: Final = frozenset(
    {"nodes", "secrets", "trigger", "params", "vars", "errors", "execution", "agent", "loop"}
)  # fmt: skip
"""Names that a loop's variable may not have."""
_FOLDED_SIZE = 4096


class Code:
    """A compiled node: its closure; its value, if that is known; whether it always gives a boolean."""

    __slots__ = ("run", "constant", "value", "boolean")

    def __init__(self, run: Run, *, boolean: bool = False) -> None:
        self.run = run
        self.constant = False
        self.value: Json = None
        self.boolean = boolean


def constant(value: Json) -> Code:
    """Code that gives one value."""

    def run(_frame: Frame) -> Json:
        return value

    code = Code(run, boolean=type(value) is bool)
    code.constant = True
    code.value = value
    return code


class Context:
    """The state of compiling one source.

    references  what was read so far
    locals      name of a loop's variable -> its slot in the frame
    known       paths that a condition around the node at hand has found defined
    lenient_items  inside a JSONPath's condition, where `@.x` that is not there compares as false
    multiplies  the result may hold a value more than once, so its size is measured
    """

    def __init__(self, source: str, emitters: Mapping[type, Callable[..., Code]]) -> None:
        self.source = source
        self.references: list[Reference] = []
        self.locals: dict[str, int] = {}
        self.slots = 0
        self.known: frozenset[Known] = frozenset()
        self.lenient_items = False
        self.multiplies = False
        self._emitters = emitters
        self._depth = 0
        self._folding = Frame(Scope({}, now=0, seed=""), 0)

    def compile(self, node: Node, *, lenient: bool = False) -> Code:
        """The code of a node. Lenient code gives UNDEFINED where strict code raises for a path that is not there."""
        self._depth += 1
        if self._depth > MAX_DEPTH * 2:
            raise self.error(node.offset, f"nested deeper than {MAX_DEPTH * 2} levels")
        code = self._emitters[type(node)](self, node, lenient)
        self._depth -= 1
        return code

    def condition(self, node: Node) -> Code:
        """The code of a node whose truth is asked; always gives a boolean."""
        code = self.compile(node)
        if code.boolean:
            return code
        value, refuse = code.run, self.refuse(node.offset)

        def run(frame: Frame) -> bool:
            found = value(frame)
            if found is True or found is False:
                return found
            try:
                return truth(found)
            except Refusal as refusal:
                raise refuse(refusal) from None

        return self.folded(Code(run, boolean=True), code)

    def refer(self, root: str, path: tuple[str | int, ...], offset: int, *, guarded: bool) -> None:
        """Record that the source reads a path."""
        guarded = guarded or any((root, path[:length]) in self.known for length in range(len(path) + 1))
        self.references.append(Reference(root, path, guarded, offset, self.source))

    @contextmanager
    def knowing(self, paths: frozenset[Known]) -> Iterator[None]:
        """Compile where these paths are defined."""
        before = self.known
        self.known = before | paths
        try:
            yield
        finally:
            self.known = before

    @contextmanager
    def binding(self, *names: str) -> Iterator[tuple[int, ...]]:
        """Compile where these local names exist; gives their slots."""
        before = dict(self.locals)
        slots = tuple(range(self.slots, self.slots + len(names)))
        self.slots += len(names)
        self.locals.update(zip(names, slots, strict=True))
        try:
            yield slots
        finally:
            self.locals = before

    def error(self, offset: int, message: str, hint: str = "") -> ExpressionError:
        return ExpressionError(message, self.source, offset, hint)

    def refuse(self, offset: int) -> Callable[[Refusal], ExpressionError]:
        """What turns an operator's refusal into an error at this place."""
        source = self.source

        def refuse(refusal: Refusal) -> ExpressionError:
            return ExpressionError(refusal.message, source, offset, refusal.hint)

        return refuse

    def folded(self, code: Code, *parts: Code) -> Code:
        """The code's value instead of the code, if its parts are constant and the value is small. What always fails
        fails here, when the workflow is loaded."""
        if not all(part.constant for part in parts) or self._folding.steps < 0:
            return code
        try:
            value = code.run(self._folding)
        except ExpressionError:
            if self._folding.steps < 0:
                return code
            raise
        if type(value) in (list, dict, str):
            try:
                measure(value, _FOLDED_SIZE)
            except Refusal:
                return code
        return constant(value)


Emitter: TypeAlias = Callable[[Context, Any, bool], Code]
