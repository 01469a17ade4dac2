"""Tools as a workflow declares them: whether they are well-formed."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from engine.contract import Misfit
from engine.values import Json
from plugins.llm.schema import check_schema

__all__ = ["MAX_TOOLS", "NAME_HINT", "TOOL_NAME", "check_tools"]

MAX_TOOLS: Final = 64
"""Of one question."""
TOOL_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")
NAME_HINT: Final = "such as read_sensor"


def check_tools(tools: Sequence[Json], at: tuple[str | int, ...]) -> Iterator[Misfit]:
    """What is wrong with a list of {name, description, parameters}."""
    if len(tools) > MAX_TOOLS:
        yield at, f"{len(tools)} tools are more than {MAX_TOOLS}", "give the model fewer to choose from"
    names: set[str] = set()
    for place, tool in enumerate(tools):
        if isinstance(tool, Mapping):
            name = tool.get("name")
            if isinstance(name, str) and name in names:
                yield (*at, place, "name"), f"there are two tools {name[:64]}", "rename one of them"
            elif isinstance(name, str):
                names.add(name)
            yield from _tool(tool, (*at, place))


def _tool(tool: Mapping[str, Json], at: tuple[str | int, ...]) -> Iterator[Misfit]:
    name, parameters = tool.get("name"), tool.get("parameters", {})
    if not isinstance(name, str) or not TOOL_NAME.fullmatch(name):
        yield (*at, "name"), "expected up to 64 letters, digits, _ and -", NAME_HINT
    if not isinstance(parameters, Mapping):
        yield (*at, "parameters"), "expected a JSON Schema of an object", "such as {properties: {id: {type: string}}}"
        return
    if not parameters:
        return
    if parameters.get("type", "object") != "object":
        yield (*at, "parameters", "type"), "arguments are an object", "write type: object"
    elif "$defs" in parameters:
        yield (*at, "parameters", "$defs"), "a tool's arguments hold no definitions", "write each schema where it is"
    else:
        yield from check_schema({"type": "object", **parameters}, (*at, "parameters"))
