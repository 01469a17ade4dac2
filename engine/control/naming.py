"""Which execution a person means: people type the beginnings of ids."""

from engine.control.verb import Refused
from engine.store import Store, executions


async def full_id(store: Store, prefix: str) -> str:
    """The whole id, or the one that begins like this. Raises Refused when there is none, or are several."""
    prefix = prefix.strip().lower()
    found = await store.read(lambda db: executions.find(db, prefix)) if prefix else []
    if prefix in found or len(found) == 1:
        return prefix if prefix in found else found[0]
    if not found:
        raise Refused(404, f"no execution {prefix}; `ganglion ps --all` lists them")
    raise Refused(409, f"{prefix} is the beginning of several: {', '.join(found[:5])}")
