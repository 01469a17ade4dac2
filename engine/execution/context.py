"""What a node's code may use: the contract's Context over the services of this agent."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager

import msgspec

from engine.contract import CannotStart, Child, State, StateRefused, Wake
from engine.events import Event, Kind
from engine.execution.recall import Recall, shared
from engine.execution.services import Parent, Services
from engine.execution.state import AttemptState
from engine.execution.writing import Writing
from engine.limits.account import Account, Limit, Reservation
from engine.ports import Http, Reply, Response, Streaming, Unreachable
from engine.secrets import SecretName, SecretText, UnknownSecret, reveal
from engine.store.cache import Keeping
from engine.store.executions import ExecutionRow
from engine.store.outbox import Publication
from engine.store.usage import Usage
from engine.values import Json, encode_json

MAX_PUBLICATIONS = 1000
"""Messages that one attempt may publish."""
MAX_CHILDREN = 100
"""Executions that one attempt may start."""
MAX_REMEMBERED = 100
"""Values that one attempt may look up or keep for all workflows."""


class NotAllowed(RuntimeError):
    """The node's code used what its declaration rules out; a bug of the node type."""


class AttemptContext:
    """One attempt's view of the world; see `engine.contract.Context`."""

    __slots__ = (
        "_flush", "_parent", "_reservations", "_row", "_services", "_state", "_stop", "_writing", "account", "attempt",
        "children", "deadline", "execution", "path", "publications", "pure", "recall", "remembering", "revealed",
        "used", "version", "wake", "when_room", "workflow",
    )  # fmt: skip

    def __init__(
        self,
        services: Services,
        row: ExecutionRow,
        *,
        path: str,
        attempt: int,
        pure: bool,
        wake: Wake | None,
        stop: "Stop",
        parent: Callable[[ExecutionRow, str], Parent] | None = None,
        flush: Callable[[], object] = lambda: None,
    ) -> None:
        """`parent` gives the attempt's execution as the parent of a child; `flush` hands over what the attempt is built
        from."""
        self._flush = flush
        self._services = services
        self._parent = parent
        self._row = row
        self._stop = stop
        self.revealed: dict[str, str] = {}
        """Secrets that this attempt has seen, and their masks."""
        self.execution = row.id
        self.workflow = row.workflow
        self.version = row.version
        self.path = path
        self.attempt = attempt
        self.pure = pure
        self.wake = wake
        self.deadline: float | None = None
        self.publications: list[Publication] = []
        self._state: AttemptState | None = None
        self.recall: Recall | None = None
        """What the cache has to do with it."""
        self.remembering: list[Keeping] = []
        """What the result's checkpoint does to values that all workflows share."""
        self._writing: Writing | None = None
        self.children: list[ExecutionRow] = []
        """Executions that are to be created with the result."""
        self.account: Account | None = None
        """Who pays for what it uses; None where nothing is limited."""
        self.when_room: Callable[[Callable[[], None]], None] | None = None
        """Calls back when tokens that others hold are free again."""
        self.used: Usage | None = None
        """What it has used so far; None for nothing."""
        self._reservations: list[Reservation] = []

    @property
    def idempotency_key(self) -> str:
        return idempotency_key(self._row.root, self.path)

    @property
    def cancelled(self) -> bool:
        return self._stop.requested

    @property
    def now(self) -> int:
        return self._services.clock.now()

    def seconds_left(self) -> float | None:
        if self.deadline is None:
            return None
        return max(0.0, self.deadline - self._services.clock.monotonic())

    @property
    def http(self) -> Http:
        self._refuse_pure("http")
        if self._services.http is None:
            raise Unreachable("this process has no HTTP client")
        return _CountedHttp(self._services.http, self)

    async def request(self, subject: str, body: bytes, *, headers: Mapping[str, str], timeout: float) -> Reply:
        self._refuse_pure("request")
        if self._services.requester is None:
            raise Unreachable("no NATS connection: start an agent with `ganglion up`, or give --url")
        self.count_call()
        return await self._services.requester.request(subject, body, headers=headers, timeout=timeout)

    async def reserve_tokens(self, tokens: int) -> Reservation:
        self._refuse_pure("reserve_tokens")
        reservation = Reservation(None, tokens)
        if self.account is not None and self.when_room is not None:
            while True:
                # Who holds a promise must not wait for others: they may wait for him.
                holds = any(reservation.tokens is not None for reservation in self._reservations)
                found = self.account.reserve(tokens, may_wait=not holds)
                if found is not None:
                    reservation = found
                    break
                room = asyncio.Event()
                self.when_room(room.set)
                await room.wait()
        reservation.settled = self._count_tokens
        self._reservations.append(reservation)
        return reservation

    def count_call(self) -> None:
        """One more API call. Raises LimitReached."""
        if self.account is not None:
            self.account.take(Limit.API_CALLS)
        self.used = self.used or Usage()
        self.used.api_calls += 1

    @property
    def spent(self) -> bool:
        """It has used something, or promised to, or written."""
        return self.used is not None or bool(self._reservations) or self._writing is not None

    def close(self) -> None:
        """The attempt ended: what was promised and not settled counts in full, what was written is told."""
        if self._writing is not None:
            self._writing.end()
        for reservation in self._reservations:
            if reservation.tokens is not None:
                reservation.settle(reservation.tokens)
        self._reservations.clear()

    def _count_tokens(self, tokens: int) -> None:
        self.used = self.used or Usage()
        self.used.llm_tokens += tokens

    def publish(self, subject: str, body: bytes, *, headers: Mapping[str, str] | None = None) -> None:
        self._refuse_pure("publish")
        if len(self.publications) >= MAX_PUBLICATIONS:
            raise NotAllowed(f"more than {MAX_PUBLICATIONS} messages published by one attempt")
        kept = {str(name): str(value) for name, value in (headers or {}).items()}
        for text in (subject, *kept, *kept.values()):
            text.encode()  # raises here, where it is this node's bug, and not in the commit
        self.publications.append(
            Publication(execution=self.execution, path=self.path, subject=subject, headers=kept, body=bytes(body))
        )

    @property
    def state(self) -> State:
        self._refuse_pure("state")
        if self._state is None:
            if self._services.states is None:
                raise StateRefused("this process keeps no state")
            self._state = self._services.states.of(
                self.execution, self.workflow, self.path, masked=self.masked, flush=self._flush
            )
        return self._state

    @property
    def changed_state(self) -> bool:
        """It changed a value, or got what was given when it was."""
        return self._state is not None and self._state.changes > 0

    async def start(self, child: Child) -> str:
        self._refuse_pure("start")
        if self._services.starter is None or self._parent is None:
            raise CannotStart("this process starts no other workflows")
        if len(self.children) >= MAX_CHILDREN:
            raise NotAllowed(f"more than {MAX_CHILDREN} executions started by one attempt")
        row = await self._services.starter.of(self._parent(self._row, self.path), child)
        self.children.append(row)
        return row.id

    def waiting(self, reason: str) -> AbstractContextManager[None]:
        return self._services.waits.waiting(self.execution, self.path, self.scrub(reason))

    async def remembered(self, scope: str, key: bytes) -> Json | msgspec.UnsetType:
        self._refuse_pure("remembered")
        if self._services.cache is None:
            return msgspec.UNSET
        found = await self._services.cache.find(shared(scope), key)
        if found is None:
            return msgspec.UNSET
        self.remembering.append(Keeping(workflow=shared(scope), key=key, at=self.now, hit=None))
        return msgspec.json.decode(found.output)

    def remember(self, scope: str, key: bytes, value: Json, *, ttl: float) -> None:
        self._refuse_pure("remember")
        if len(self.remembering) >= MAX_REMEMBERED:
            raise NotAllowed(f"more than {MAX_REMEMBERED} values remembered by one attempt")
        kept = Recall(key, ttl, None).keeping(shared(scope), encode_json(self.masked(value)), None, self.now)
        if kept is not None:
            self.remembering.append(kept)

    def stream(self, text: str) -> None:
        if self._services.bus.live_wanted:
            if self._writing is None:
                self._writing = Writing(self._services.clock, lambda: self.revealed, self._tell)
            self._writing.add(text)

    def _tell(self, text: str) -> None:
        self._services.bus.emit([self._event(Kind.LLM_TOKEN, {"text": text})])

    def secret(self, text: str) -> str:
        if not isinstance(text, SecretText):
            return text
        self._refuse_pure("secret")
        if self._services.secrets is None:
            raise UnknownSecret(text)
        for part in text.parts:
            if isinstance(part, SecretName) and (value := self._services.secrets.reveal(part)):
                self.revealed[value] = f"[secret {part}]"
        # The longest first: one secret may be a part of another.
        self.revealed = dict(sorted(self.revealed.items(), key=lambda item: -len(item[0])))
        return reveal(text, self._services.secrets)

    def log(self, message: str, *, level: str = "info", **fields: Json) -> None:
        self._services.log(
            level, self.scrub(message), {"execution": self.execution, "node": self.path, **self.masked(fields)}
        )

    def emit(self, progress: float | None = None, message: str = "", **data: Json) -> None:
        if self._services.bus.live_wanted:
            said = {"progress": progress, "message": self.scrub(message), **self.masked(data)}
            self._services.bus.emit([self._event(Kind.PROGRESS_UPDATE, said)])

    def _event(self, kind: Kind, data: dict[str, Json]) -> Event:
        return Event(
            kind=kind, time=self.now, workflow=self.workflow, version=self.version, execution=self.execution,
            node=self.path, data=data,
        )  # fmt: skip

    def scrub(self, text: str) -> str:
        """A text with every secret that this attempt revealed replaced by its mask."""
        for value, mask in self.revealed.items():
            text = text.replace(value, mask)
        return text

    def masked(self, value: Json) -> Json:
        """The same for every text inside a value; markers of secrets become plain text."""
        if isinstance(value, str):
            return self.scrub(str(value))
        if isinstance(value, dict):
            return {self.scrub(key): self.masked(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.masked(item) for item in value]
        return value

    def mask_publications(self) -> None:
        """What was published is stored too."""
        for publication in self.publications if self.revealed else ():
            publication.subject = self.scrub(publication.subject)
            publication.headers = {name: self.scrub(value) for name, value in publication.headers.items()}
            for value, mask in self.revealed.items():
                publication.body = publication.body.replace(value.encode(), mask.encode())

    def _refuse_pure(self, what: str) -> None:
        if self.pure:
            raise NotAllowed(f"a pure node has no {what}: its result must depend on its inputs alone")


class _CountedHttp:
    """The HTTP client of one attempt: it counts."""

    __slots__ = ("_ctx", "_http")

    def __init__(self, http: Http, ctx: AttemptContext) -> None:
        self._http = http
        self._ctx = ctx

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout: float,
        max_bytes: int, follow_redirects: bool, verify: bool,
    ) -> Response:  # fmt: skip
        self._ctx.count_call()
        return await self._http.send(
            method, url, headers=headers, body=body, timeout=timeout, max_bytes=max_bytes,
            follow_redirects=follow_redirects, verify=verify,
        )  # fmt: skip

    def stream(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout: float, max_bytes: int,
        verify: bool,
    ) -> AbstractAsyncContextManager[Streaming]:  # fmt: skip
        self._ctx.count_call()
        return self._http.stream(
            method, url, headers=headers, body=body, timeout=timeout, max_bytes=max_bytes, verify=verify
        )


class Stop:
    """Asked of all attempts of an execution at once: come to an end."""

    __slots__ = ("requested",)

    def __init__(self) -> None:
        self.requested = False


def idempotency_key(root: str, path: str) -> str:
    """128 bits of SHA-256 over (root execution, path), hex: the same on retry and after a crash."""
    return hashlib.sha256(f"{root}/{path}".encode()).hexdigest()[:32]
