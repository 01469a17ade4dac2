"""Why a model's file can't be had."""

__all__ = ["FileTrouble", "LinkBroken"]


class FileTrouble(Exception):
    """The message says what happened and what to do next, and holds neither credentials nor queries of a URL."""

    def __init__(self, message: str, *, is_wrong: bool = False) -> None:
        super().__init__(message)
        self.is_wrong = is_wrong
        """What was asked for can't be right: the same again gives the same."""


class LinkBroken(Exception):
    """The network failed, or the server has no time: another try may go on from here."""

    def __init__(self, message: str, *, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after
        """Seconds before which another try is no use, as the server says."""
