"""Where secrets come from: systemd's credentials, files that only we can read, the environment; in this order."""

import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from engine.secrets import UnknownSecret

MAX_BYTES = 64 * 1024
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
"""What a secret may be called."""


class UnreadableSecret(UnknownSecret):
    """There is a secret of this name, but not in a form that may be used; the message says what to do."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(name)
        self.args = (message,)


class SecretFiles:
    """Implements `engine.secrets.SecretSource`. Read at each use, so a changed file counts at once."""

    def __init__(self, data_dir: Path, environ: Mapping[str, str] = os.environ) -> None:
        self._files = data_dir / "secrets"
        self._credentials = environ.get("CREDENTIALS_DIRECTORY", "")
        self._environ = environ
        self._revealed: dict[str, str] = {}

    def reveal(self, name: str) -> str:
        """The value, without the line break that editors put at the end of a file. Raises UnknownSecret."""
        if not NAME.fullmatch(name):  # also keeps `../` out of the paths below
            raise UnknownSecret(name)
        value = self._look_up(name)
        self._revealed[name] = value
        return value

    def revealed(self) -> Iterable[tuple[str, str]]:
        """Names and values that left this object so far, for the log's last net."""
        return self._revealed.items()

    def _look_up(self, name: str) -> str:
        if self._credentials:
            # systemd guards this directory, and its modes are its own business.
            found = _read(name, Path(self._credentials) / name, guarded=True)
            if found is not None:
                return found
        found = _read(name, self._files / name, guarded=False)
        if found is None:
            found = self._environ.get(f"GANGLION_SECRET_{name}")
        if found is None:
            raise UnknownSecret(name)
        return found


def _read(name: str, path: Path, *, guarded: bool) -> str | None:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise UnreadableSecret(name, f"{path} is not a file: put the secret's value into a file of this name")
            if not guarded and mode & 0o077:
                raise UnreadableSecret(name, f"{path} can be read by others: run chmod 600 {path}")
            body = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnreadableSecret(name, f"{path} can't be read: {error.strerror}") from None
    if len(body) > MAX_BYTES:
        raise UnreadableSecret(name, f"{path} is larger than {MAX_BYTES} bytes: that is no secret's value")
    try:
        return body.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise UnreadableSecret(name, f"{path} is not UTF-8 text") from None
