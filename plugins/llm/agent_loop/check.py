"""What is wrong with the fields of an `agent_loop`, as far as it is known before anything runs."""

from collections.abc import Iterator, Mapping
from typing import Final

from engine.contract import Misfit
from engine.expressions import ExpressionError, compile_tree
from engine.quantities import parse_duration
from engine.values import Json, encode_json
from plugins.llm.agent_loop.params import Taint
from plugins.llm.schema import check_schema
from plugins.llm.tools import MAX_TOOLS, NAME_HINT, TOOL_NAME

__all__ = ["check"]

_OURS: Final = frozenset({"params", "agent", "execution"})
"""What nobody outside can write into."""


def check(written: Mapping[str, Json]) -> Iterator[Misfit]:
    tools, nodes = _object(written.get("tools")), _object(written.get("nodes"))
    if len(tools) > MAX_TOOLS:
        yield ("tools",), f"{len(tools)} tools are more than {MAX_TOOLS}", "give the model fewer to choose from"
    for name in tools.keys() - nodes.keys():
        yield ("tools", name), f"there is no node {name} that does it", f"add `nodes: {{{name}: {{type: …}}}}`"
    for name in nodes.keys() - tools.keys():
        yield ("nodes", name), "the model is told of no such tool", f"add `tools: {{{name}: {{arguments: …}}}}`"
    called: dict[str, str] = {}
    for node, tool in tools.items():
        yield from _tool(("tools", node), _object(tool))
        name = str(_object(tool).get("name") or node)
        if "name" in _object(tool) and not TOOL_NAME.fullmatch(name):
            yield ("tools", node, "name"), f"{name[:64]!r} : expected up to 64 letters, digits, _ and -", NAME_HINT
        if called.setdefault(name, node) != node:
            yield ("tools", node), f"the model knows a tool {name} already: {called[name]}", "give it another `name`"
    memory = _object(written.get("memory"))
    if memory.get("summarise") and memory.get("window") is None:
        yield ("memory", "summarise"), "needs to know what is older", "add `window: …`, how many turns stay as they are"
    within = _object(written.get("approval")).get("within")
    if within is not None and "{{" not in str(within):
        try:
            parse_duration(within)
        except ValueError as error:
            yield ("approval", "within"), str(error), "such as 1h"
    if written.get("taint") == Taint.STRICT:
        yield from _instructions(written, tools)


def _tool(at: tuple[str, ...], tool: Mapping[str, Json]) -> Iterator[Misfit]:
    arguments = _object(tool.get("arguments"))
    for name, schema in arguments.items():
        place = (*at, "arguments", name)
        if b"{{" in encode_json(schema):
            yield place, "a schema is taken as it is written", "remove the braces {{ }}"
        else:
            yield from check_schema(schema, place)
    for name in tool.get("optional") or ():
        if name not in arguments:
            yield (*at, "optional"), f"there is no argument {str(name)[:64]}", f"known: {', '.join(arguments)}"


def _instructions(written: Mapping[str, Json], tools: Mapping[str, Json]) -> Iterator[Misfit]:
    """Under `taint: strict` what the model takes for our word must be our word."""
    places: dict[tuple[str, ...], Json] = {(name,): written.get(name) for name in ("goal", "system", "tools_text")}
    places |= {("tools", name, "description"): _object(tool).get("description") for name, tool in tools.items()}
    for at, text in places.items():
        for root in sorted(_roots(text) - _OURS):
            yield at, f"with taint: strict it must not hold {root}, which others may have written", "put it under input"


def _roots(text: Json) -> set[str]:
    try:
        return {reference.root for reference in compile_tree(text).references}
    except ExpressionError:  # told by who reads the field
        return set()


def _object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}
