"""One attempt of a node as the asker of a model."""

from contextlib import AbstractContextManager

from engine.contract import Context
from engine.ports import Http

__all__ = ["AttemptAsker"]


class AttemptAsker:
    """See `plugins.llm.asking.Asker`: what a service of models may know and tell of an attempt."""

    __slots__ = ("_ctx", "_stall")

    def __init__(self, ctx: Context, stall: float | None = None) -> None:
        self._ctx = ctx
        self._stall = stall

    @property
    def execution(self) -> str:
        return self._ctx.execution

    @property
    def http(self) -> Http:
        return self._ctx.http

    @property
    def stall(self) -> float | None:
        return self._stall

    @property
    def stopped(self) -> bool:
        return self._ctx.cancelled

    def waiting(self, reason: str) -> AbstractContextManager[None]:
        return self._ctx.waiting(reason)

    def heard(self, text: str) -> None:
        if text:
            self._ctx.stream(text)

    def restart(self) -> None:
        self._ctx.stream("")
