"""Credentials and TLS of the configuration, as the mesh takes them."""

import msgspec

from agent.config import Config
from mesh.credentials import Credentials, Tls, read_access
from mesh.server import Hub


def credentials_of(config: Config) -> Credentials:
    """Who we are at an external server."""
    return Credentials(**msgspec.structs.asdict(config.mesh.credentials))


def credentials_at(config: Config, url: str) -> Credentials:
    """Who we are at this server: the agent's own user where it is the agent's server. Raises InvalidAccess."""
    known = read_access(config.data_path)
    return known.credentials if known is not None and known.url == url else credentials_of(config)


def tls_of(config: Config, url: str) -> Tls | None:
    """TLS to an external server, if its url asks for it."""
    return Tls(**msgspec.structs.asdict(config.mesh.tls)) if url.startswith(("tls://", "wss://")) else None


def hub_of(config: Config) -> Hub | None:
    """The hub that the embedded server leads to."""
    mesh = config.mesh
    if not mesh.hub:
        return None
    return Hub(
        url=mesh.hub,
        domain=mesh.hub_domain,
        credentials=credentials_of(config),
        tls=tls_of(config, mesh.hub),
        share=mesh.share,
    )
