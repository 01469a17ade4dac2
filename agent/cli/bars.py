"""Numbers as small pictures in a line of text."""

from collections.abc import Sequence

_PARTS = " ▏▎▍▌▋▊▉█"
_STEPS = "▁▂▃▄▅▆▇█"


def bar(share: float, width: int = 10) -> str:
    """A bar of so many columns that is filled by this share, 0 to 1; what is not nothing is seen."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    if share > 0:
        eighths = max(1, eighths)
    whole, rest = divmod(eighths, 8)
    return ("█" * whole + (_PARTS[rest] if rest else "")).ljust(width)


def sparkline(values: Sequence[float]) -> str:
    """A column for each value, the highest being the largest of them; a blank where it is nothing."""
    most = max(values, default=0.0)
    return "".join(" " if value <= 0 else _STEPS[min(7, int(value / most * 7.999))] for value in values)
