"""Tokens to a tree, for one expression. Precedence as in Jinja, loosest first:

    a if c else b  ·  or ||  ·  and &&  ·  not !  ·  comparisons, in  ·  + -  ·  ~  ·  * / // %  ·  **  ·  unary -
    ·  filters and `is`  ·  paths, calls

Operators of one level become one flat node, and `operators` counts how deep it calls itself, so that no source can
exhaust the stack (see test_deep_nesting_is_an_error).
"""

from engine.expressions.errors import ExpressionError, one_of
from engine.expressions.limits import MAX_DEPTH
from engine.expressions.tokens import Token, tokenize
from engine.expressions.tree import (
    Arguments,
    Call,
    Chain,
    Children,
    Comparison,
    Concatenation,
    Conditional,
    Descendants,
    Filtered,
    Index,
    Key,
    ListNode,
    Literal,
    Logic,
    Matching,
    Node,
    Not,
    ObjectNode,
    Path,
    Query,
    Segment,
    Sign,
    Slice,
    Step,
    Tested,
)
from engine.values import INT_MAX

_OR, _AND, _NOT, _COMPARE, _ADD, _CONCAT, _MULTIPLY, _POWER = range(1, 9)
_LEVELS = {
    "or": _OR, "and": _AND,
    "==": _COMPARE, "!=": _COMPARE, "<": _COMPARE, "<=": _COMPARE, ">": _COMPARE, ">=": _COMPARE,
    "in": _COMPARE, "not in": _COMPARE,
    "+": _ADD, "-": _ADD, "~": _CONCAT,
    "*": _MULTIPLY, "/": _MULTIPLY, "//": _MULTIPLY, "%": _MULTIPLY, "**": _POWER,
}  # fmt: skip
_CONSTANTS = {"true": True, "false": False, "null": None, "none": None, "True": True, "False": False, "None": None}
_TEST_ARGUMENTS = ("name", "string", "integer", "float", "[", "{")


def parse_expression(source: str) -> Node:
    """The tree of a whole source. Raises ExpressionError."""
    parser = Parser(source, tokenize(source))
    node = parser.expression()
    parser.expect("end", "the end of the expression")
    return node


