"""Secrets revealed for one attempt, and hidden again in whatever comes back.

A server may echo a header, a redirect may repeat a URL, a command may print its environment: what an attempt hands on
passes `hide`, so that nothing stored, logged or published holds the value.
"""

import base64
import json
import re
from collections.abc import Callable

from engine.contract import Context
from engine.secrets import SecretName, SecretText
from engine.values import Json


class Mask:
    """One attempt's secrets; `reveal` texts, use them, `hide` what came of it.

    A value is also found percent-encoded, escaped as in JSON, and in base64 on its own. Data in which somebody has
    changed it further is beyond any mask.
    """

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._masks: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None

    def reveal(self, value: Json) -> Json:
        """The real text of every marker in a value of any shape. Raises UnknownSecret."""
        if isinstance(value, SecretText):
            for part in value.parts:
                if isinstance(part, SecretName):
                    self.add(self._ctx.secret(SecretText(part)), f"[secret {part}]")
            return self._ctx.secret(value)
        if isinstance(value, dict):
            return {key: self.reveal(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.reveal(item) for item in value]
        return value

    def add(self, value: str, mask: str) -> None:
        """Hide this text too: a credential made from secrets, such as the one of basic auth."""
        if value and value not in self._masks:
            self._masks[value] = mask
            self._pattern = None

    def hide(self, value: Json) -> Json:
        """The value with masks where secrets stood, in keys too."""
        return _map_texts(value, self._hide_text) if self._masks else value

    def hide_bytes(self, body: bytes) -> bytes:
        """As `hide`, for what need not be text."""
        if not self._masks:
            return body
        return self._hide_text(body.decode(errors="surrogateescape")).encode(errors="surrogateescape")

    def _hide_text(self, text: str) -> str:
        # Longest first: one secret may begin with another.
        known = sorted(self._masks.items(), key=lambda item: len(item[0]), reverse=True)
        if self._pattern is None:
            self._pattern = re.compile("|".join(f"({_spellings(value)})" for value, _ in known))
        return self._pattern.sub(lambda match: known[(match.lastindex or 1) - 1][1], text)


def _spellings(value: str) -> str:
    """A pattern (one alternative per character, no repetition: linear) for the ways in which a value may be written."""
    encoded = base64.b64encode(value.encode()).decode()
    return f"{''.join(map(_spellings_of_character, value))}|{re.escape(encoded)}"


def _spellings_of_character(character: str) -> str:
    if character.isascii() and character.isalnum():
        return character
    percent = "".join(f"%{byte:02x}" for byte in character.encode())
    escaped = {json.dumps(character)[1:-1], f"\\u{ord(character):04x}", f"\\{character}"}
    alternatives = [re.escape(character), *(f"(?i:{re.escape(form)})" for form in sorted({percent, *escaped}))]
    if character == " ":
        alternatives.append(r"\+")
    return f"(?:{'|'.join(alternatives)})"


def _map_texts(value: Json, change: Callable[[str], str]) -> Json:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(key): _map_texts(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_map_texts(item, change) for item in value]
    return value
