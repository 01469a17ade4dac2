"""The leaf remote: how the embedded server gets into the hub, as its configuration file says it.

What it is to read are copies of ours, named by their content. So the server never sees a file that is half written, and
a reload tells it that something has changed: it ends the old link and makes a new one (nats-server 2.15 does; older
ones refuse the reload, and are started again).
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

import msgspec

from mesh.credentials import Credentials, Tls, creds_text, read_file
from mesh.server.quoting import quoted

START = "uplink-"
"""What the names of our copies begin with."""


class Remote(msgspec.Struct, frozen=True, kw_only=True):
    """Made by `read_remote`; it holds what is secret."""

    text: str
    """Lines of the configuration."""
    files: Mapping[Path, bytes]
    """To be written, readable by us alone, before the server reads the text."""
    expires: float | None = None
    """Until when the hub lets it in; seconds since 1970."""

    def __repr__(self) -> str:
        return "Remote(…)"


def read_remote(url: str, credentials: Credentials, tls: Tls | None, directory: Path, *, reconnect: str) -> Remote:
    """Read the files of credentials and TLS; copies of them are to be in `directory`. Raises InvalidAccess."""
    files: dict[Path, bytes] = {}

    def copied(content: bytes) -> str:
        path = directory / f"{START}{hashlib.sha256(content).hexdigest()[:16]}.pem"
        files[path] = content
        return str(path)

    login, parts = credentials.login(), urlsplit(url)
    start, _, address = parts.netloc.rpartition("@")
    if login.user:
        start = f"{quote(login.user, safe='')}:{quote(login.password, safe='')}"
    elif login.token:
        start = quote(login.token, safe="")
    remote: dict[str, object] = {
        "url": f"{parts.scheme}://{start}{'@' if start else ''}{address}",
        "account": "UPLINK",
    }
    if login.jwt:
        remote["credentials"] = copied(creds_text(login.jwt, login.seed).encode())
    elif login.seed:
        remote["nkey"] = login.seed
    if tls is not None:
        tls.context()
        named = {"ca_file": tls.ca, "cert_file": tls.cert, "key_file": tls.key}
        remote["tls"] = {key: copied(read_file(path)) for key, path in named.items() if path} | (
            {"handshake_first": True} if tls.handshake_first else {}
        )
    text = f'leafnodes {{ reconnect: "{reconnect}", remotes: {quoted([remote])} }}'
    return Remote(text=text, files=files, expires=login.expires)
