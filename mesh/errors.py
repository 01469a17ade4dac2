"""What the mesh refuses, and what it can't do now. Each message says what to do next.

A lost link is none of these: it is absorbed in `connection.py`, and work goes on with the next link.
"""


class MeshError(Exception):
    """Base of what the mesh reports."""


class ServerRefused(MeshError):
    """The embedded server can't run like this: a setting, the data directory or the port must change first."""


class InUse(ServerRefused):
    """Another agent runs on this data directory."""


class InvalidAccess(MeshError):
    """A url, credentials or TLS files that can't be used."""


class StreamConflict(MeshError):
    """A stream can't be made as needed, because another one is in the way."""


class AgentUnreachable(MeshError):
    """No agent answered."""


class AgentMissing(AgentUnreachable):
    """This one did not answer: `agent`. With `is_silent` it may have heard the question."""

    def __init__(self, message: str, agent: str, *, is_silent: bool) -> None:
        super().__init__(message)
        self.agent = agent
        self.is_silent = is_silent


class LinkBroken(AgentUnreachable):
    """The connection broke: whether the question was heard nobody knows."""
