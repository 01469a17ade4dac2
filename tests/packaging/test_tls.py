"""Whom the executable trusts: the authorities that it brings along, or those of SSL_CERT_FILE.

Slow, and nothing to try without a build: $GANGLION_EXECUTABLE names the file (`make package-test`).
"""

import json
import os
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import trustme

FILE = os.environ.get("GANGLION_EXECUTABLE", "")
WORKFLOW = """
name: over-tls
nodes:
  ask: {{type: http, url: "https://localhost:{port}/"}}
outputs: {{answer: "{{{{ nodes.ask.body }}}}"}}
"""

pytestmark = pytest.mark.skipif(not FILE, reason="$GANGLION_EXECUTABLE names no executable")


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(b"here")

    def log_message(self, format: str, *args: object) -> None:
        pass


class Quiet(HTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that does not trust us hangs up."""


@contextmanager
def server(authority: trustme.CA) -> Iterator[int]:
    """An HTTPS server on localhost; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with Quiet(("localhost", 0), Answers) as listening:
        listening.socket = context.wrap_socket(listening.socket, server_side=True)
        thread = Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield listening.server_port
        listening.shutdown()
        thread.join()


def ask(folder: Path, port: int, **environ: str) -> subprocess.CompletedProcess[str]:
    workflow = folder / "over-tls.yaml"
    workflow.write_text(WORKFLOW.format(port=port))
    return subprocess.run(
        [FILE, "run", str(workflow), "--json"], capture_output=True, text=True, check=False, timeout=120,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder)} | environ,
    )  # fmt: skip


def test_an_authority_of_ones_own_is_trusted_when_it_is_named(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with server(authority) as port:
        said = ask(tmp_path, port, SSL_CERT_FILE=str(tmp_path / "ca.pem"))
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["outputs"] == {"answer": "here"}


def test_an_authority_that_nobody_named_is_not_trusted(tmp_path: Path) -> None:
    with server(trustme.CA()) as port:
        said = ask(tmp_path, port)
    assert said.returncode != 0
    assert "the certificate is not trusted" in said.stdout + said.stderr
