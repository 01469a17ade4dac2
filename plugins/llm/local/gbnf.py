"""The text of a grammar as llama.cpp reads it: rules by name, and those that every JSON needs."""

import json

from engine.values import Json

__all__ = ["Rules", "literal"]

BLOCK = 32
"""A bound of n is written as blocks of that many: n/32 rules instead of n."""

_HEX = "[0-9a-fA-F]"
_MONTHS = (
    '(("01" | "03" | "05" | "07" | "08" | "10" | "12") "-" ("0" [1-9] | [12] [0-9] | "3" [01])'
    ' | ("04" | "06" | "09" | "11") "-" ("0" [1-9] | [12] [0-9] | "30") | "02-" ("0" [1-9] | "1" [0-9] | "2" [0-8]))'
)
_FIXED = {
    # no raw control characters, no halves of surrogate pairs: what is written is valid JSON and valid UTF-8
    "char": (
        r"[\x20-\x21\x23-\x5B\x5D-\x7E\x80-\uD7FF\uE000-\U0010FFFF]"
        rf' | "\\" (["\\/bfnrt] | "u" ([0-9a-cA-CefEF] {_HEX}{{3}} | [dD] [0-7] {_HEX}{{2}}))'
    ),
    "digits": "[0-9]{1,15}",
    "whole": '("0" | [1-9] [0-9]{0,14})',
    "number": '"-"? whole ("." digits)? ([eE] [-+]? [0-9]{1,2})?',
    "positive": 'whole ("." digits)? ([eE] [-+]? [0-9]{1,2})?',
    "integer": '"0" | "-"? [1-9] [0-9]{0,14}',
    "natural": "whole",
    "boolean": '"true" | "false"',
    "null": '"null"',
    "date": f'[12] [0-9]{{3}} "-" {_MONTHS}',
    "time": '([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9]',
    "date-time": 'date "T" time ("Z" | [+-] ("0" [0-9] | "1" [0-3]) ":" [0-5] [0-9])',
    "uuid": ' "-" '.join(f"[0-9a-f]{{{n}}}" for n in (8, 4, 4, 4, 12)),
}
_NEEDS = {
    "number": ("whole", "digits"), "positive": ("whole", "digits"), "natural": ("whole",),
    "date-time": ("date", "time"),
}  # fmt: skip


class Rules:
    """Rules under way to a grammar."""

    def __init__(self) -> None:
        self._rules: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def define(self, name: str, body: str) -> None:
        """A rule with a name of its own."""
        self._rules[name] = body

    def text(self, root: str) -> str:
        """The grammar that begins with that item."""
        return "\n".join([f"root ::= {root}", *(f"{name} ::= {body}" for name, body in self._rules.items())])

    def add(self, body: str) -> str:
        """The name of a rule; the same for the same body."""
        if body not in self._names:
            self._names[body] = name = f"r{len(self._names)}"
            self._rules[name] = body
        return self._names[body]

    def fixed(self, name: str) -> str:
        """One of the rules that every JSON needs."""
        for other in _NEEDS.get(name, ()):
            self.fixed(other)
        self._rules.setdefault(name, _FIXED[name])
        return name

    def chars(self, least: int, most: int) -> str:
        """That many characters of a string."""
        return self.repeated(self.fixed("char"), least, most)

    def repeated(self, item: str, least: int, most: int) -> str:
        """`least` to `most` of an item, in blocks. `x{0,500} x{0,500}` would be as short, and llama.cpp would follow
        500 readings of it at once; of blocks there are two or three."""
        parts = []
        if least >= BLOCK:
            parts.append(f"{self.add(f'{item}{{{BLOCK}}}')}{{{least // BLOCK}}}")
        if least % BLOCK:
            parts.append(f"{item}{{{least % BLOCK}}}")
        blocks, rest = divmod(most - least, BLOCK)
        if blocks:
            block = self.add(f"{item}{{{BLOCK}}}")
            full = f"{block}{{{blocks}}}" + (f" {item}{{0,{rest}}}" if rest else "")
            fewer = f"{block}{{0,{blocks - 1}}} " if blocks > 1 else ""
            parts.append(f"({fewer}{item}{{0,{BLOCK - 1}}} | {full})")
        elif rest:
            parts.append(f"{item}{{0,{rest}}}")
        return " ".join(parts)


def literal(value: Json) -> str:
    """What JSON writes for a value, as a literal of the grammar."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
