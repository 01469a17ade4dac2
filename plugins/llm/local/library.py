"""llama.cpp itself: imported at the first model, silent, its complaints kept for error messages."""

import ctypes
import os
import threading
from collections import deque
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from plugins.llm.errors import ModelError, Trouble

if TYPE_CHECKING:
    from types import ModuleType

KEPT_LINES = 20
_WARNING = 3
_CONTINUED = 5
"""Levels of ggml's log; 1 info, 2 is debug or warning by version, 4 error, 5 goes on with the line before."""

_importing = threading.Lock()


class Complaints:
    """The last warnings and errors of the native library, kept apart for each thread: models load beside each other."""

    def __init__(self) -> None:
        self._lines: dict[int, deque[str]] = {}
        self._level = 0

    def begin(self) -> None:
        """Forget what this thread's last call complained of."""
        self._lines[threading.get_ident()] = deque(maxlen=KEPT_LINES)

    def end(self) -> str:
        """What it complained of since, on one line."""
        lines = self._lines.pop(threading.get_ident(), ())
        return "; ".join(line for line in lines if line)

    def hear(self, level: int, text: bytes, _: object) -> None:
        """The callback. It is called from native code, on any thread: it must not raise."""
        if level != _CONTINUED:
            self._level = level
        lines = self._lines.get(threading.get_ident())
        if lines is None or self._level < _WARNING:
            return
        line = text.decode("utf-8", "replace")[:300]
        if level == _CONTINUED and lines:
            lines[-1] = (lines[-1] + line.rstrip())[:300]
        else:
            lines.append(line.strip())


complaints = Complaints()
_kept_alive: list[object] = []
"""The callback that native code holds; freed, it would be called all the same."""


@cache
def _imported() -> "ModuleType":
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")  # it would run gdb on us before it aborts
    import llama_cpp.llama_cpp as native

    callback = native.llama_log_callback(complaints.hear)
    _kept_alive.append(callback)
    native.llama_log_set(callback, ctypes.c_void_p(0))
    _load_backends(native)
    native.llama_backend_init()
    return native


def _load_backends(native: "ModuleType") -> None:
    """Where the computing code comes in variants for kinds of processors (libggml-cpu-haswell.so …), load the best that
    this one can run. Otherwise it is linked in, and there is nothing to load.

    From the library's own folder only: left to itself, ggml also looks into the working directory.
    """
    folder = Path(native.__file__ or "").parent / "lib"
    if any(folder.glob("libggml-cpu-*.so")):
        native._lib.ggml_backend_load_all_from_path(os.fsencode(folder))


def library() -> "ModuleType":
    """`llama_cpp.llama_cpp`, the functions of llama.h. Takes about a second the first time: call it on a worker's
    thread. Raises ModelError (missing)."""
    try:
        with _importing:
            return _imported()
    except (ImportError, OSError, RuntimeError) as error:
        raise ModelError(
            Trouble.MISSING, f"local models need llama-cpp-python ({error}); pip install 'ganglion[llm]'"
        ) from error
