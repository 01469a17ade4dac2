"""The type of a field that holds a duration: the reader parses it, the JSON Schema knows its form."""

from typing import Annotated

import msgspec

__all__ = ["Duration"]

Duration = Annotated[float, msgspec.Meta(extra={"kind": "duration"}, extra_json_schema={"format": "duration"})]
"""Seconds, written as 500ms, 30s, 5m, 1h30m, 7d or a number of seconds."""
