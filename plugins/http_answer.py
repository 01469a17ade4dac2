"""What an HTTP answer says: its body as data, and when to ask again."""

import base64
from datetime import UTC

from engine.ports import Response
from engine.values import Json, decode_json
from plugins.masking import Mask

MAX_WAIT = 3600.0
"""Longest wait that a server may ask for, in seconds; a mistaken or hostile one would park the node for good."""

_TEXTUAL = (
    "text/",
    "application/xml",
    "application/javascript",
    "application/x-www-form-urlencoded",
    "application/yaml",
)
_WESTERN = ("iso-8859-1", "latin1", "windows-1252")


def read_body(answer: Response, *, max_bytes: int, mask: Mask) -> tuple[Json, str]:
    """The body as data, and how it was read: json, text or base64. The Content-Type decides, never a guess.

    Raises InvalidValue for JSON that is not.
    """
    media, _, options = answer.headers.get("content-type", "text/plain").partition(";")
    media = media.strip().lower()
    packed = "content-encoding" in answer.headers and bool(answer.body)
    if not packed and (media == "application/json" or media.endswith("+json")):
        return (mask.hide(decode_json(answer.body, max_bytes=max_bytes)) if answer.body else None), "json"
    if not packed and (media.startswith(_TEXTUAL) or media.endswith("+xml")):
        try:
            return mask.hide(answer.body.decode(_charset(options))), "text"
        except UnicodeDecodeError:
            pass  # the server is wrong about its charset: keep the bytes
    return base64.b64encode(mask.hide_bytes(answer.body)).decode(), "base64"


def retry_after(value: str | None, now: int) -> float:
    """Seconds to wait, from a Retry-After header (seconds or a date); 0 where there is none or it cannot be read.

    `now` is in microseconds since 1970. Source: RFC 9110, 10.2.3.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MAX_WAIT)
    if not text:
        return 0.0
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(0.0, moment.timestamp() - now / 1_000_000), MAX_WAIT)


def _charset(options: str) -> str:
    """The codec of a Content-Type: an allow-list, for Python has codecs that are no charsets (`charset=zlib`)."""
    for option in options.split(";"):
        name, _, value = option.partition("=")
        if name.strip().lower() == "charset" and value.strip(" \"'").lower() in _WESTERN:
            return "windows-1252"  # as browsers read all three
    return "utf-8-sig"
