"""What this program was built from; a checkout and a Python package have only a version.

`build.txt` beside this file is written by packaging/build.py: lines for people. It is read, and nothing is asked or
imported, since `ganglion --version` is what scripts call often.
"""

import os

from agent import __version__

FILE = "build.txt"


def version_text() -> str:
    """The version on the first line, then what is inside."""
    try:
        with open(os.path.join(os.path.dirname(__file__), FILE), encoding="utf-8") as file:  # noqa: PTH118, PTH120, PTH123 (pathlib takes longer to import)
            inside = file.read()
    except OSError:
        inside = ""
    return f"ganglion {__version__}\n{inside}"
