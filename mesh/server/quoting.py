"""Values in nats-server's configuration."""

import json


def quoted(value: object) -> str:
    """As JSON, which the format reads but for its \\u: what is not ASCII, as in a folder's name, stands for itself."""
    return json.dumps(value, ensure_ascii=False)
