from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from mesh.presence.beat import Beat
from mesh.presence.reading import MAX_BYTES, read_beat

KEY = "default.pi-1"
SOUND: dict[str, Any] = {"agent": "pi-1", "tenant": "default", "version": "1.0"}


def test_a_beat_is_read_as_it_was_said(beat: Callable[..., Beat]) -> None:
    said = beat(labels={"site": "berlin"}, workflows={"hello": 3}, models=["tiny"], load=0.25, last_seq=7)
    assert read_beat(KEY, msgspec.json.encode(said)) == said


def test_fields_of_a_newer_version_are_ignored() -> None:
    assert read_beat(KEY, msgspec.json.encode(SOUND | {"mood": {"is": ["good"]}})) is not None


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"null",
        b"not json",
        b"\xff\xfe",
        b"[" * 100_000,
        msgspec.json.encode(SOUND)[:-1] + b', "x": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        msgspec.json.encode(SOUND | {"agent": "pi-2"}),
        msgspec.json.encode(SOUND | {"tenant": "other"}),
        msgspec.json.encode(SOUND | {"state": "asleep"}),
        msgspec.json.encode(SOUND | {"every": 0}),
        msgspec.json.encode(SOUND | {"every": -5}),
        msgspec.json.encode(SOUND | {"every": 1e300}),
        msgspec.json.encode(SOUND | {"running": -1}),
        msgspec.json.encode(SOUND | {"last_seq": "7"}),
        msgspec.json.encode(SOUND | {"labels": {"site": 1}}),
        msgspec.json.encode(SOUND | {"labels": {str(number): "" for number in range(65)}}),
        msgspec.json.encode(SOUND | {"workflows": {str(number): 1 for number in range(501)}}),
        msgspec.json.encode(SOUND | {"models": [str(number) for number in range(101)]}),
        msgspec.json.encode(SOUND | {"models": ["x" * 257]}),
        msgspec.json.encode(SOUND | {"host": "x" * 257}),
        msgspec.json.encode(SOUND | {"note": "x" * MAX_BYTES}),
        b'{"agent":"pi-1","tenant":"default","version":"1.0","load":1e999}',
    ],
)
def test_what_is_no_beat_is_none(value: bytes) -> None:
    assert read_beat(KEY, value) is None


@pytest.mark.parametrize("key", ["default", "default.", ".pi-1", "default.pi-1.x", "default.PI", "a b.pi-1"])
def test_a_key_that_is_no_agent_is_none(key: str) -> None:
    tenant, _, agent = key.partition(".")
    assert read_beat(key, msgspec.json.encode(SOUND | {"agent": agent, "tenant": tenant})) is None
