"""Values where only text can stand: headers, arguments, environment.

A text that is exactly one {{ … }} keeps its kind, so `limit: "{{ params.limit }}"` is a number; it is written as JSON.
"""

from collections.abc import Mapping
from typing import TypeAlias

from engine.values import encode_json

Scalar: TypeAlias = str | int | float | bool


def scalar_text(value: Scalar) -> str:
    """A text as it is, anything else as JSON: 7, 1.5, true."""
    return value if isinstance(value, str) else encode_json(value).decode()


def scalar_texts(values: Mapping[str, Scalar]) -> dict[str, str]:
    """Each value as text."""
    return {name: scalar_text(value) for name, value in values.items()}