class Parser:
    """Reads tokens from left to right; one method per construct."""

    def __init__(self, source: str, tokens: list[Token], depth: int = 0) -> None:
        self.source = source
        self.tokens = tokens
        self.position = 0
        self.token = tokens[0]
        self.depth = depth
        self.queries = 0

    # --- moving ---

    def advance(self) -> Token:
        token = self.token
        if token.kind != "end":
            self.position += 1
            self.token = self.tokens[self.position]
        return token

    def accept(self, kind: str) -> Token | None:
        return self.advance() if self.token.kind == kind else None

    def expect(self, kind: str, what: str, hint: str = "") -> Token:
        if self.token.kind != kind:
            raise self.unexpected(what, hint)
        return self.advance()

    def peek(self) -> Token:
        return self.tokens[min(self.position + 1, len(self.tokens) - 1)]

    def error(self, message: str, offset: int, hint: str = "") -> ExpressionError:
        return ExpressionError(message, self.source, offset, hint)

    def unexpected(self, what: str, hint: str = "") -> ExpressionError:
        token = self.token
        found = "nothing" if token.kind == "end" else self.source[token.offset : token.end][:40]
        if not hint and found == "=":
            hint = "write == to compare"
        return self.error(f"expected {what}, found {found}", token.offset, hint)

    # --- operators ---

    def expression(self) -> Node:
        then = self.operators(_OR)
        token = self.accept("if")
        if token is None:
            return then
        condition = self.operators(_OR)
        self.expect("else", "else", "a value is needed for both cases: a if condition else b")
        self.enter(token.offset)
        otherwise = self.expression()
        self.depth -= 1
        return Conditional(then.offset, condition, then, otherwise)

    def enter(self, offset: int) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"nested deeper than {MAX_DEPTH} levels", offset)

    def operators(self, lowest: int) -> Node:
        """An expression of operators that bind at least as tightly as `lowest`."""
        self.enter(self.token.offset)
        negation = self.accept("not") if lowest <= _NOT else None
        node: Node = Not(negation.offset, self.operators(_NOT)) if negation else self.unary()
        while (level := _LEVELS.get(self.operator(), 0)) >= lowest:
            node = self.chain(node, level)
        self.depth -= 1
        return node

    def operator(self) -> str:
        """The operator at hand, if it is one; `not in` is two tokens."""
        kind = self.token.kind
        return "not in" if kind == "not" and self.peek().kind == "in" else kind

    def chain(self, first: Node, level: int) -> Node:
        rest: list[tuple[str, int, Node]] = []
        while _LEVELS.get(operator := self.operator()) == level:
            offset = self.advance().offset
            if operator == "not in":
                self.advance()
            if level == _POWER and (rest or isinstance(first, Sign)):
                raise self.error("** has no one reading here", offset, "write brackets: (a ** b) ** c, -(a ** b)")
            rest.append((operator, offset, self.operators(level + 1)))
        if level == _CONCAT:
            return Concatenation(first.offset, (first, *(node for _, _, node in rest)))
        if level <= _AND:
            return Logic(first.offset, rest[0][0], (first, *(node for _, _, node in rest)))
        return (Comparison if level == _COMPARE else Chain)(first.offset, first, tuple(rest))

    def unary(self) -> Node:
        """Signs, then a value with its path, then filters and tests, which also cover the sign: -1|abs is 1."""
        signs: list[Token] = []
        while self.token.kind in ("-", "+"):
            signs.append(self.advance())
            if len(signs) > MAX_DEPTH:
                raise self.error(f"nested deeper than {MAX_DEPTH} levels", signs[-1].offset)
        if signs and signs[-1].kind == "-" and self.token.kind == "integer":
            token = self.advance()
            node: Node = self.path(Literal(signs.pop().offset, -token.value))
            # A literal that has its sign may still not be raised to a power: -2 ** 2 reads two ways.
            if self.token.kind == "**":
                raise self.error("** has no one reading here", self.token.offset, "write brackets: (-2) ** 2")
        else:
            node = self.path(self.primary())
        for sign in reversed(signs):
            node = Sign(sign.offset, sign.kind, node)
        return self.postfix(node)

    def postfix(self, node: Node) -> Node:
        while True:
            if self.accept("|"):
                name = self.expect("name", "the name of a filter")
                arguments = self.arguments() if self.token.kind == "(" else Arguments()
                node = self.path(Filtered(name.offset, node, name.value, arguments))
            elif self.accept("is"):
                node = self.test(node)
            else:
                return node

    def test(self, operand: Node) -> Node:
        negated = self.accept("not") is not None
        token = self.advance()
        if token.kind not in ("name", "in"):
            self.position -= 1
            self.token = token
            raise self.unexpected("the name of a test", "such as defined, none, number, string, even")
        arguments = Arguments()
        if self.token.kind == "(":
            arguments = self.arguments()
        elif self.token.kind in _TEST_ARGUMENTS:
            arguments = Arguments((self.path(self.primary()),))
        return Tested(token.offset, operand, token.value, arguments, negated)

    # --- values ---

    def primary(self) -> Node:
        token = self.advance()
        kind = token.kind
        if kind == "name":
            if self.token.kind == "(":
                return Call(token.offset, token.value, self.arguments())
            if token.value in _CONSTANTS:
                return Literal(token.offset, _CONSTANTS[token.value])
            return Path(token.offset, token.value, ())
        if kind == "string":
            return self.strings(token)
        if kind == "integer":
            if token.value > INT_MAX:
                raise self.error(f"the integer {token.value} does not fit into 64 bits", token.offset)
            return Literal(token.offset, token.value)
        if kind == "float":
            return Literal(token.offset, token.value)
        if kind == "(":
            node = self.expression()
            self.expect(")", ")", "there are no tuples: write a list, [a, b]" if self.token.kind == "," else "")
            return node
        if kind == "[":
            return self.list_items(token)
        if kind == "{":
            return self.object_entries(token)
        if kind == "$":
            return self.query(token)
        if kind == "@" and self.queries:
            return Path(token.offset, "@", ())
        if kind != "end":
            self.position -= 1
        self.token = token
        raise self.unexpected("a value", "@ stands inside [?(…)] of a JSONPath only" if kind == "@" else "")

    def strings(self, token: Token) -> Node:
        """A string; strings beside each other are one, as in Jinja."""
        parts = [token.value]
        while self.token.kind == "string":
            parts.append(self.advance().value)
        return Literal(token.offset, "".join(parts))

    def list_items(self, opening: Token) -> Node:
        items: list[Node] = []
        while self.token.kind != "]":
            items.append(self.expression())
            if not self.accept(","):
                break
        self.expect("]", ", or ]")
        return ListNode(opening.offset, tuple(items))

    def object_entries(self, opening: Token) -> Node:
        keys: list[Node] = []
        values: list[Node] = []
        while self.token.kind != "}":
            keys.append(self.expression())
            self.expect(":", ":", 'an object is written {"key": value}')
            values.append(self.expression())
            if not self.accept(","):
                break
        self.expect("}", ", or }")
        return ObjectNode(opening.offset, tuple(keys), tuple(values))

    def arguments(self) -> Arguments:
        self.expect("(", "(")
        positional: list[Node] = []
        named: list[tuple[str, int, Node]] = []
        while self.token.kind != ")":
            if self.token.kind == "name" and self.peek().kind == "=":
                name = self.advance()
                self.advance()
                if any(name.value == other for other, _, _ in named):
                    raise self.error(f"{name.value} is given twice", name.offset)
                named.append((name.value, name.offset, self.expression()))
            elif named:
                raise self.error("a value without a name stands behind one with a name", self.token.offset)
            else:
                positional.append(self.expression())
            if not self.accept(","):
                break
        self.expect(")", ", or )")
        return Arguments(tuple(positional), tuple(named))

    # --- paths ---

    def path(self, node: Node) -> Node:
        segments: list[Segment] = []
        while True:
            if self.accept("."):
                segments.append(self.name_segment())
            elif self.token.kind == "[":
                segments.append(self.bracket_segment())
            else:
                break
        if not segments:
            return node
        if isinstance(node, Path):
            return Path(node.offset, node.root, (*node.segments, *segments))
        return Path(node.offset, node, tuple(segments))

    def name_segment(self) -> Key:
        """`.name`, where a word of the language is a name like any other."""
        token = self.token
        if token.kind in ("integer", "float"):
            raise self.unexpected("a name behind the dot", "write an index in brackets: list[0]")
        if not isinstance(token.value, str) or not (token.value[:1].isalpha() or token.value[:1] == "_"):
            raise self.unexpected("a name behind the dot")
        if token.kind == "string":
            raise self.unexpected("a name behind the dot", 'write it in brackets: ["name"]')
        self.advance()
        if self.token.kind == "(":
            hint = f"write a filter: …|{token.value}"
            raise self.error(f"there are no methods, so .{token.value}(…) has no meaning", token.offset, hint)
        return Key(token.offset, token.value)

    def bracket_segment(self) -> Segment:
        offset = self.advance().offset
        start = None if self.token.kind == ":" else self.expression()
        if self.accept(":"):
            stop = None if self.token.kind == "]" else self.expression()
            self.expect("]", "]")
            return Slice(offset, start, stop)
        self.expect("]", "]")
        if isinstance(start, Literal) and type(start.value) in (str, int):
            return Key(offset, start.value)
        if start is None:
            raise self.unexpected("an index")
        return Index(offset, start)

    # --- JSONPath ---

    def query(self, dollar: Token) -> Node:
        """`$node.path`: a plain path while it is definite, a Query from its first step that is not."""
        name = self.expect("name", "a node's name behind $", "such as $triage.user.age")
        base: Node = Path(dollar.offset, "nodes", (Key(name.offset, name.value),))
        return self.query_steps(base)

    def query_steps(self, base: Node) -> Node:
        steps: list[Step] = []
        while self.token.kind in (".", "..", "["):
            token = self.advance()
            if token.kind == "[":
                steps.append(self.query_bracket(token))
                self.expect("]", "]")
            elif self.accept("*"):
                steps.append(Children(token.offset) if token.kind == "." else Descendants(token.offset, None))
            elif token.kind == ".":
                steps.append(self.name_segment())
            else:
                steps.append(Descendants(token.offset, str(self.name_segment().key)))
        definite: list[Key] = []
        for step in steps:
            if not isinstance(step, Key):
                break
            definite.append(step)
        if definite:
            inner = base if isinstance(base, Path) else Path(base.offset, base, ())
            base = Path(inner.offset, inner.root, (*inner.segments, *definite))
        rest = tuple(steps[len(definite) :])
        return Query(base.offset, base, rest) if rest else base

    def query_bracket(self, opening: Token) -> Step:
        if self.accept("*"):
            return Children(opening.offset)
        if self.accept("?"):
            self.queries += 1
            condition = _existence(self.expression())
            self.queries -= 1
            return Matching(opening.offset, condition)
        sign = -1 if self.accept("-") else 1
        if self.token.kind == "integer":
            return Key(opening.offset, sign * self.advance().value)
        if self.token.kind == "string" and sign == 1:
            return Key(opening.offset, self.advance().value)
        kinds = one_of(["[0]", "['name']", "[*]", "[?(@.x > 1)]"])
        raise self.unexpected("an index, a name in quotes, * or ?", kinds)


def parse_query(source: str) -> Node:
    """The tree of a JSONPath of its own, `$.rows[*].name`; the value it is applied to is the local name "$"."""
    parser = Parser(source, tokenize(source))
    dollar = parser.expect("$", "$, the value itself", "a JSONPath starts with $, such as $.rows[*].name")
    node = parser.query_steps(Path(dollar.offset, "$", ()))
    parser.expect("end", "the end of the path")
    return node


def _existence(condition: Node) -> Node:
    """In a JSONPath's condition a path alone asks whether it is there."""
    if isinstance(condition, Path) and condition.root == "@" and condition.segments:
        return Tested(condition.offset, condition, "defined", Arguments(), negated=False)
    if isinstance(condition, Logic):
        return Logic(condition.offset, condition.operator, tuple(_existence(part) for part in condition.parts))
    if isinstance(condition, Not):
        return Not(condition.offset, _existence(condition.operand))
    return condition
