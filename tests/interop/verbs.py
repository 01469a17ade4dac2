"""The service's verbs, as a running agent describes them, with the words of the code."""

import functools
import importlib
import pkgutil
from collections.abc import Iterator

import msgspec
from nats.aio.client import Client

import agent
import engine.control
from engine.control.messages import Answer, Request
from tests.interop.describing import Schema, schema_of

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def verb(endpoint: Schema) -> Schema:
    """One verb from its entry in `$SRV.INFO.ganglion`: what is asked, and what is answered."""
    about = endpoint["metadata"]
    request = schema_of(_struct(Request, about["request"]))
    answer = schema_of(_struct(Answer, about["answer"]))
    inner = {**request.pop("$defs", {}), **answer.pop("$defs", {})}
    return {
        "$schema": DRAFT,
        "title": endpoint["name"],
        "description": f"{about['description']}\n\n"
        f"A request to ganglion.service.<tenant>.<agent>.{endpoint['name']}; an empty body is read as {{}}.",
        "type": "object",
        "properties": {"request": request, "answer": answer},
        **({"$defs": inner} if inner else {}),
    }


def _struct(base: type[msgspec.Struct], described: str) -> type[msgspec.Struct]:
    """The class that describes itself so."""
    wanted = msgspec.json.decode(described)
    for one in _subclasses(base):
        if msgspec.json.decode(msgspec.json.encode(msgspec.json.schema(one))) == wanted:
            return one
    raise AssertionError(f"no {base.__name__} of the code describes itself as {wanted.get('$ref', described)}")


@functools.cache
def _subclasses(base: type[msgspec.Struct]) -> tuple[type[msgspec.Struct], ...]:
    for package in (engine.control, agent):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.startswith("agent.cli"):
                importlib.import_module(module.name)

    def below(one: type) -> Iterator[type]:
        yield one
        for inner in one.__subclasses__():
            yield from below(inner)

    return tuple(below(base))


async def service(nc: Client) -> dict[str, Schema]:
    """Verb -> its schema."""
    told = await nc.request("$SRV.INFO.ganglion", timeout=5)
    return {endpoint["name"]: verb(endpoint) for endpoint in msgspec.json.decode(told.data)["endpoints"]}
