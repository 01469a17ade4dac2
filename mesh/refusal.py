"""Why a server did not let us in, in words that say what to do next. The library's own say neither."""

import ssl
import time

import nats.errors

from mesh.credentials import Login, Tls
from mesh.key_files import span


class NotLetIn(nats.errors.Error):
    """The connection was not made; the message says why, and what to do."""


class PlainServer(nats.errors.Error):
    """The url asks for TLS and the server does not. Raised before anything secret is sent."""

    def __str__(self) -> str:
        return "the url asks for TLS, but the server speaks plainly"


def explained(error: BaseException, login: Login, tls: Tls | None) -> NotLetIn | None:
    """The reason for this failure of a connection attempt; None if it says enough itself."""
    text = str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return NotLetIn(_certificate(error.verify_message))
    if isinstance(error, PlainServer):
        return NotLetIn(f"{text}: set up `tls` there, or write nats:// in the url")
    if isinstance(error, ssl.SSLError):
        return NotLetIn(_handshake(error, tls))
    if "authorization violation" in text.lower() or "authentication expired" in text.lower():
        return NotLetIn(_credentials(login))
    if tls is not None and ("empty response" in text or isinstance(error, (ConnectionError, EOFError))):
        return NotLetIn(
            f"the server ended the connection ({text or type(error).__name__}): if it is up, it may want a certificate "
            "of ours that its authority signed: [mesh] tls.cert and tls.key"
        )
    if tls is None and isinstance(error, TimeoutError):
        return NotLetIn(
            "no answer: nothing there speaks NATS, or it begins with TLS (then write tls:// in the url), or it is busy"
        )
    return None


def _certificate(reason: str) -> str:
    if "ostname mismatch" in reason or "IP address mismatch" in reason:
        return (
            f"the server's certificate is for another name ({reason}): use a name of the certificate in the url, or "
            "say it with [mesh] tls.hostname"
        )
    if "expired" in reason or "not yet valid" in reason:
        return f"the server's certificate is not valid now ({reason}): renew it there, and see that this clock is right"
    return (
        f"the server's certificate is not to be trusted ({reason}): name the authority that signed it in [mesh] tls.ca"
    )


def _handshake(error: ssl.SSLError, tls: Tls | None) -> str:
    if error.reason and "ALERT" in error.reason:
        return (
            f"the server refused our side of TLS ({error.reason}): it may want a certificate of ours that its "
            "authority signed: [mesh] tls.cert and tls.key"
        )
    if tls is not None and tls.handshake_first:
        return (
            f"the server does not begin with TLS ({error.reason}): set `handshake_first: true` in its `tls` block; "
            "[mesh] tls.handshake_first = false works with servers that can't, but lets somebody between strip TLS"
        )
    return f"TLS with the server failed ({error.reason or error})"


def _credentials(login: Login) -> str:
    left = None if login.expires is None else login.expires - time.time()
    if left is not None and left <= 0:
        return f"the credentials expired {span(-left)} ago: renew their file, it is read again at once"
    if not (login.user or login.token or login.jwt or login.seed):
        return "the server wants (other) credentials (Authorization Violation): set [mesh] credentials"
    return (
        "the server does not take these credentials (Authorization Violation): correct [mesh] credentials or the server"
    )
