"""Ids of executions, as they are kept: 16 bytes in the place of 26 letters, for those that the engine makes.

An id that is none of ours is kept as it came.
"""

from functools import lru_cache

_DIGITS = b"0123456789abcdefghjkmnpqrstvwxyz"
"""Of engine/ids.py."""
_PLAIN = b"0123456789abcdefghijklmnopqrstuv"
_READ = bytes(_PLAIN[_DIGITS.index(byte)] if byte in _DIGITS else ord("~") for byte in range(256))
"""To the digits that `int` reads; whatever is no digit of ours is none of its either."""
_PAIRS = tuple(bytes((_DIGITS[pair >> 5], _DIGITS[pair & 31])).decode() for pair in range(1024))
_SHIFTS = tuple(range(120, -1, -10))
LENGTH = 26


@lru_cache(maxsize=4096)
def packed(execution: str) -> str | bytes:
    """What is kept of an id. Facts of one execution come together: the last ones are remembered."""
    if len(execution) == LENGTH and execution[0] <= "7":  # 128 bits
        try:
            return int(execution.encode().translate(_READ), 32).to_bytes(16, "big")
        except ValueError:
            return execution
    return execution


def unpacked(kept: str | bytes) -> str:
    """The id that was packed."""
    if isinstance(kept, str):
        return kept
    number = int.from_bytes(kept, "big")
    return "".join([_PAIRS[number >> shift & 1023] for shift in _SHIFTS])
