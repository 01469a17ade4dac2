"""Answers that are used again: the same question to the same models, within the hour.

everything that decides an answer ──> key ──> an answer that some execution on this agent was given
                                          └─> none: the model is asked, its answer kept with the checkpoint
"""

import hashlib
from typing import Final

import msgspec

from engine.contract import Context
from plugins.llm.asking import Answer
from plugins.llm.conversation import Prompt, Reply
from plugins.llm.protocol import VERSION

__all__ = ["keep", "key", "recall"]

_SCOPE: Final = "llm"
_SECONDS: Final = 3600.0


class _Kept(msgspec.Struct, frozen=True):
    model: str
    reply: Reply


def key(identity: str, prompt: Prompt) -> bytes:
    """A hash, so that nothing of the prompt stands in the store. `identity` tells the models from others."""
    return hashlib.sha256(_encoder.encode((VERSION, identity, prompt))).digest()


async def recall(ctx: Context, key: bytes) -> Answer | None:
    """The answer that is kept under a key."""
    found = await ctx.remembered(_SCOPE, key)
    if found is msgspec.UNSET:
        return None
    try:
        kept = msgspec.convert(found, _Kept)
    except msgspec.ValidationError:  # kept by another version
        return None
    return Answer(reply=kept.reply, model=kept.model)


def keep(ctx: Context, key: bytes, answer: Answer) -> None:
    """With the attempt's checkpoint. Not what a later model of the chain said: the next time the first may answer."""
    if not answer.passed_over:
        ctx.remember(_SCOPE, key, msgspec.to_builtins(_Kept(answer.model, answer.reply)), ttl=_SECONDS)


_encoder = msgspec.json.Encoder()
