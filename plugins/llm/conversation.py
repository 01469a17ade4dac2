"""What is said to a model and what it says, whoever provides it."""

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from engine.values import Json

__all__ = ["Finish", "Message", "Prompt", "Reply", "Role", "Tool", "ToolCall", "Usage"]

MAX_TOKENS = 512
"""How much a model may write unless the node says otherwise."""


class Role(StrEnum):
    """Who says something."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class ToolCall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model wants a tool to be used."""

    name: str
    arguments: Mapping[str, Json] = {}
    id: str = ""
    """What the answer refers to; a provider without ids gets `call-1`, `call-2` … in order."""


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One turn of a conversation."""

    role: Role
    content: str = ""
    calls: tuple[ToolCall, ...] = ()
    """Of an assistant that wants tools; `content` then holds what it wrote beside them, or the calls as it wrote them
    itself (protocol.py)."""
    call: str = ""
    """Of a tool's answer: the id of the call."""
    tool: str = ""
    """Of a tool's answer: its name."""


class Tool(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that a model may ask for."""

    name: str
    description: str = ""
    parameters: Mapping[str, Json] = {}
    """JSON Schema of an object: its arguments."""


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides what a model answers."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    tools_text: str = ""
    """What a model without tools of its own is told of them, instead of the text that is made from them."""
    schema: Mapping[str, Json] | None = None
    """JSON Schema that the answer's text must fit; excludes `tools`."""
    max_tokens: int = MAX_TOKENS
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens."""

    input: int = 0
    output: int = 0
    reused: int = 0
    """Of `input`: read before, and not again."""
    guessed: bool = False
    """The provider did not count: the numbers are guessed, rather too high."""


class Finish(StrEnum):
    """Why a model stopped."""

    STOP = "stop"
    LENGTH = "length"
    """`max_tokens`, or its context, was full."""
    CALLS = "calls"


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A finished generation."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    finish: Finish = Finish.STOP
    usage: Usage = Usage()
    model: str = ""
    """What the provider itself calls the model."""
    first_token: float = 0.0
    """Seconds from the beginning of the generation, without the wait for a turn."""
    seconds: float = 0.0
    """The same, to its end."""
