"""The files behind credentials and TLS: whether they were renewed, and how long what they hold is good for."""

import logging
from pathlib import Path

from mesh.credentials import Credentials, Tls

_logger = logging.getLogger("ganglion.mesh")
DAY, HOUR, MINUTE = 86_400, 3_600, 60
WARN_SECONDS = (7 * DAY, 3 * DAY, DAY, HOUR)
"""Before credentials expire it is said so many times, at these distances."""


class KeyFiles:
    """Looks at files by time, inode and size, which also sees a link that leads elsewhere now."""

    def __init__(self, credentials: Credentials, tls: Tls | None) -> None:
        self._paths = [*credentials.files, *(tls.files if tls else ())]
        self._seen = self._look()

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._paths)

    def changed(self) -> bool:
        """Whether they are others than at the last `taken`."""
        return bool(self._paths) and self._look() != self._seen

    def taken(self) -> None:
        """They are about to be read: say this first, so that a change under way is not missed."""
        self._seen = self._look()

    def _look(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(path) for path in self._paths]


class Expiry:
    """Says in good time that credentials will expire."""

    def __init__(self, whose: str) -> None:
        self._whose = whose
        self._said: tuple[float, int] | None = None

    def look(self, expires: float | None, now: float) -> None:
        """Both in seconds since 1970."""
        if expires is None:
            return
        passed = sum(expires - now <= distance for distance in WARN_SECONDS)
        if passed and self._said != (expires, passed):
            self._said = (expires, passed)
            left = expires - now
            when = f"expire in {span(left)}" if left > 0 else f"expired {span(-left)} ago"
            _logger.warning("the credentials for %s %s: renew their file, it is read again at once", self._whose, when)


def span(seconds: float) -> str:
    """A length of time in its largest unit: 3 d, 5 h, 2 min, 40 s."""
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= unit:
            return f"{int(seconds // unit)} {name}"
    return f"{int(seconds)} s"


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
