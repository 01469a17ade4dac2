"""A web server on this machine that does what servers do to large downloads."""

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

MODEL = Path(__file__).parents[4] / "examples/models/triage-tiny-q8_0.gguf"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One answer."""

    status: int = 200
    cut: int | None = None
    """The connection ends after so many bytes of the body."""
    hold: int | None = None
    """After so many bytes nothing more comes, until the client leaves or the test ends."""
    length: int | None = None
    """What Content-Length says; the body is whole nevertheless."""
    headers: dict[str, str] = {}
    body: bytes | None = None


class FileServer:
    """Serves `content` at every path; `plans` are its next answers, after that all goes well."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._scheme = "http" if tls is None else "https"
        self.content = MODEL.read_bytes()
        self.etag = '"one"'
        self.has_ranges = True
        self.is_chunked = False
        self.is_over = threading.Event()
        self.holds = threading.Event()
        """An answer has come as far as its `hold`."""
        self.plans: list[Plan] = []
        self.asked: list[dict[str, str]] = []
        """Headers of the requests so far, in lower case; `:path` is the path."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                """Silence."""

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                """Clients leave in the middle: that is what this is for."""

        self._http = Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._http.server_port}/some/Triage-Tiny.gguf"

    @property
    def ranges(self) -> list[str | None]:
        """What each request wanted."""
        return [headers.get("range") for headers in self.asked]

    def answer(self, to: BaseHTTPRequestHandler) -> None:
        headers = {name.lower(): value for name, value in to.headers.items()}
        self.asked.append({":path": to.path, **headers})
        plan = self.plans.pop(0) if self.plans else Plan()
        status, body, begin = plan.status, self.content if plan.body is None else plan.body, 0
        wanted = headers.get("range", "")
        if status == 200 and wanted and self.has_ranges and headers.get("if-range", self.etag) == self.etag:
            begin = int(wanted.removeprefix("bytes=").partition("-")[0])
            status = 206 if begin < len(body) else 416
        if status >= 300:
            body, begin = b"sorry", 0
        to.send_response(status)
        if status == 206:
            to.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        if self.etag:
            to.send_header("ETag", self.etag)
        for name, value in plan.headers.items():
            to.send_header(name, value)
        body = body[begin:]
        if self.is_chunked:
            to.send_header("Transfer-Encoding", "chunked")
        else:
            to.send_header("Content-Length", str(len(body) if plan.length is None else plan.length))
        to.end_headers()
        if plan.hold is not None:
            to.wfile.write(body[: plan.hold])
            self.holds.set()
            self.is_over.wait(30)
            return
        whole, body = body, body if plan.cut is None else body[: plan.cut]
        if self.is_chunked:
            to.wfile.write(b"%x\r\n%s" % (len(whole), body))
            if plan.cut is None:
                to.wfile.write(b"\r\n0\r\n\r\n")
        else:
            to.wfile.write(body if plan.length is None else body[: plan.length])
        to.close_connection = plan.cut is not None or plan.length is not None

    def close(self) -> None:
        self.is_over.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[FileServer]:
    server = FileServer()
    yield server
    server.close()
