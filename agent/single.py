"""One error out of a group: a TaskGroup wraps what its parts raise, and `except` does not see through that."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def single_error() -> Iterator[None]:
    """An error group leaves the block as its first error; the group stays visible as the cause."""
    try:
        yield
    except BaseExceptionGroup as group:
        raise first(group) from group


def first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The earliest error of a group, however deep."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
