"""The examples' clients: programs that know nothing of Ganglion, each a process of its own.

They are Python scripts. The executable has no Python for people; it runs these scripts, and no others.
"""

import runpy
import sys
from pathlib import Path

from agent.update.program import executable

__all__ = ["FLAG", "client_command", "examples", "run_client"]

FLAG = "--client"
"""The executable's first argument for them; `packaging/entry.py` looks for it."""


def client_command(script: str) -> list[str]:
    """How a process is started that runs a client script."""
    if getattr(sys, "frozen", False):
        return [str(executable()), FLAG, script]
    return [sys.executable, str(_path(script))]


def run_client(script: str, arguments: list[str]) -> None:
    """Be that process, in the executable. Raises FileNotFoundError for a script that is not one of the examples'."""
    path = _path(Path(script).name)
    sys.argv = [str(path), *arguments]
    runpy.run_path(str(path), run_name="__main__")


def examples() -> Path:
    """The example workflows: beside the folders in a checkout, inside the package where it is installed."""
    here = Path(__file__).parents[1]
    return next(path for path in (here / "examples", here.parent / "examples") if path.is_dir())


def _path(script: str) -> Path:
    return examples() / "clients" / script
