"""An operator, its accounts and users as NATS JWTs (version 2, ed25519-nkey), as `nsc` would make them.

https://docs.nats.io/running-a-nats-service/nats_admin/security/jwt
"""

import base64
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nkeys


class Key:
    """An nkey: its seed, its public name."""

    def __init__(self, prefix: int = nkeys.PREFIX_BYTE_USER) -> None:
        self.seed = nkeys.encode_seed(os.urandom(32), prefix).decode()
        self._pair = nkeys.from_seed(bytearray(self.seed.encode()))
        self.public: str = self._pair.public_key.decode()

    def sign(self, subject: str, name: str, claims: dict[str, Any], *, expires: float | None = None) -> str:
        """A JWT about `subject`, signed with this key; `expires` in seconds since 1970."""
        now = int(time.time())
        body = {
            "jti": os.urandom(8).hex(), "iat": now, "iss": self.public, "sub": subject, "name": name,
            "nats": {"version": 2, **claims},
        }  # fmt: skip
        if expires is not None:
            body["exp"] = int(expires)
        text = f"{_encoded({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{_encoded(body)}"
        signature = base64.urlsafe_b64encode(self._pair.sign(text.encode())).decode().rstrip("=")
        return f"{text}.{signature}"


def _encoded(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@dataclass
class Account:
    key: Key
    jwt: str
    users: list[Key] = field(default_factory=list)

    def creds(
        self, path: Path, *, expires: float | None = None, publish: list[str] | None = None,
        subscribe: list[str] | None = None, name: str = "agent",
    ) -> Key:  # fmt: skip
        """Write a `.creds` file of a new user, replacing what is there in one step."""
        user = Key()
        self.users.append(user)
        claims = {
            "type": "user", "subs": -1, "data": -1, "payload": -1,
            "pub": {"allow": publish} if publish is not None else {},
            "sub": {"allow": subscribe} if subscribe is not None else {},
        }  # fmt: skip
        jwt = self.key.sign(user.public, name, claims, expires=expires)
        text = (
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
        )
        fresh = path.with_suffix(".fresh")
        fresh.write_text(text)
        fresh.chmod(0o600)
        fresh.replace(path)
        return user


class Operator:
    """Signs accounts; `config` are the lines that make a server trust it."""

    def __init__(self) -> None:
        self.key = Key(nkeys.PREFIX_BYTE_OPERATOR)
        self.jwt = self.key.sign(self.key.public, "operator", {"type": "operator"})
        self.system = self.account("SYS", jetstream=False)
        self.fleet = self.account("FLEET")

    def account(self, name: str, *, jetstream: bool = True) -> Account:
        key = Key(nkeys.PREFIX_BYTE_ACCOUNT)
        limits: dict[str, Any] = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1)
        limits["wildcards"] = True
        if jetstream:
            limits |= dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), -1)
        claims = {"type": "account", "limits": limits, "default_permissions": {"pub": {}, "sub": {}}}
        return Account(key, self.key.sign(key.public, name, claims))

    @property
    def config(self) -> str:
        accounts = {account.key.public: account.jwt for account in (self.system, self.fleet)}
        return "\n".join(
            [
                f"operator: {self.jwt}",
                f"system_account: {self.system.key.public}",
                "resolver: MEMORY",
                f"resolver_preload: {json.dumps(accounts)}",
            ]
        )
