"""A conversation as every provider takes it."""

import re
from collections.abc import Iterator
from itertools import count

import msgspec

from engine.values import encode_json
from plugins.llm.conversation import Message, Prompt, Role, ToolCall

__all__ = ["taken", "told_to_system"]

_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")
"""Ids of calls that all take: Anthropic wants these characters, OpenAI at most 40 of them."""


def taken(prompt: Prompt) -> Prompt:
    """The same prompt with ids that are valid and unique, which a conversation with several models need not have; and
    where no tools are offered, with calls and results as plain texts, which servers would refuse otherwise."""
    turn = _with_ids if prompt.tools else _as_texts
    return msgspec.structs.replace(prompt, messages=tuple(turn(prompt.messages)))


def told_to_system(prompt: Prompt, text: str) -> Prompt:
    """The prompt with more in its system message."""
    first, *rest = prompt.messages or (Message(role=Role.SYSTEM),)
    if first.role is not Role.SYSTEM:
        first, rest = Message(role=Role.SYSTEM), [first, *rest]
    whole = f"{first.content}\n\n{text}" if first.content else text
    return msgspec.structs.replace(prompt, messages=(Message(role=Role.SYSTEM, content=whole), *rest))


def _with_ids(messages: tuple[Message, ...]) -> Iterator[Message]:
    seen: set[str] = set()
    now: dict[str, str] = {}
    """Of the turn whose results follow: the id in the conversation, and the one that is sent."""
    for message in messages:
        if message.calls:
            now = {}
            calls = tuple(_renamed(call, seen, now) for call in message.calls)
            yield msgspec.structs.replace(message, calls=calls)
        elif message.role is Role.TOOL:
            yield msgspec.structs.replace(message, call=now.get(message.call, message.call))
        else:
            yield message


def _renamed(call: ToolCall, seen: set[str], now: dict[str, str]) -> ToolCall:
    new = call.id
    if new in seen or not _ID.fullmatch(new):
        new = next(name for number in count(len(seen) + 1) if (name := f"call-{number}") not in seen)
    seen.add(new)
    now[call.id] = new
    return msgspec.structs.replace(call, id=new)


def _as_texts(messages: tuple[Message, ...]) -> Iterator[Message]:
    for message in messages:
        if message.calls:
            calls = "\n".join(
                encode_json({"tool": call.name, "arguments": call.arguments}).decode() for call in message.calls
            )
            yield Message(role=Role.ASSISTANT, content=message.content or calls)
        elif message.role is Role.TOOL:
            said = f"{message.tool}: {message.content}" if message.tool else message.content
            yield Message(role=Role.USER, content=said)
        else:
            yield message
