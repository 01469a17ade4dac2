"""What a node of type `llm` is told, and what is wrong with that before it runs."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

import msgspec

from engine.contract import Misfit, Static
from engine.quantities import parse_duration
from engine.values import Json
from plugins.llm.conversation import MAX_TOKENS, Role
from plugins.llm.schema import check_schema
from plugins.llm.tools import check_tools

__all__ = ["OWN", "Call", "LlmParams", "Said", "Told", "check"]

OWN: Final = "llm"
"""The key of the output that says how it came about."""

Says = msgspec.Meta
Seed = Annotated[int, Says(ge=0, lt=2**31)]


class Call(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, Says(description="The tool.")]
    arguments: Annotated[dict[str, Any], Says(description="What it is called with.")] = {}
    id: Annotated[str, Says(description="What the tool's message refers to.")] = ""


class Said(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    role: Annotated[Role, Says(description="Who says it: system, user, assistant, or tool for what a tool gave.")]
    content: Annotated[Any, Says(description="What is said; anything but text is written as JSON.")] = ""
    calls: Annotated[tuple[Call, ...], Says(description="Of an assistant: the tools that it wanted.")] = ()
    call: Annotated[str, Says(description="Of a tool: the id of the call that it answers.")] = ""
    tool: Annotated[str, Says(description="Of a tool: its name.")] = ""


class Told(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, Says(description="Letters, digits, _ and -.")]
    description: Annotated[str, Says(description="What it does and when it is to be used.")] = ""
    parameters: Annotated[dict[str, Any], Says(description="Its arguments: a JSON Schema of an object.")] = {}


class LlmParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    model: Annotated[
        str | tuple[str, ...],
        Says(description="Name of a model of this agent (`ganglion models`), or a list: each is asked where those "
             "before it can't answer."),
    ]  # fmt: skip
    prompt: Annotated[str | None, Says(description="What the user says. Excludes `messages`.")] = None
    messages: Annotated[
        tuple[Said, ...], Says(description="A conversation, its last turn the user's or a tool's. Excludes `prompt`.")
    ] = ()
    system: Annotated[str | None, Says(description="What the model is told before all: its part, its rules.")] = None
    temperature: Annotated[
        float, Says(description="0: always the likeliest word; 1: as freely as it was trained.", ge=0, le=2)
    ] = 0.0
    top_p: Annotated[float, Says(description="Only the likeliest words that together have this share.", gt=0, le=1)] = (
        1.0
    )
    seed: Annotated[Seed | None, Says(description="Makes a temperature above 0 repeatable, where the model can.")] = (
        None
    )
    stop: Annotated[tuple[str, ...], Says(description="Texts at which it ends; they are left out.", max_length=16)] = ()
    max_tokens: Annotated[
        int, Says(description="The most that it may write, in tokens; a text ends there.", ge=1, le=131_072)
    ] = MAX_TOKENS
    schema: Annotated[
        dict[str, Any] | None,
        Static,
        Says(description="JSON Schema of the answer: the output is then data that fits it. Excludes `tools`."),
    ] = None
    tools: Annotated[
        tuple[Told, ...],
        Says(description="What it may ask for. The calls that it wants stand in the output; nothing is called "
             "(that is what `agent_loop` does)."),
    ] = ()  # fmt: skip
    tools_text: Annotated[
        str | None, Says(description="What a model without tools of its own is told instead of the list of `tools`.")
    ] = None
    stall: Annotated[
        str | float | None,
        Says(description="Give up after so long without a sign of life, such as 30s; else as the model's entry says."),
    ] = None
    reuse: Annotated[
        bool | None,
        Says(description="Take an answer of the last hour to the same question, if there is one; without this line: "
             "where `temperature` is 0 or there is a `seed`."),
    ] = None  # fmt: skip

    def __post_init__(self) -> None:
        if (self.prompt is None) == (not self.messages):
            raise ValueError("takes exactly one of `prompt` and `messages`")
        if self.schema is not None and self.tools:
            raise ValueError("takes `schema` or `tools`, not both")
        if not self.model or not all(self.model):
            raise ValueError("needs the name of a model")


def check(written: Mapping[str, Json]) -> Iterator[Misfit]:
    if "prompt" in written and "messages" in written:
        yield ("messages",), "excludes `prompt`", "remove one of them"
    elif "prompt" not in written and "messages" not in written:
        yield (), "prompt is missing", "add `prompt: …`, or `messages: …`"
    if written.get("schema") is not None and written.get("tools"):
        yield ("tools",), "excludes `schema`", "remove one of them; a tool has a schema of its own"
    if written.get("schema") is not None:
        yield from check_schema(written["schema"], ("schema",), own_name=OWN)
    if isinstance(written.get("tools"), list):
        yield from check_tools(written["tools"], ("tools",))
    said = written.get("messages")
    if isinstance(said, list) and said:
        if isinstance(said[-1], Mapping) and said[-1].get("role") == Role.ASSISTANT:
            yield ("messages", len(said) - 1), "the last turn is the assistant's", "end with what the user says"
        if written.get("system") and isinstance(said[0], Mapping) and said[0].get("role") == Role.SYSTEM:
            yield ("messages", 0), "excludes `system`", "say it once"
    if "stall" in written and written["stall"] is not None and "{" not in str(written["stall"]):
        try:
            parse_duration(written["stall"])
        except ValueError as error:
            yield ("stall",), str(error), "such as 30s"
