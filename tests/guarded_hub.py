"""A hub whose door is guarded: with TLS, JWTs, nkeys, or users of its own."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from mesh.credentials import Credentials
from tests.hub import Hub
from tests.nats_jwt import Key, Operator

PASSWORD, TOKEN = "correct-horse-battery", "a-token-nobody-guesses"
ACCOUNTS = "SYS {{}}, FLEET {{ jetstream: enabled, users: [{user}] }}"


class GuardedHub(Hub):
    """`auth`: the lines that say who may do what; `tls`: those of a block for clients and leaf links."""

    def __init__(self, directory: Path, auth: str, *, tls: str = "", extra: str = "") -> None:
        super().__init__(directory, extra=extra)
        self.auth = auth
        self.tls = tls

    @property
    def url(self) -> str:
        return f"{'tls' if self.tls else 'nats'}://{self.clients}"

    @property
    def leaf_url(self) -> str:
        return f"{'tls' if self.tls else 'nats-leaf'}://{self.leafs}"

    @property
    def log(self) -> str:
        """What the server said since its start."""
        return (self.directory / "hub.log").read_text()

    def config(self) -> str:
        tls = f"tls {{ {self.tls} }}" if self.tls else ""
        return "\n".join(
            [
                "server_name: hub",
                f"listen: {self.clients}",
                f'jetstream {{ domain: {self.domain}, store_dir: "{self.directory / "store"}" }}',
                self.auth,
                tls,
                f"leafnodes {{ listen: {self.leafs}\n {tls} }}",
                self.extra,
            ]
        )

    def reload(self) -> None:
        """Let it read its configuration again, without a restart."""
        (self.directory / "hub.conf").write_text(self.config())
        os.kill(self.pid, signal.SIGHUP)


@asynccontextmanager
async def guarded_hub(directory: Path, auth: str, *, tls: str = "", extra: str = "") -> AsyncIterator[GuardedHub]:
    """A guarded hub until the block ends."""
    hub = GuardedHub(directory, auth, tls=tls, extra=extra)
    await hub.start()
    try:
        yield hub
    finally:
        hub.kill()


class Certificates:
    """An authority, a server's certificate of it and a client's, as files."""

    def __init__(self, directory: Path, *names: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.authority = trustme.CA()
        self.ca, self.cert, self.key, self.client = (
            directory / name for name in ("ca.pem", "server.pem", "server.key", "client.pem")
        )
        server, client = self.authority.issue_cert(*(names or ("127.0.0.1",))), self.authority.issue_cert("agent")
        self.authority.cert_pem.write_to_path(str(self.ca))
        self.cert.write_bytes(b"".join(blob.bytes() for blob in server.cert_chain_pems))
        server.private_key_pem.write_to_path(str(self.key))
        client.private_key_and_cert_chain_pem.write_to_path(str(self.client))

    def server(self, *, first: bool = True, verify: bool = False) -> str:
        """What the server's `tls` block says."""
        lines = [f'cert_file: "{self.cert}", key_file: "{self.key}"']
        lines += ["handshake_first: true"] if first else []
        lines += [f'ca_file: "{self.ca}", verify: true'] if verify else []
        return ", ".join(lines)


@dataclass
class Way:
    """One way to prove who we are: what the server is told, what the client shows, and what nobody may see."""

    auth: str
    credentials: Credentials
    secrets: list[str]


def _accounts(user: str) -> str:
    return f"accounts {{ {ACCOUNTS.format(user=user)} }}\nsystem_account: SYS"


def ways(directory: Path) -> dict[str, Way]:
    """Every way that there is."""
    directory.mkdir(parents=True, exist_ok=True)
    key, operator = Key(), Operator()
    (directory / "agent.nk").write_text(f"{key.seed}\n")
    (directory / "password").write_text(f"{PASSWORD}\n")
    (directory / "token").write_text(f"{TOKEN}\n")
    user = operator.fleet.creds(directory / "agent.creds")
    password = _accounts(f'{{ user: fleet, password: "{PASSWORD}" }}')
    token = f'authorization {{ token: "{TOKEN}" }}'
    return {
        "user": Way(password, Credentials(user="fleet", password=PASSWORD), [PASSWORD]),
        "password_file": Way(
            password, Credentials(user="fleet", password_file=str(directory / "password")), [PASSWORD]
        ),
        "token": Way(token, Credentials(token=TOKEN), [TOKEN]),
        "token_file": Way(token, Credentials(token_file=str(directory / "token")), [TOKEN]),
        "nkey": Way(_accounts(f"{{ nkey: {key.public} }}"), Credentials(nkey=str(directory / "agent.nk")), [key.seed]),
        "creds": Way(operator.config, Credentials(creds=str(directory / "agent.creds")), [user.seed]),
    }
