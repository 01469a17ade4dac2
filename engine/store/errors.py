"""What can go wrong with the database file. Each says what the reader of the message should do."""


class StoreError(Exception):
    """A fault of the store."""


class StoreInUse(StoreError):
    """Another process holds the data directory."""


class StoreFull(StoreError):
    """The disk has no room. Nothing was written; try again when there is room."""

    def __init__(self) -> None:
        super().__init__("the disk is full: nothing was accepted; free some space, work goes on by itself")


class StoreBroken(StoreError):
    """The disk reported an I/O error, or a commit is in an unknown state. The process must stop and read again."""


class StoreCorrupt(StoreError):
    """The file or a row does not hold what was written. It is reported and never run."""


class StoreNewer(StoreError):
    """The file was written by a newer Ganglion."""
