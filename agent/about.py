"""What an agent says of itself in the metadata of its control service: `nats micro ls` and `info` show it."""

import platform

from agent.config import Config


def about(config: Config) -> dict[str, str]:
    """Labels as `label.<name>`; `recorder` is true for one that keeps the fleet's events."""
    return {
        "arch": platform.machine(),
        "recorder": "true" if config.fleet.record else "false",
        **{f"label.{name}": value for name, value in config.agent.labels.items()},
    }
