"""An asker's HTTP client, taken when it is used: a local model needs none, and an agent may have none to give."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from engine.ports import Response, Streaming
from plugins.llm.asking import Asker

__all__ = ["AskersHttp"]


class AskersHttp:
    """Implements `engine.ports.Http`."""

    def __init__(self, asker: Asker) -> None:
        self._asker = asker

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout: float,
        max_bytes: int, follow_redirects: bool, verify: bool,
    ) -> Response:  # fmt: skip
        return await self._asker.http.send(
            method, url, headers=headers, body=body, timeout=timeout, max_bytes=max_bytes,
            follow_redirects=follow_redirects, verify=verify,
        )  # fmt: skip

    def stream(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, timeout: float, max_bytes: int,
        verify: bool,
    ) -> AbstractAsyncContextManager[Streaming]:  # fmt: skip
        return self._asker.http.stream(
            method, url, headers=headers, body=body, timeout=timeout, max_bytes=max_bytes, verify=verify
        )
