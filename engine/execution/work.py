"""What happened in the frames of an execution and is still to be taken up, in order."""

from collections import deque

from engine.execution.frame import Frame
from engine.execution.run import Progress


class Work(deque[tuple[Frame, Progress]]):
    """A queue. A frame has ended when its nodes have settled and nothing of it is left in here: what settled last may
    have skipped others, and that is written down first."""

    def add(self, frame: Frame, progress: Progress) -> None:
        """Something happened in a frame."""
        frame.untold += 1
        self.append((frame, progress))

    def take(self) -> tuple[Frame, Progress]:
        """The oldest of it."""
        frame, progress = self.popleft()
        frame.untold -= 1
        return frame, progress
