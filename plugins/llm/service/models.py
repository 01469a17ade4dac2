"""The service that finds, loads and unloads models, gives turns, and falls back."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from engine.clock import Clock, SystemClock
from engine.resources.room import Room, memory_room
from plugins.llm.asking import Answer, Asker
from plugins.llm.conversation import Prompt, Reply
from plugins.llm.errors import ModelError
from plugins.llm.guess import guessed_tokens
from plugins.llm.protocol import read_reply, without_tools
from plugins.llm.provider import Provider
from plugins.llm.service.askers_http import AskersHttp
from plugins.llm.service.catalogue import Catalogue
from plugins.llm.service.chain import none_could
from plugins.llm.service.checksums import Checksums
from plugins.llm.service.liveness import Hearing, attended
from plugins.llm.service.quarantine import Quarantine, identity_of
from plugins.llm.service.residency import Residency
from plugins.llm.service.resident import stuck_text
from plugins.llm.service.state import ModelState
from plugins.llm.service.turns import Turns
from plugins.llm.spec import ModelSpec, Source

__all__ = ["ModelState", "Models"]


class _Tally:
    """What a model has done since the start."""

    def __init__(self) -> None:
        self.generations = 0
        self.output_tokens = 0


class Models:
    """All models of an agent. `specs` are the configuration's; those in `folder` (written by `ganglion models add`)
    are read again when they change, so that a new one needs no restart. Nothing is loaded before it is asked for."""

    def __init__(
        self,
        specs: Iterable[ModelSpec] = (),
        *,
        folder: Path | None = None,
        secret: Callable[[str], str | None] = lambda name: None,
        clock: Clock | None = None,
        room: Callable[[], Room] = memory_room,
    ) -> None:
        """`secret` gives the value of a secret by name; `room` tells how much memory there is."""
        self.followers: list[Callable[[], None]] = []
        """Are told of each load and unload."""
        self._clock = clock or SystemClock()
        self._secret = secret
        self._catalogue = Catalogue(specs, folder, self._clock)
        self._checksums = Checksums(folder)
        self.quarantine = Quarantine(folder, self._clock)
        self._residency = Residency(
            checksums=self._checksums, quarantine=self.quarantine, clock=self._clock, room=room, changed=self._changed
        )
        self._turns: dict[str, Turns] = {}
        self._tallies: dict[str, _Tally] = {}

    def _changed(self) -> None:
        for follower in self.followers:
            follower()

    async def generate(self, names: Sequence[str], prompt: Prompt, asker: Asker) -> Answer:
        """The first of these models that can. Raises the last ModelError; with several names, its message tells all."""
        passed: list[tuple[str, ModelError]] = []
        was_heard = False
        for name in names:
            if was_heard:
                asker.restart()
            begun = self._clock.monotonic()
            hearing = Hearing(asker, self._clock)
            try:
                reply, began = await self._ask(self._catalogue.get(name), prompt, asker, hearing)
            except ModelError as error:
                passed.append((name, error))
                if not error.elsewhere:
                    break
                was_heard = hearing.has_text
            else:
                return Answer(reply=reply, model=name, passed_over=tuple(passed), waited=began - begun)
        raise none_could(passed)

    async def _ask(self, spec: ModelSpec, prompt: Prompt, asker: Asker, hearing: Hearing) -> tuple[Reply, float]:
        """One model's reply, and when its turn began."""
        async with self._turns_of(spec).turn(asker), self._provider(spec, asker) as provider:
            began = hearing.last = self._clock.monotonic()
            told = without_tools(prompt) if prompt.tools and not provider.has_tools else prompt
            reply = await attended(
                provider.generate(told, hearing, AskersHttp(asker)),
                hearing,
                model=spec.name,
                stall=spec.stall if asker.stall is None else asker.stall,
                stuck=lambda: self._stuck(spec.name),
            )
            tally = self._tallies.setdefault(spec.name, _Tally())
            tally.generations += 1
            tally.output_tokens += reply.usage.output
            try:
                return read_reply(reply, prompt, told), began
            except ModelError as error:
                error.used = reply.usage.input + reply.usage.output
                raise

    @asynccontextmanager
    async def _provider(self, spec: ModelSpec, asker: Asker) -> AsyncIterator[Provider]:
        """Ready to be asked: in memory, or known by its address."""
        if spec.provider is Source.LOCAL:
            async with self._residency.lent(spec, asker) as resident:
                yield resident.provider
            return
        provider = self._remote(spec if asker.stall is None else msgspec.structs.replace(spec, stall=asker.stall))
        try:
            yield provider
        finally:
            await provider.aclose()

    def _remote(self, spec: ModelSpec) -> Provider:
        """Made for each question: it holds nothing but the key, which may have changed."""
        from plugins.llm.remote.provider import remote

        return remote(spec, self._secret)

    def _turns_of(self, spec: ModelSpec) -> Turns:
        places = 1 if spec.provider is Source.LOCAL else spec.concurrency
        turns = self._turns.get(spec.name)
        if turns is None:
            turns = self._turns[spec.name] = Turns(spec.name, places=places, queue=spec.queue)
        turns.places, turns.queue = places, spec.queue
        return turns

    def _stuck(self, name: str) -> None:
        resident = self._residency.get(name)
        if resident is not None:
            resident.is_stuck = True

    async def count(self, names: Sequence[str], prompt: Prompt) -> int:
        """Tokens that the prompt takes at most with any of them that can be asked; nothing is loaded for it."""
        return max((self._count(name, prompt) for name in names), default=0)

    def _count(self, name: str, prompt: Prompt) -> int:
        try:
            spec = self._catalogue.get(name)
            if spec.provider is not Source.LOCAL:
                return self._remote(spec).count(prompt)
        except ModelError:
            return 0  # it will be passed over
        told = without_tools(prompt) if prompt.tools else prompt
        resident = self._residency.get(spec.name)
        if resident is None:  # of a schema it makes a grammar, which costs no token
            return guessed_tokens(msgspec.structs.replace(told, schema=None))
        return resident.provider.count(told)

    def identity(self, names: Sequence[str]) -> str:
        """What tells these models from others, for keys of a cache: names, files' checksums or urls."""
        return "\n".join(self._identity(name) for name in names)

    def _identity(self, name: str) -> str:
        try:
            return _identity(self._catalogue.get(name))
        except ModelError:
            return name

    def states(self) -> tuple[ModelState, ...]:
        """Every model, in the order of their names."""
        return tuple(self._state(name) for name in self._catalogue.names())

    def _state(self, name: str) -> ModelState:
        tally, turns = self._tallies.get(name, _Tally()), self._turns.get(name)
        if problem := self._catalogue.problem(name):
            return ModelState(name=name, provider=Source.LOCAL.value, state="damaged", problem=problem)
        spec = self._catalogue.get(name)
        state, size = "idle", 0
        resident = self._residency.get(name)
        if spec.provider is not Source.LOCAL:
            state = "remote"
        elif resident is not None:
            state, size = ("stuck" if resident.is_stuck else "resident"), resident.size
            problem = stuck_text(name) if resident.is_stuck else ""
        elif self._residency.is_loading(name):
            state = "loading"
        elif problem := self.quarantine.problem(spec):
            state = "quarantined"
        elif not Path(spec.file).is_file():
            problem = f"there is no file {spec.file}"
        return ModelState(
            name=name, provider=spec.provider.value, state=state, memory_bytes=size,
            waiting=turns.waiting if turns else 0, running=turns.running if turns else 0,
            generations=tally.generations, output_tokens=tally.output_tokens, problem=problem,
        )  # fmt: skip

    @property
    def resident(self) -> tuple[str, ...]:
        """Names of the local models that are in memory."""
        return self._residency.names

    async def run(self) -> None:
        """Unload what nobody asks for any more, and what the machine has no room for, until cancelled."""
        await self._residency.run(lambda name: name in self._turns and self._turns[name].waiting > 0)

    async def aclose(self) -> None:
        """Unload everything."""
        await self._checksums.aclose()
        await self._residency.aclose()


def _identity(spec: ModelSpec) -> str:
    what = identity_of(spec) if spec.provider is Source.LOCAL else f"{spec.url} {spec.model}"
    return f"{spec.name} {spec.provider} {what} {spec.context} {spec.chat_format}"
