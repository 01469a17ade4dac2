"""Waiting for native code that loads or unloads a model, but not for ever."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from engine.uninterrupted import uninterrupted
from plugins.llm.asking import Asker
from plugins.llm.errors import ModelError, Trouble
from plugins.llm.provider import Provider
from plugins.llm.service.liveness import PATIENCE_SECONDS
from plugins.llm.service.resident import Resident
from plugins.llm.spec import ModelSpec

__all__ = ["closed", "ended", "in_time", "let_go"]

LOAD_SECONDS = 600.0
"""A load that takes longer hangs: ten gigabytes from a slow card take five minutes."""
STOP_SECONDS = 0.2
"""How often those who wait for a load are asked whether they still want to."""
_log = logging.getLogger("ganglion.models")


async def in_time(loading: Coroutine[Any, Any, Provider], spec: ModelSpec) -> Provider:
    """Raises ModelError (failed: it hangs)."""
    task = asyncio.create_task(loading, name=f"loading of {spec.name}")
    try:
        await asyncio.wait({task}, timeout=LOAD_SECONDS)
        if not task.done():
            await let_go(task, patience=0)
    except asyncio.CancelledError:
        await uninterrupted(let_go(task, patience=0))
        if task.done() and not task.cancelled() and task.exception() is None:
            await uninterrupted(task.result().aclose())
        raise
    if task.done() and not task.cancelled():
        return task.result()
    raise ModelError(
        Trouble.FAILED,
        f"model {spec.name}: it was not loaded within {LOAD_SECONDS:g} s; is {spec.file} on a disk that answers?",
    )


async def closed(resident: Resident) -> None:
    """Give its memory back, unless native code hangs."""
    task = asyncio.create_task(resident.provider.aclose(), name=f"unloading of {resident.spec.name}")
    await let_go(task)
    if not task.done() or task.cancelled():
        _log.error("model %s can't be unloaded: its native code hangs", resident.spec.name)
    else:
        task.result()


async def let_go(task: "asyncio.Task[Any]", *, patience: float | None = None) -> None:
    """Wait for the end of a task, but not for ever. Cancelled twice, it lets go of a thread that hangs."""
    patience = PATIENCE_SECONDS if patience is None else patience
    for seconds in (patience, PATIENCE_SECONDS, STOP_SECONDS):
        await asyncio.wait({task}, timeout=seconds)
        if task.done():
            return
        task.cancel()


async def ended(load: "asyncio.Task[None]", spec: ModelSpec, asker: Asker) -> None:
    """Raises ModelError (stopped)."""
    while not load.done():
        if asker.stopped:
            raise ModelError(Trouble.STOPPED, f"model {spec.name}: cancelled while it was loaded")
        await asyncio.wait({load}, timeout=STOP_SECONDS)
