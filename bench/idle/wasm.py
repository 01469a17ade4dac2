"""What wasmtime adds to a process that runs WebAssembly: measured in a child of this Python, where it is installed."""

import importlib.util
import subprocess
import sys

from idle.agent import ROOT
from idle.rest import MEGABYTE

_CHILD = """\
import os
from idle.process import resident_bytes
from plugins.wasm.trial import try_wasm
before = resident_bytes(os.getpid())
trial = try_wasm()
print(resident_bytes(os.getpid()) - before if trial.code else 0)
"""


def added_megabytes() -> float | None:
    """After a small module was compiled and has run; None where none can run."""
    if importlib.util.find_spec("wasmtime") is None:
        return None
    child = subprocess.run(
        [sys.executable, "-c", _CHILD], capture_output=True, text=True, check=True, cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'bench'}"},
    )  # fmt: skip
    return int(child.stdout) / MEGABYTE or None
