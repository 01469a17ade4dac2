"""A URL into a part: goes on where an interruption left it, and tries again when the network fails.

What is there already is asked for no second time: `Range` with `If-Range`, so that a server whose file has changed
sends the whole. One that knows no ranges, or names neither ETag nor time, begins anew.
"""

import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from plugins.llm.files.errors import FileTrouble, LinkBroken
from plugins.llm.files.origin import Link, is_loopback
from plugins.llm.files.part import Part

if TYPE_CHECKING:
    import ssl

    import httpx

__all__ = ["Download", "Progress"]

TRIES = 8
"""So many in a row that bring no byte, and it is given up: after a minute."""
FIRST_TRIES = 4
"""The same before anything came: the URL may be wrong."""
PAUSE, MOST_PAUSE = 0.5, 30.0
"""Seconds before the second try, doubled for each after it."""
SILENCE = 30.0
"""Seconds without a byte after which a connection counts as broken."""
MAX_REDIRECTS = 10
MAGIC = b"GGUF"
_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
_WHY = {
    401: "it wants a login: download it by other means, then add the file",
    403: "it wants a login, or a licence to be accepted: download it by other means, then add the file",
    404: "there is no such file: look at the URL again",
    410: "the file was taken away: find another URL",
}


class Progress(msgspec.Struct, frozen=True):
    """How far it is."""

    doing: str
    """downloading, copying, checking; or what it waits for."""
    done: int = 0
    total: int = 0
    """Bytes; 0: not known."""


