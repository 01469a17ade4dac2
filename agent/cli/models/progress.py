"""How far a file is, on one line of a terminal: a bar, the rate of the last seconds, and the time that is left."""

import sys
import time
from collections import deque
from typing import TYPE_CHECKING

from agent.cli.bars import bar
from agent.cli.screen import clean, remark, seconds

if TYPE_CHECKING:
    from plugins.llm.files.download import Progress

SHOW_SECONDS = 0.1
RATE_SECONDS = 10.0
"""The rate is that of so long: a slow start is soon forgotten."""


class ProgressLine:
    """Shows each Progress that it is called with; where nobody looks, only what the network did."""

    def __init__(self) -> None:
        self._is_shown = sys.stderr.isatty()
        self._seen: deque[tuple[float, int]] = deque()
        self._doing = ""
        self._next = 0.0

    def __call__(self, progress: "Progress") -> None:
        now = time.monotonic()
        if progress.doing != self._doing:
            self._doing, self._next = progress.doing, 0.0
            self._seen.clear()
            if progress.doing not in ("downloading", "copying", "checking"):  # what it waits for
                self.clear()
                remark(progress.doing)
                return
        self._seen.append((now, progress.done))
        while now - self._seen[0][0] > RATE_SECONDS:
            self._seen.popleft()
        if self._is_shown and now >= self._next:
            self._next = now + SHOW_SECONDS
            sys.stderr.write(f"\r{clean(told(progress, self._rate()))}\x1b[K")
            sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._is_shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _rate(self) -> float:
        (began, before), (now, done) = self._seen[0], self._seen[-1]
        return (done - before) / (now - began) if now > began else 0.0


def told(progress: "Progress", rate: float) -> str:
    """downloading ███       31 %  1.3 GB of 4.1 GB  12.4 MB/s  3m40s left"""
    parts = [progress.doing]
    if progress.total:
        share = progress.done / progress.total
        parts += [f"{bar(share)} {share * 100:3.0f} %", f"{size(progress.done)} of {size(progress.total)}"]
    else:
        parts.append(size(progress.done))
    if rate > 0:
        parts.append(f"{size(rate)}/s")
        if progress.total:
            parts.append(f"{seconds(max(1.0, (progress.total - progress.done) / rate))} left")
    return "  ".join(parts)


def size(count: float) -> str:
    """Bytes as people say them: 940 kB, 12.4 MB, 4.1 GB."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor * 0.9995:
            return f"{count / factor:.1f} {unit}" if unit != "kB" else f"{count / factor:.0f} {unit}"
    return f"{count:.0f} B"


def parameters(count: int) -> str:
    """1.1 M parameters, 7.2 B parameters; empty for none."""
    if not count:
        return ""
    unit, factor = ("B", 1e9) if count >= 1e9 else ("M", 1e6)
    return f"{count / factor:.1f} {unit} parameters"
