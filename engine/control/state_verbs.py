"""Look at what workflows keep, and change it."""

import msgspec

from engine.clock import format_time
from engine.contract import StateRefused
from engine.control.messages import Done, SetState, StateEntries, StateEntry, StateKey, StateKeys
from engine.control.verb import Refused, Verb
from engine.engine import Engine
from engine.store import StoreFull
from engine.store.state import Change, Entry, Operation

SHOWN_BYTES = 1024
"""A longer value is left out of a list: an answer fits into a message."""
MAX_LISTED = 500


def state_verbs(engine: Engine) -> tuple[Verb, ...]:
    states = engine.states

    async def keys(request: StateKeys) -> StateEntries:
        limit = max(1, min(request.limit, MAX_LISTED))
        try:
            found = await states.listing(request.workflow, after=request.after, limit=limit + 1)
        except StateRefused as refusal:
            raise Refused(409, str(refusal)) from None
        if not found and not request.after and request.workflow not in engine.catalogue.active:
            raise Refused(
                404, f"{request.workflow} keeps nothing and is not deployed; `ganglion workflows` lists what is"
            )
        entries = [_info(entry, whole=False) for entry in found[:limit]]
        return StateEntries(workflow=request.workflow, entries=entries, more=len(found) > limit)

    async def one(request: StateKey) -> StateEntry:
        try:
            entry = await states.get(request.workflow, request.key)
        except StateRefused as refusal:
            raise Refused(409, str(refusal)) from None
        if entry is None:
            raise _unknown(request)
        return _info(entry)

    async def set_(request: SetState) -> Done:
        await change(request.workflow, Operation(change=Change.SET, key=request.key, value=request.value))
        return Done(message=f"{request.key} of {request.workflow} is set")

    async def drop(request: StateKey) -> Done:
        if not await change(request.workflow, Operation(change=Change.DELETE, key=request.key)):
            raise _unknown(request)
        return Done(message=f"{request.key} of {request.workflow} is deleted")

    async def change(workflow: str, operation: Operation) -> object:
        try:
            return await states.change(workflow, operation, patient=False)
        except StateRefused as refusal:
            raise Refused(400, str(refusal)) from None
        except StoreFull as error:
            raise Refused(503, str(error)) from None

    return (
        Verb(name="state", description="What a workflow keeps, by key.", request=StateKeys, answer=StateEntries,
             handle=keys),
        Verb(name="statekey", description="One key of a workflow, with its whole value.", request=StateKey,
             answer=StateEntry, handle=one),
        Verb(name="setstate", description="Set a key of a workflow.", request=SetState, answer=Done, handle=set_),
        Verb(name="dropstate", description="Delete a key of a workflow.", request=StateKey, answer=Done, handle=drop),
    )  # fmt: skip


def _unknown(request: StateKey) -> Refused:
    return Refused(
        404, f"{request.workflow} keeps no {request.key[:64]}; `ganglion state {request.workflow}` lists its keys"
    )


def _info(entry: Entry, *, whole: bool = True) -> StateEntry:
    return StateEntry(
        key=entry.key,
        value=entry.value if whole or entry.size <= SHOWN_BYTES else msgspec.UNSET,
        size=entry.size,
        revision=entry.revision,
        changed_at=format_time(entry.changed_at),
    )
