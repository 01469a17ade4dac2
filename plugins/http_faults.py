"""What goes wrong in an HTTP exchange, said without URLs and headers, which may hold secrets."""

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from engine.ports import Unreachable
from plugins.inflate import BrokenBody


@contextmanager
def as_ports() -> Iterator[None]:
    """Turns the HTTP library's errors into those that `engine.ports.Http` promises: ValueError for what will never
    work, Unreachable for what may work later."""
    import httpx

    try:
        yield
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        raise ValueError("the URL is not valid: expected http:// or https://, a host and a path") from None
    except httpx.LocalProtocolError:
        raise ValueError("the request cannot be sent: its URL or headers break HTTP") from None
    except TimeoutError:
        raise  # our own; it is an OSError, too
    except (httpx.RequestError, OSError, BrokenBody) as error:
        raise Unreachable(reason(error)) from None


def reason(error: BaseException) -> str:
    """What went wrong, from the cause's kind: the libraries' own texts may hold the host or the URL."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            if "mismatch" in cause.verify_message:
                return "the certificate is for another host"
            return f"the certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return "the TLS handshake failed"
        if isinstance(cause, socket.gaierror):
            return "the host name is not known"
        if isinstance(cause, BrokenBody):
            return str(cause)
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno).lower()
    return "the connection broke before the answer was complete"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The chain of causes, innermost first."""
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else (error.__cause__ or error.__context__,)
    for cause in inner:
        if cause is not None:
            yield from _causes(cause)
    yield error
