"""How fast a model reads and writes here, asked as a node would ask it."""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from agent.cli.failure import Exit, Failure

if TYPE_CHECKING:
    from plugins.llm.conversation import Prompt, Reply
    from plugins.llm.provider import Provider
    from plugins.llm.spec import ModelSpec

__all__ = ["Speed", "measure"]

PROMPT = (
    "The cold store has eleven rooms. Each of them reports its temperature once a minute, and each of its doors "
    "reports when it opens and when it closes. When a room is warmer than its limit for a quarter of an hour, somebody "
    "has to look after it: most often a door was left open, sometimes ice has formed on the evaporator, and now and "
    "then a compressor has stopped. Say in a few sentences what you would look at first, and why. "
)
ROUNDS = 40
"""At most so many answers: a model may be short of words."""


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured. Tokens a second are 0 where there was too little to measure."""

    name: str
    load_seconds: float
    memory_bytes: int
    """By which this process grew."""
    memory_expected_bytes: int
    prompt_tokens: int
    prompt_tokens_per_second: float
    answers: int
    answer_tokens: int
    answer_tokens_per_second: float
    first_token_seconds: float
    """The median of all answers, each to a prompt that was not read before."""


class _Nobody:
    """Listens, and never has enough."""

    stopped = False

    def heard(self, text: str) -> None:
        """As it comes, for nobody."""


async def measure(spec: "ModelSpec", *, prompt: str, tokens: int, told: Callable[[str], None]) -> Speed:
    """Load it, and let it write so many tokens. Raises Failure where there is no memory for it, and ModelError."""
    import psutil

    from engine.resources.room import memory_room
    from plugins.llm.local.library import library
    from plugins.llm.local.provider import memory_needed, opened
    from plugins.llm.service.residency import spare

    needed, room = memory_needed(spec), memory_room()
    if needed + spare(room) > room.free:
        raise Failure(
            f"{spec.name} needs {needed / 1e6:,.0f} MB of memory, and of {room.free / 1e6:,.0f} MB that are free "
            f"{spare(room) / 1e6:,.0f} MB are left for everything else: free some, or lower its `context`",
            Exit.FAILED,
        )
    process = psutil.Process()
    told("loading")
    await asyncio.to_thread(library)  # a second, and 30 MB, that are not the model's
    before, begun = process.memory_info().rss, time.perf_counter()
    provider = await opened(spec)
    try:
        load_seconds = time.perf_counter() - begun
        replies = await _replies(provider, prompt or PROMPT, tokens, is_own=bool(prompt), told=told)
        return _speed(spec, replies, load_seconds, process.memory_info().rss - before, needed)
    finally:
        await provider.aclose()


async def _replies(
    provider: "Provider", text: str, tokens: int, *, is_own: bool, told: Callable[[str], None]
) -> "list[Reply]":
    """Answers until there are so many tokens; the beginning of each prompt is another, so that none was read before."""
    from plugins.http_client import HttpClient
    from plugins.llm.errors import ModelError, Trouble

    http, written = HttpClient(), 0
    replies: list[Reply] = []
    while written < tokens and len(replies) < ROUNDS:
        told(f"answer {len(replies) + 1}, {written} of {tokens} tokens")
        try:
            reply = await provider.generate(_asked(f"{len(replies) + 1}: {text}", tokens - written), _Nobody(), http)
        except ModelError as error:
            if error.trouble is Trouble.TOO_LONG and not is_own and len(text) > 40:
                text = text[: len(text) // 2]
                continue
            if error.trouble is Trouble.EMPTY and replies:
                break
            raise
        replies.append(reply)
        written += reply.usage.output
    return replies


def _asked(text: str, tokens: int) -> "Prompt":
    from plugins.llm.conversation import Message, Prompt, Role

    return Prompt(messages=(Message(role=Role.USER, content=text),), max_tokens=tokens, seed=1)


def _speed(spec: "ModelSpec", replies: "list[Reply]", load_seconds: float, grown: int, needed: int) -> Speed:
    read = sum(reply.usage.input - reply.usage.reused for reply in replies)
    reading = sum(reply.first_token for reply in replies)
    # The first token comes out of the prompt; the time after it is that of the others.
    written = sum(max(0, reply.usage.output - 1) for reply in replies)
    writing = sum(reply.seconds - reply.first_token for reply in replies)
    firsts = sorted(reply.first_token for reply in replies)
    return Speed(
        name=spec.name,
        load_seconds=load_seconds,
        memory_bytes=grown,
        memory_expected_bytes=needed,
        prompt_tokens=read,
        prompt_tokens_per_second=read / reading if reading > 0 else 0.0,
        answers=len(replies),
        answer_tokens=sum(reply.usage.output for reply in replies),
        answer_tokens_per_second=written / writing if writing > 0 else 0.0,
        first_token_seconds=firsts[len(firsts) // 2] if firsts else 0.0,
    )
