"""How a client proves who it is, and where the agent keeps what the command line needs to reach it."""

import importlib.util
import os
import secrets
import ssl
from pathlib import Path

import msgspec

from mesh.errors import InvalidAccess


class Credentials(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One way to authenticate; all empty is anonymous. Never shown: its text form names the kind alone."""

    user: str = ""
    password: str = ""
    token: str = ""
    creds: str = ""
    """Path of a `.creds` file (JWT and seed); read again at each connection, so it may be renewed in place."""
    nkey: str = ""
    """Path of a file with an nkey seed."""

    def __repr__(self) -> str:
        kinds = [field for field in ("user", "token", "creds", "nkey") if getattr(self, field)]
        return f"Credentials({', '.join(kinds) or 'anonymous'})"

    def check(self) -> None:
        """Raise InvalidAccess if they can't be used."""
        if self.user and not self.password:
            raise InvalidAccess(f"the NATS user {self.user} has no password: set [mesh] credentials.password")
        for path in (self.creds, self.nkey):
            if path and not Path(path).is_file():
                raise InvalidAccess(f"{path} is not a file: [mesh] credentials must name one that this user can read")
        if (self.creds or self.nkey) and importlib.util.find_spec("nkeys") is None:
            raise InvalidAccess("creds and nkey files need the package nkeys: pip install nkeys")


class Tls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """TLS to the server. The handshake comes first by default: otherwise a man in the middle can strip it."""

    ca: str = ""
    """Path of the certificates to trust; empty for the system's."""
    cert: str = ""
    key: str = ""
    hostname: str = ""
    """The name in the server's certificate, if it is not the one in the url."""
    handshake_first: bool = True
    """The server needs `handshake_first: true` for this."""

    def context(self) -> ssl.SSLContext:
        """Raises InvalidAccess if a file can't be used."""
        try:
            context = ssl.create_default_context(cafile=self.ca or None)
            if self.cert:
                context.load_cert_chain(self.cert, self.key or None)
        except (OSError, ssl.SSLError) as error:
            raise InvalidAccess(f"the TLS files of [mesh] tls can't be used: {error}") from None
        return context


class Access(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the agent of this data directory is reached, and as whom."""

    url: str = ""
    credentials: Credentials
    hub: Credentials | None = None
    """Who we are at the same url to speak with the agents behind the hub; None without a hub."""
    hub_api: str = ""
    """Where the hub's JetStream is asked."""


def new_password() -> str:
    """192 random bits."""
    return secrets.token_urlsafe(24)


def access_path(data_dir: Path) -> Path:
    return data_dir / "nats" / "access.json"


def read_access(data_dir: Path) -> Access | None:
    """What the agent of this data directory wrote; None before its first start. Raises InvalidAccess."""
    path = access_path(data_dir)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Access)
    except FileNotFoundError:
        return None
    except PermissionError:
        raise InvalidAccess(f"{path} can't be read: run this as the user that runs the agent") from None
    except msgspec.DecodeError as error:
        raise InvalidAccess(f"{path} is damaged ({error}): stop the agent, remove the file, start again") from None


def write_access(data_dir: Path, access: Access) -> None:
    """Keep it, for this user alone."""
    write_private(access_path(data_dir), msgspec.json.encode(access))


def write_private(path: Path, content: bytes) -> None:
    """Replace a file in one step; it is never readable by others, not even for a moment."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
