"""How long an attempt may still take."""

from engine.contract import Context

DEFAULT_SECONDS = 30.0
"""What an exchange with the outside takes at most where neither the node nor the workflow sets a timeout."""


def time_left(ctx: Context, default: float = DEFAULT_SECONDS) -> float:
    """Seconds until the attempt's deadline; `default` without one."""
    left = ctx.seconds_left()
    return default if left is None else left
