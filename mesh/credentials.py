"""How a client proves who it is, and where the agent keeps what the command line needs to reach it."""

import base64
import binascii
import re
import secrets
import ssl
from pathlib import Path

import msgspec

from engine.whole_file import replace_whole
from mesh.errors import InvalidAccess

MAX_FILE_BYTES = 64 * 1024
_JWT = re.compile(r"-+BEGIN NATS USER JWT-+\s+(\S+)\s+-+END NATS USER JWT-+")
_SEED = re.compile(r"-+BEGIN USER NKEY SEED-+\s+(\S+)\s+-+END USER NKEY SEED-+")


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown to a server at one connection, read from its files a moment ago. Never kept, never shown."""

    user: str = ""
    password: str = ""
    token: str = ""
    jwt: str = ""
    seed: str = ""
    """Of an nkey, which signs what the server asks to be signed; it goes nowhere."""
    expires: float | None = None
    """Seconds since 1970; None: never, as far as we can tell."""

    def __repr__(self) -> str:
        return "Login(…)"


class Credentials(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One way to authenticate; all empty is anonymous. Never shown: its text form names the kind alone.

    Files are read again at each connection, so they may be renewed in place.
    """

    user: str = ""
    password: str = ""
    password_file: str = ""
    token: str = ""
    token_file: str = ""
    creds: str = ""
    """Path of a `.creds` file: JWT and seed."""
    nkey: str = ""
    """Path of a file with an nkey seed."""
    inbox: str = ""
    """What this user's inboxes begin with, where the server keeps others from them; empty: as the library has it."""

    def __repr__(self) -> str:
        kinds = [field for field in ("user", "token", "token_file", "creds", "nkey") if getattr(self, field)]
        return f"Credentials({', '.join(kinds) or 'anonymous'})"

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of the files that they are read from."""
        return tuple(filter(None, (self.password_file, self.token_file, self.creds, self.nkey)))

    def check(self) -> None:
        """Raise InvalidAccess if they can't be used."""
        ways = [bool(self.user), bool(self.token or self.token_file), bool(self.creds), bool(self.nkey)]
        if sum(ways) > 1:
            raise InvalidAccess(
                "[mesh] credentials: give one way to prove who we are: user and password, token, creds or nkey"
            )
        if self.user and not (self.password or self.password_file):
            raise InvalidAccess(
                f"the NATS user {self.user} has no password: set [mesh] credentials.password or password_file"
            )
        for one, file in (("password", self.password_file), ("token", self.token_file)):
            if getattr(self, one) and file:
                raise InvalidAccess(f"[mesh] credentials: give {one} or {one}_file, not both")
        self.login()

    def login(self) -> Login:
        """What to show to a server now. Raises InvalidAccess, without saying anything of what stands in the files."""
        if self.creds:
            return _from_creds(self.creds)
        if self.nkey:
            return Login(seed=_checked_seed(_text(self.nkey).strip(), self.nkey))
        return Login(
            user=self.user,
            password=_line(self.password_file) if self.password_file else self.password,
            token=_line(self.token_file) if self.token_file else self.token,
        )


def _from_creds(path: str) -> Login:
    text = _text(path)
    jwt, seed = _JWT.search(text), _SEED.search(text)
    if jwt is None or seed is None:
        raise InvalidAccess(f"{path} is not a .creds file: it needs a user JWT and an nkey seed, as `nsc` writes them")
    return Login(jwt=jwt[1], seed=_checked_seed(seed[1], path), expires=_expiry(jwt[1], path))


class _Claims(msgspec.Struct):
    exp: float = 0
    """Seconds since 1970; 0 is never."""


def _expiry(jwt: str, path: str) -> float | None:
    try:
        body = jwt.split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=_Claims)
    except (IndexError, binascii.Error, msgspec.DecodeError):
        raise InvalidAccess(f"the user JWT in {path} is damaged: make the file anew") from None
    return claims.exp or None


def _checked_seed(seed: str, path: str) -> str:
    import nkeys  # loads libsodium: 25 ms that only those pay who use it

    try:
        nkeys.from_seed(bytearray(seed.encode())).wipe()
    except (nkeys.NkeysError, ValueError, TypeError):
        raise InvalidAccess(f"{path} holds no nkey seed (a line that starts with SU): make the file anew") from None
    if not seed.startswith("SU"):
        raise InvalidAccess(f"{path} holds a seed, but not a user's: give that, it starts with SU")
    return seed


def _line(path: str) -> str:
    """A secret that stands alone in a file; the line's end is not part of it."""
    text = _text(path).rstrip("\r\n")
    if not text or any(character in text for character in "\r\n\0"):
        raise InvalidAccess(f"{path} must hold one line: the secret alone")
    return text


def _text(path: str) -> str:
    try:
        return read_file(path).decode()
    except UnicodeDecodeError:
        raise InvalidAccess(f"{path} is not text: name the right file in [mesh] credentials") from None


def read_file(path: str) -> bytes:
    """A file that proves who somebody is. Raises InvalidAccess."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError:
        raise InvalidAccess(
            f"{path} is not a file that can be read: [mesh] credentials and tls must name ones that this user can read"
        ) from None
    if len(content) > MAX_FILE_BYTES:
        raise InvalidAccess(f"{path} is larger than credentials are: name the right file in [mesh]")
    return content


class Tls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """TLS to the server. The handshake comes first by default: otherwise a man in the middle can strip it."""

    ca: str = ""
    """Path of the certificates to trust; empty for the system's."""
    cert: str = ""
    """Path of our certificate, for a server that asks for one."""
    key: str = ""
    """Path of the certificate's private key."""
    hostname: str = ""
    """The name in the server's certificate, if it is not the one in the url."""
    handshake_first: bool = True
    """The server needs `handshake_first: true` for this."""

    @property
    def files(self) -> tuple[str, ...]:
        """Paths of its files."""
        return tuple(filter(None, (self.ca, self.cert, self.key)))

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
    """Replace a file in a folder of this user's. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    replace_whole(path, content)


def creds_text(jwt: str, seed: str) -> str:
    """What stands in a `.creds` file."""
    return (
        f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
