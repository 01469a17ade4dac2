"""Credentials and TLS of the configuration, as the mesh takes them."""

import msgspec

from agent.config import Config
from mesh.credentials import Credentials, Tls


def credentials_of(config: Config) -> Credentials:
    """Who we are at an external server."""
    return Credentials(**msgspec.structs.asdict(config.mesh.credentials))


def tls_of(config: Config, url: str) -> Tls | None:
    """TLS to an external server, if its url asks for it."""
    return Tls(**msgspec.structs.asdict(config.mesh.tls)) if url.startswith(("tls://", "wss://")) else None
