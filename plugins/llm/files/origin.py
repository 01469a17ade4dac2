"""Where a model's file comes from, as a person names it."""

import ipaddress
import re
from pathlib import PurePath
from urllib.parse import unquote, urlsplit

import msgspec

from plugins.llm.files.errors import FileTrouble

__all__ = ["Link", "is_url", "model_name", "read_link", "read_sha256"]

_ENDINGS = re.compile(r"(\.gguf)?(\.bin)?$")
_ODD = re.compile(r"[^a-z0-9._-]+")


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A URL to download from."""

    url: str
    """As it is asked for: with the user's name and password, if it has them."""
    shown: str
    """Without what may be a credential: user, password, query."""
    name: str
    """The last part of its path."""
    sha256: str = ""
    """What `#sha256=…` at its end promises."""


def is_url(text: str) -> bool:
    return "://" in text


def read_link(text: str) -> Link:
    """Raises FileTrouble unless it is the http(s) URL of a file."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise FileTrouble("the URL is not valid: expected https://host/path/model.gguf", is_wrong=True) from None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise FileTrouble(
            f"{parts.scheme}://…: models come from https:// URLs and from files of this machine", is_wrong=True
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    fragment = parts.fragment.partition("=")
    promised = read_sha256(fragment[2], "#sha256=") if fragment[0] == "sha256" else ""
    return Link(
        url=parts._replace(fragment="").geturl(),
        shown=f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path}",
        name=unquote(PurePath(parts.path).name),
        sha256=promised,
    )


def is_loopback(host: str) -> bool:
    """The host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_sha256(text: str, where: str) -> str:
    """64 hex digits in lower case. Raises FileTrouble."""
    digits = text.strip().lower().removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise FileTrouble(f"{where}{text}: expected 64 hex digits, as `sha256sum FILE` prints them", is_wrong=True)
    return digits


def model_name(file: str) -> str:
    """A name for the model in this file: Qwen2.5-0.5B-Instruct-Q4_K_M.gguf -> qwen2.5-0.5b-instruct-q4_k_m. Empty
    where nothing is left of it."""
    return _ODD.sub("-", _ENDINGS.sub("", file.lower())).strip("-._")[:63]