class Download:
    """One URL on its way."""

    def __init__(
        self, link: Link, part: Part, *, is_pinned: bool = False, is_insecure: bool = False,
        told: Callable[[Progress], None] = lambda _: None, pause: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        """`is_pinned`: the checksum is known, so that a rest of another file is found out at the end. `is_insecure`:
        http:// is allowed too."""
        self._link = link
        self._part = part
        self._is_pinned = is_pinned
        self._is_insecure = is_insecure
        self._told = told
        self._pause = pause

    def run(self) -> None:
        """Until the part holds the whole file. Raises FileTrouble; what came until then stays in the part."""
        import httpx

        failures = 0
        with httpx.Client(
            verify=_trust(),
            timeout=httpx.Timeout(SILENCE),
            headers={"User-Agent": "ganglion", "Accept-Encoding": "identity"},
        ) as client:
            while True:
                before = self._part.size
                try:
                    if self._once(client):
                        return
                except LinkBroken as broken:
                    failures = 1 if self._part.size > before else failures + 1
                    if failures >= (TRIES if self._part.size else FIRST_TRIES):
                        raise FileTrouble(f"{self._link.shown}: {broken}, {failures} times in a row") from None
                    seconds = max(min(PAUSE * 2 ** (failures - 1), MOST_PAUSE), min(broken.after, MOST_PAUSE))
                    self._tell(f"{broken}; again in {seconds:g} s")
                    self._pause(seconds)

    def _once(self, client: "httpx.Client") -> bool:
        """One exchange. False: what was there is no use, and the next one begins anew."""
        import httpx

        from plugins.http_faults import reason

        part, headers = self._part, {}
        if part.may_go_on(self._link.url) and (part.begun.validator or self._is_pinned):
            if part.size == part.begun.total:
                return True
            headers["Range"] = f"bytes={part.size}-"
            if part.begun.validator:
                headers["If-Range"] = part.begun.validator
        try:
            response = self._follow(client, client.build_request("GET", self._link.url, headers=headers))
            try:
                return self._take(response, is_rest="Range" in headers)
            finally:
                response.close()
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError):
            raise FileTrouble(f"{self._link.shown}: the URL is not valid", is_wrong=True) from None
        except httpx.TimeoutException:
            raise LinkBroken(f"nothing came for {SILENCE:g} s") from None
        except httpx.RequestError as error:
            if (why := reason(error)).startswith("the certificate"):  # it will be the same in a minute
                raise FileTrouble(
                    f"{self._link.shown}: {why}; if you trust it, name its authority: SSL_CERT_FILE=ca.pem"
                ) from None
            raise LinkBroken(why) from None

    def _follow(self, client: "httpx.Client", request: "httpx.Request") -> "httpx.Response":
        """The answer at the end of all redirects; its body is not read yet."""
        self._check(request.url, request.url)
        for _ in range(MAX_REDIRECTS + 1):
            response = client.send(request, stream=True)
            if response.next_request is None:
                return response
            response.close()
            self._check(response.next_request.url, request.url)
            request = response.next_request
        raise FileTrouble(f"{self._link.shown}: more than {MAX_REDIRECTS} redirects", is_wrong=True)

    def _check(self, url: "httpx.URL", before: "httpx.URL") -> None:
        """The bytes can't be changed on their way, unless that was allowed."""
        if url.scheme == "https" or self._is_insecure:
            return
        if is_loopback(url.host) and is_loopback(before.host):
            return
        how = "the server redirects to http://" if url is not before else "http://"
        raise FileTrouble(
            f"{self._link.shown}: {how}, and anybody between could change the file: use https://, or allow it with "
            "--insecure, best together with --sha256",
            is_wrong=True,
        )

    def _take(self, response: "httpx.Response", *, is_rest: bool) -> bool:
        part, status = self._part, response.status_code
        if status == 416 and is_rest:  # longer than the file is now
            part.begin()
            return False
        if status == 206 and is_rest:
            if not self._fits(response):
                part.begin()
                return False
            part.make_room(part.begun.total - part.size if part.begun.total else 0)
        elif status == 200:
            _check_encoding(response)
            part.begin(self._link.url, validator=_validator(response), total=_length(response))
        else:
            raise self._refusal(response)
        for chunk in response.iter_raw():
            if part.size < len(MAGIC):
                self._check_magic(response, chunk)
            part.write(chunk)
            self._tell("downloading")
        if part.begun.total and part.size < part.begun.total:
            raise LinkBroken("the server sent less than it had promised")
        return True

    def _fits(self, response: "httpx.Response") -> bool:
        """The rest is what was asked for, of the same file."""
        unit, _, span = response.headers.get("content-range", "").partition(" ")
        span, _, total = span.partition("/")
        known = self._part.begun
        return (
            unit == "bytes"
            and span.partition("-")[0] == str(self._part.size)
            and (total in ("*", str(known.total)) or not known.total)
            and _validator(response) in ("", known.validator)
        )

    def _check_magic(self, response: "httpx.Response", chunk: bytes) -> None:
        """A page that says sorry is found out at once, not after an hour."""
        begin = (MAGIC[: self._part.size] + chunk)[: len(MAGIC)]
        if not MAGIC.startswith(begin):
            kind = response.headers.get("content-type", "").partition(";")[0]
            page = " (a web page: the download button of that page has the right URL)" if kind == "text/html" else ""
            self._part.begin()
            raise FileTrouble(f"{self._link.shown}: that is no GGUF file{page}", is_wrong=True)

    def _refusal(self, response: "httpx.Response") -> Exception:
        status = response.status_code
        said = f"the server says {status} {response.reason_phrase}".rstrip()
        if status in _LATER:
            after = response.headers.get("retry-after", "")
            return LinkBroken(said, after=float(after) if after.isdigit() else 0.0)
        return FileTrouble(f"{self._link.shown}: {said}{f': {_WHY[status]}' if status in _WHY else ''}")

    def _tell(self, doing: str) -> None:
        self._told(Progress(doing, self._part.size, self._part.begun.total))


@functools.cache
def _trust() -> "ssl.SSLContext":
    """Reading the authorities' certificates takes a fifth of a second."""
    import httpx

    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise FileTrouble(
            f"the certificates that SSL_CERT_FILE or SSL_CERT_DIR names can't be read: {error.strerror or error}"
        ) from None


def _validator(response: "httpx.Response") -> str:
    """If-Range takes strong ones only."""
    etag: str = response.headers.get("etag", "")
    return response.headers.get("last-modified", "") if not etag or etag.startswith("W/") else etag


def _length(response: "httpx.Response") -> int:
    length = response.headers.get("content-length", "")
    return int(length) if length.isdigit() else 0


def _check_encoding(response: "httpx.Response") -> None:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise FileTrouble("the server compresses the file although it was asked not to: find another URL")
