"""What happened in the frames of an execution and is still to be taken up, in order."""

from collections import deque

from engine.execution.frame import Frame
from engine.execution.run import Progress


class Work:
    """A queue. A frame has ended when its nodes have settled and nothing of it is left in here: what settled last may
    have skipped others, and that is written down first."""

    def __init__(self) -> None:
        self._queue: deque[tuple[Frame, Progress]] = deque()

    def __bool__(self) -> bool:
        return bool(self._queue)

    def add(self, frame: Frame, progress: Progress) -> None:
        """Something happened in a frame."""
        frame.untold += 1
        self._queue.append((frame, progress))

    def take(self) -> tuple[Frame, Progress]:
        """The oldest of it."""
        frame, progress = self._queue.popleft()
        frame.untold -= 1
        return frame, progress
