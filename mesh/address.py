"""Addresses of NATS servers, as people write them and as they may be shown."""

from urllib.parse import urlsplit


def servers_of(url: str) -> list[str]:
    """The servers of a cluster: urls with commas between them."""
    return [one.strip() for one in url.split(",") if one.strip()]


def shown(url: str) -> str:
    """A url without user and password."""
    parts = urlsplit(url if "://" in url else f"nats://{url}")
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname or ""
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}"
