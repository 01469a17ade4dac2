"""Results of earlier runs that nodes with a `cache` use again."""

import msgspec

from engine.store import Store, cache
from engine.store.cache import MAX_BYTES, Hit, Keeping


class Recall(msgspec.Struct, frozen=True):
    """What the cache has to do with one run of a node."""

    key: bytes
    ttl: float
    """Seconds."""
    hit: Hit | None
    """What was found."""

    def keeping(self, workflow: str, body: bytes, port: str | None, now: int) -> Keeping | None:
        """What the node's checkpoint does to the cache."""
        if self.hit is not None:
            return Keeping(workflow=workflow, key=self.key, at=now, hit=None)
        if len(body) > MAX_BYTES:
            return None
        expires_at = now + round(self.ttl * 1_000_000)
        return Keeping(workflow=workflow, key=self.key, at=now, hit=Hit(body, port), expires_at=expires_at)


def shared(scope: str) -> str:
    """What stands in a workflow's place for values that all workflows share; no workflow has such a name."""
    return f"*{scope}"


class Cache:
    """The caches of all workflows of this agent, and what they share."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, workflow: str, key: bytes) -> Hit | None:
        """What is kept under a key, while it is fresh."""
        now = self._store.clock.now()
        return await self._store.read(lambda db: cache.find(db, workflow, key, now))
