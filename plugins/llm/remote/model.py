"""A model behind HTTP: the provider's contract over a dialect."""

from engine.clock import Clock
from engine.ports import Http
from engine.values import Json, encode_json
from plugins.llm.conversation import Finish, Prompt, Reply
from plugins.llm.errors import ModelError
from plugins.llm.guess import guessed_tokens
from plugins.llm.protocol import read_reply, without_tools
from plugins.llm.provider import Listener
from plugins.llm.remote.answers import Refusal
from plugins.llm.remote.concessions import Asking, Way, learned_of
from plugins.llm.remote.dialect import Dialect
from plugins.llm.remote.draft import Draft
from plugins.llm.remote.exchange import Request, exchange
from plugins.llm.remote.history import taken
from plugins.llm.remote.schemas import is_json, unfenced
from plugins.llm.spec import ModelSpec

__all__ = ["RemoteModel"]

SHORTEST_SHOWN = 8
"""Of a key that a server quotes a part of: so many of its first characters are hidden."""


class RemoteModel:
    """See `plugins.llm.provider.Provider`. Holds a key and no connection: those are the caller's."""

    def __init__(self, spec: ModelSpec, key: str, dialect: Dialect, clock: Clock) -> None:
        self._spec = spec
        self._key = key
        self._dialect = dialect
        self._clock = clock
        self._learned = learned_of(spec)

    @property
    def has_tools(self) -> bool:
        return "tools" not in self._learned.without

    def count(self, prompt: Prompt) -> int:
        return guessed_tokens(prompt)

    async def generate(self, prompt: Prompt, listener: Listener, http: Http) -> Reply:
        try:
            return await self._ask(prompt, listener, http, self._clock.monotonic())
        except ModelError as error:
            message = f"model {self._spec.name}: {self._without_key(str(error))}"
            raise ModelError(error.trouble, message, after=error.after) from None

    async def aclose(self) -> None:
        """There is nothing to give back."""

    async def _ask(self, prompt: Prompt, listener: Listener, http: Http, began: float) -> Reply:
        """Until the server takes the request as it is, or says no for a reason that nothing can be left out for."""
        while True:
            if prompt.tools and not self.has_tools:
                told = without_tools(prompt)
                return read_reply(await self._ask(told, listener, http, began), prompt, told)
            asking = self._learned.asking(prompt.schema)
            body = self._dialect.body(taken(prompt), self._spec.model or self._spec.name, asking)
            draft = Draft(prompt, listener, self._clock, began=began, quiet=asking.way is Way.TOLD)
            try:
                reader = self._dialect.reader(draft, prompt, asking)
                await exchange(http, self._request(body), reader, listener, self._spec, self._clock)
            except Refusal as refusal:
                sent = {field: name for field, name in self._dialect.optional.items() if field in body}
                # What was heard can't be taken back here: that is the caller's.
                if draft.text or not self._learned.from_refusal(
                    refusal, asking, prompt.schema, sent, self._dialect.schema_fields
                ):
                    raise
            else:
                return self._reply(draft, prompt, asking)

    def _request(self, body: dict[str, Json]) -> Request:
        headers = {"Content-Type": "application/json", **self._dialect.headers(self._key)}
        return Request(self._dialect.address(self._spec.url), headers, encode_json(body))

    def _reply(self, draft: Draft, prompt: Prompt, asking: Asking) -> Reply:
        if asking.way is Way.TOLD:
            draft.replace(unfenced(draft.text))
        reply = draft.reply()
        if prompt.schema is not None and reply.finish is Finish.STOP and not is_json(reply.text):
            # A server that reads over what it does not know: the caller refuses the answer, and asks another way.
            self._learned.next_way(asking, prompt.schema)
        return reply

    def _without_key(self, text: str) -> str:
        """A server may quote the key that it got, or the beginning of it."""
        for size in range(len(self._key), min(SHORTEST_SHOWN, len(self._key)) - 1, -1) if self._key else ():
            text = text.replace(self._key[:size], f"[secret {self._spec.key}]")
        return text
