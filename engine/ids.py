"""Names of executions: sorted by time, unguessable, easy to read aloud."""

import os
from functools import lru_cache

_DIGITS = b"0123456789abcdefghjkmnpqrstvwxyz"
_DIGIT_OF_BYTE = _DIGITS * 8
"""256 is a multiple of 32: a random byte becomes an unbiased random digit."""
random_bytes = os.urandom
"""A simulation that is to be played again puts its own here."""


def new_execution_id(now_microseconds: int) -> str:
    """A new id: 48 bits of milliseconds and 80 random bits as 26 lower-case Crockford base-32 digits (a ULID).

    Ids sort by their millisecond; those of one millisecond are in no order. Letters i, l, o and u do not occur.
    """
    return _time_digits(now_microseconds // 1000) + random_bytes(16).translate(_DIGIT_OF_BYTE).decode()


@lru_cache(maxsize=8)
def _time_digits(milliseconds: int) -> str:
    milliseconds &= 0xFFFF_FFFF_FFFF
    return bytes(_DIGITS[milliseconds >> shift & 31] for shift in range(45, -1, -5)).decode()
