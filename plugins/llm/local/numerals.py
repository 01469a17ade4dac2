"""Whole numbers between two bounds, as alternatives of a GBNF rule."""

from collections.abc import Iterator

__all__ = ["between"]


def between(least: int, most: int) -> Iterator[str]:
    """Alternatives that together match exactly the numbers from `least` to `most`, without leading zeros."""
    if least < 0:
        for part in between(max(1, -most), -least):
            yield f'"-" {part}'
        least = 0
    if most < 0:
        return
    for digits in range(len(str(least)), len(str(most)) + 1):
        lowest = 0 if digits == 1 else 10 ** (digits - 1)
        low, high = max(least, lowest), min(most, 10**digits - 1)
        yield _same_length(str(low), str(high))


def _same_length(low: str, high: str) -> str:
    if not low:
        return ""
    if set(low) == {"0"} and set(high) == {"9"}:
        return f"[0-9]{{{len(low)}}}"
    if low[0] == high[0]:
        return f'"{low[0]}" {_same_length(low[1:], high[1:])}'.rstrip()
    rest = len(low) - 1
    begin, end, parts = int(low[0]), int(high[0]), []
    if rest and set(low[1:]) != {"0"}:
        parts.append(f'"{low[0]}" {_same_length(low[1:], "9" * rest)}')
        begin += 1
    if rest and set(high[1:]) != {"9"}:
        end -= 1
    if begin <= end:
        parts.append(f"[{begin}-{end}] [0-9]{{{rest}}}" if rest else f"[{begin}-{end}]")
    if end < int(high[0]):
        parts.append(f'"{high[0]}" {_same_length("0" * rest, high[1:])}')
    return f"({' | '.join(parts)})"
