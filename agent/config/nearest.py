"""What is there of a path that may not be."""

import os
from pathlib import Path


def nearest(path: Path) -> Path:
    """The path, or the directory that it would be made in."""
    # os.path: what can't be looked into is no error here.
    return next(place for place in (path.absolute(), *path.absolute().parents) if os.path.exists(place))  # noqa: PTH110
