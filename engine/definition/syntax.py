"""What the three readers of file formats share: how they refuse."""


class Refused(ValueError):
    """The text is not a file of its format, or not one within the limits. `line` counts from 1, None if not known."""

    def __init__(self, message: str, hint: str = "", line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.line = line
