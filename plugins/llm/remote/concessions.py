"""What a server does not take, learned from its refusals.

Compatible servers differ in fields that are no part of the question: `stream_options`, `max_tokens` against
`max_completion_tokens`, sampling that newer models have given up, ways to hold an answer to a schema. Tables of models
are out of date the day they are written. So the fullest request is sent first; when a server names a field that it does
not know, the request goes out again without, and from then on always. A value that is out of range is no such refusal.
"""

import re
from collections.abc import Mapping
from enum import IntEnum
from typing import Final

import msgspec

from engine.values import Json, encode_json
from plugins.llm.errors import Trouble
from plugins.llm.remote.answers import Refusal
from plugins.llm.spec import ModelSpec

__all__ = ["Asking", "Learned", "Way", "learned_of"]

_UNABLE = re.compile(
    r"unsupported|not support|n't support|unknown|unrecogni[sz]ed|unexpected|extra (inputs|fields)|additional propert"
    r"|not (permitted|allowed|available|implemented|enabled|recogni[sz]ed|compatible|a valid)|deprecated|removed"
    r"|requires|only the default|cannot both|use only one|no longer|incompatible|must be|invalid schema"
    r"|cannot unmarshal|expected|must (start|begin|include|contain)",
    re.IGNORECASE,
)
_RANGE = re.compile(
    r"must be (between|less|greater|at (least|most)|in the range|>|<|non-negative|positive)|at most \d", re.IGNORECASE
)
_STATUSES: Final = (400, 415, 422, 500, 501)
"""With which servers refuse a field; some take what they do not know for their own fault."""
MAX_SERVERS: Final = 256
MAX_SCHEMAS: Final = 256


class Way(IntEnum):
    """How an answer is held to a schema, the firmest first."""

    FIRST = 0
    SECOND = 1
    TOLD = 2
    """The schema stands in the system message, and nothing enforces it."""


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """How a server is asked."""

    without: frozenset[str] = frozenset()
    way: Way = Way.FIRST


class Learned:
    """Of one model of one server."""

    def __init__(self) -> None:
        self.without: frozenset[str] = frozenset()
        self._ways: dict[bytes, Way] = {}

    def asking(self, schema: Mapping[str, Json] | None) -> Asking:
        way = Way.FIRST if schema is None else self._ways.get(encode_json(schema), Way.FIRST)
        return Asking(without=self.without, way=way)

    def from_refusal(
        self, refusal: Refusal, asked: Asking, schema: Mapping[str, Json] | None, fields: Mapping[str, str],
        schema_fields: str,
    ) -> bool:  # fmt: skip
        """Whether there is something to leave out. `fields`: what of the request may be, each with a pattern that names
        it; `schema_fields`: the pattern that names a way to ask for a schema."""
        said = refusal.fault.text
        if refusal.trouble is Trouble.TOO_LONG:
            return False
        if refusal.status not in _STATUSES or not _UNABLE.search(said) or _RANGE.search(said):
            return False
        for field, pattern in fields.items():
            if re.search(pattern, said, re.IGNORECASE):
                self.without |= {field}
                return True
        if schema is not None and re.search(schema_fields, said, re.IGNORECASE):
            return self.next_way(asked, schema)
        return False

    def next_way(self, asked: Asking, schema: Mapping[str, Json]) -> bool:
        """This way it did not work: take the next one for this schema. False after the last."""
        if asked.way is Way.TOLD:
            return False
        if len(self._ways) >= MAX_SCHEMAS:
            self._ways.clear()
        self._ways[encode_json(schema)] = Way(asked.way + 1)
        return True


_servers: dict[tuple[str, str, str], Learned] = {}


def learned_of(spec: ModelSpec) -> Learned:
    """What this process knows of a server. It is a fact about the world outside, the same for all who ask, and must
    outlive the providers, which are made for each question."""
    key = (spec.provider.value, spec.url, spec.model or spec.name)
    if key not in _servers and len(_servers) >= MAX_SERVERS:
        _servers.clear()
    return _servers.setdefault(key, Learned())
