"""The JSON Schemas in docs/schemas/, made from the structs of the code and from what a running agent says of itself.

    python -m tests.interop.schemas      writes them again

Their descriptions are the docstrings of the classes and of their fields.
"""

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

import msgspec
from nats.aio.client import Client

from engine.control.event_data import DATA
from engine.events import LIVE, Kind
from engine.events.cloudevent import CloudEvent
from engine.triggers.envelope import MAX_HOPS, MAX_ID
from mesh.presence.beat import Beat
from tests.interop.describing import Schema, docstrings, schema_of
from tests.interop.verbs import DRAFT, service

FOLDER = Path(__file__).parents[2] / "docs/schemas"
ABOUT_EXECUTIONS = ("workflow.", "node.", "iteration.", "level.", "limit.", "form.", "checkpoint.", "progress.")


def event(kind: Kind) -> Schema:
    """A whole event of this kind, as it is on the wire."""
    envelope, data = schema_of(CloudEvent), schema_of(DATA[kind])
    inner = data.pop("$defs", {})
    fact = kind not in LIVE
    properties = envelope["properties"]
    for name in ("sequence", "epoch") if not fact else ():
        del properties[name]
    for name in properties:
        properties[name].pop("default", None)
    properties |= {
        "specversion": {"const": "1.0"},
        "id": properties["id"] | {"minLength": 1},
        "source": properties["source"] | {"pattern": "^/ganglion/[^/]+/[^/]+$"},
        "type": {"const": f"ganglion.{kind.value}"},
        "time": properties["time"] | {"format": "date-time"},
        "datacontenttype": {"const": "application/json"},
        "version": properties["version"] | {"minimum": 1},
        "data": data,
    }
    needed = ["specversion", "id", "source", "type", "time", "datacontenttype", "workflow", "data"]
    if fact:
        properties["sequence"] |= {"pattern": "^[1-9][0-9]*$"}
        needed += ["sequence", "epoch"]
    if kind.value.startswith(ABOUT_EXECUTIONS):
        needed += ["subject", "version"]
    said = docstrings(Kind).get(kind.name, "")
    return {
        "$schema": DRAFT,
        "title": f"ganglion.{kind.value}",
        "description": f"{said}\n\n{_where(kind)}".strip(),
        "type": "object",
        "properties": properties,
        "required": needed,
        **({"$defs": inner} if inner else {}),
    }


def _where(kind: Kind) -> str:
    if kind in LIVE:
        return f"A live event on ganglion.live.<tenant>.<agent>.<workflow>.{kind.value}, kept nowhere."
    return f"A fact on ganglion.event.<tenant>.<agent>.<workflow>.{kind.value}, kept in the stream GANGLION_EVENTS."


def heartbeat() -> Schema:
    return {
        "$schema": DRAFT,
        "title": "heartbeat",
        **schema_of(Beat),
        "description": "What an agent says of itself at each beat: the value of the key <tenant>.<agent> in the "
        "key-value bucket ganglion_agents. Readers ignore fields that they do not know.",
    }


def trigger() -> Schema:
    """Headers are all texts."""
    text: Schema = {"type": "string"}
    return {
        "$schema": DRAFT,
        "title": "trigger",
        "description": "A message that starts executions: the headers that are understood, and the body. It is sent to "
        "ganglion.trigger.<tenant>.<agent or any>.<workflow>, or to the subject that a workflow's trigger names.",
        "type": "object",
        "properties": {
            "headers": {
                "type": "object",
                "description": "Names in any case. All of them are in `trigger.headers` of the execution.",
                "properties": {
                    "Nats-Msg-Id": text | {
                        "description": "The message's id: a second one with the same id and subject starts nothing. "
                        "Remembered for `[engine] dedupe`.",
                        "maxLength": MAX_ID,
                    },
                    "Ganglion-Cause": text | {
                        "description": "What caused the message, such as an execution's id.", "maxLength": MAX_ID,
                    },
                    "Ganglion-Hops": text | {
                        "description": f"How many executions caused each other before; above {MAX_HOPS} the message "
                        "is a dead letter.",
                        "pattern": "^[0-9]{1,9}$",
                    },
                    "Content-Type": text | {"description": "Read with `format: cloudevent` only."},
                    "ce-id": text | {"description": "The attributes of a CloudEvent in binary mode.", "minLength": 1},
                    "ce-source": text | {"minLength": 1},
                    "ce-type": text | {"minLength": 1},
                    "ce-specversion": text | {"pattern": "^1\\."},
                },
                "additionalProperties": text,
            },
            "body": {"description": "`trigger.data`: JSON, unless the trigger says another `format`."},
        },
    }  # fmt: skip


def publication() -> Schema:
    text: Schema = {"type": "string"}
    return {
        "$schema": DRAFT,
        "title": "publication",
        "description": "A message of a publish node, on the subject that the node names: its headers, and the body.",
        "type": "object",
        "properties": {
            "headers": {
                "type": "object",
                "properties": {
                    "Nats-Msg-Id": text | {
                        "description": "The same however often it is sent: readers, and streams, may drop repeats.",
                    },
                    "Ganglion-Cause": text | {"description": "The execution that sent it."},
                    "Ganglion-Hops": text | {
                        "description": "How many executions caused each other.", "pattern": "^[1-9][0-9]*$",
                    },
                },
                "required": ["Nats-Msg-Id", "Ganglion-Cause", "Ganglion-Hops"],
                "additionalProperties": text,
            },
            "body": {},
        },
        "required": ["headers"],
    }  # fmt: skip


def refusal() -> Schema:
    return {
        "$schema": DRAFT,
        "title": "refusal",
        "description": "The body of an answer that has the header Nats-Service-Error-Code.",
        "type": "object",
        "properties": {
            "code": {
                "type": "integer",
                "description": "As in HTTP: 400 bad request, 404 unknown, 409 not in this state, 413 too large, "
                "422 invalid file, 500 a bug, 503 not now.",
            },
            "message": {"type": "string", "description": "What is wrong, and what to do next."},
        },
        "required": ["code", "message"],
    }


async def files(nc: Client) -> dict[str, str]:
    """Path below FOLDER -> text, of all that there should be; `nc` is a client that may ask a recorder."""
    schemas = {f"{'live' if kind in LIVE else 'events'}/{kind.value}.json": event(kind) for kind in Kind}
    schemas |= {f"service/{name}.json": schema for name, schema in (await service(nc)).items()}
    schemas |= {
        "heartbeat.json": heartbeat(),
        "trigger.json": trigger(),
        "publication.json": publication(),
        "service/refusal.json": refusal(),
    }
    return {
        name: msgspec.json.format(msgspec.json.encode(schema), indent=2).decode() + "\n"
        for name, schema in sorted(schemas.items())
    }


async def _write() -> None:
    from tests.running import running_agent

    with tempfile.TemporaryDirectory() as folder, running_agent(Path(folder)) as running:
        async with running.client() as nc:
            wanted = await files(nc)
    shutil.rmtree(FOLDER, ignore_errors=True)
    for name, text in wanted.items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    print(f"{len(wanted)} schemas in {FOLDER}")


if __name__ == "__main__":
    sys.exit(asyncio.run(_write()))
