"""Models whose native code kills the process are kept away from it.

While a model is in memory, or on its way there, a small file in the models' folder names it and the thread that it
lives on: one file from the load to the unload, so that a generation costs nothing. When the process dies by a native
signal, faulthandler writes the stacks of all threads. The next start reads both: if the thread that died was a model's,
that model has a death; after two it is not loaded again until a person says so, or its file is another one. A kill -9
leaves no stacks and counts for nothing.
"""

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import msgspec

from engine.clock import Clock, format_time
from plugins.llm.errors import ModelError, Trouble
from plugins.llm.service.checksums import file_state
from plugins.llm.service.small_file import read_struct, write_struct
from plugins.llm.spec import ModelSpec

__all__ = ["DEATHS", "Quarantine", "identity_of"]

DEATHS = 2
"""So many, and a model is in quarantine."""
FILE = ".quarantine.json"
MARK = ".native-"
_NATIVE = re.compile(r'File "[^"]*(?:llama_cpp|plugins[/\\]llm[/\\]local)[/\\](?!worker\.py)')
"""A model's thread at work: one that waits for its next job has only worker.py on its stack."""
_THREAD = re.compile(r"^(Current thread|Thread) 0x([0-9a-f]+)", re.MULTILINE)
_log = logging.getLogger("ganglion.models")


class Mark(msgspec.Struct, frozen=True):
    """A model that is in memory, or on its way there."""

    model: str
    identity: str
    thread: int = 0
    """The thread that it lives on, as faulthandler writes it; 0 while it is not known."""


class Record(msgspec.Struct):
    """What a model has done to the process."""

    identity: str
    """Of its file."""
    deaths: int = 0
    last: str = ""
    """When the last one was found, RFC 3339."""


class _Book(msgspec.Struct):
    models: dict[str, Record] = {}


class Quarantine:
    """Remembers which models killed the process. Only who owns the folder marks: see `judge`."""

    def __init__(self, folder: Path | None, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._marks = False

    def judge(self, crash: str) -> tuple[str, ...]:
        """At boot, by the one process that owns the folder: `crash` is what faulthandler wrote when the last process
        died, empty if it did not die that way. Gives the models that had a part in it. From now on models are marked.
        """
        self._marks = self._folder is not None
        marks = list(self._left())
        guilty = [mark for mark in marks if _has_part(mark, marks, crash)]
        for mark in guilty:
            self._count(mark)
        return tuple(mark.model for mark in guilty)

    def refuse(self, spec: ModelSpec) -> None:
        """Raises ModelError (quarantined)."""
        if problem := self.problem(spec):
            raise ModelError(Trouble.QUARANTINED, problem)

    def problem(self, spec: ModelSpec) -> str:
        """Why it is not loaded; empty: it may be."""
        record = self._book().models.get(spec.name)
        if record is None or record.deaths < DEATHS or record.identity != identity_of(spec):
            return ""
        return (
            f"model {spec.name} is in quarantine: its native code killed the process {record.deaths} times, last found "
            f"at {record.last}; use another file, or `ganglion models verify {spec.name} --release` to try it again"
        )

    def deaths(self, name: str) -> int:
        """How often the model killed the process, with the file that it had then."""
        record = self._book().models.get(name)
        return 0 if record is None else record.deaths

    def release(self, name: str) -> bool:
        """Forget the deaths of a model; whether there were any."""
        book = self._book()
        if book.models.pop(name, None) is None:
            return False
        self._keep(book)
        return True

    def mark(self, spec: ModelSpec) -> None:
        """It is loaded from now on, or was: then its thread is known by its name."""
        if self._marks and self._folder is not None:
            thread = next((one.ident or 0 for one in threading.enumerate() if one.name == f"model {spec.name}"), 0)
            write_struct(self._place(spec.name), Mark(spec.name, identity_of(spec), thread))

    def unmark(self, spec: ModelSpec) -> None:
        """It is not in memory any more."""
        if self._marks and self._folder is not None:
            with suppress(OSError):  # a mark too many is judged by the stacks
                self._place(spec.name).unlink(missing_ok=True)

    def _left(self) -> Iterator[Mark]:
        """The marks that the last process left; they are gone afterwards."""
        for path in [] if self._folder is None else sorted(self._folder.glob(f"{MARK}*")):
            mark = read_struct(path, Mark)
            with suppress(OSError):
                path.unlink(missing_ok=True)
            if mark is not None:
                yield mark

    def _count(self, mark: Mark) -> None:
        book = self._book()
        record = book.models.get(mark.model)
        if record is None or record.identity != mark.identity:
            record = book.models[mark.model] = Record(mark.identity)
        record.deaths += 1
        record.last = format_time(self._clock.now())
        self._keep(book)
        _log.error(
            "the last process died in the native code of model %s; %s", mark.model,
            f"it is in quarantine: `ganglion models verify {mark.model} --release` to try it again"
            if record.deaths >= DEATHS else "once more, and it is not used any longer",
        )  # fmt: skip

    def _book(self) -> _Book:
        return (self._folder and read_struct(self._folder / FILE, _Book)) or _Book()

    def _keep(self, book: _Book) -> None:
        if self._folder is not None:
            write_struct(self._folder / FILE, book)

    def _place(self, name: str) -> Path:
        if self._folder is None:
            raise RuntimeError("there is no folder for marks")
        return self._folder / f"{MARK}{quote(name, safe='')}"


def identity_of(spec: ModelSpec) -> str:
    """What tells a model's file from another one: its checksum where the spec names one, else size and time."""
    if spec.sha256:
        return spec.sha256.lower()
    state = file_state(Path(spec.file))
    return f"{state[0]}@{state[1]}" if state else ""


def _has_part(mark: Mark, marks: list[Mark], crash: str) -> bool:
    """Did the process die on this model's thread? A thread of llama.cpp's own is none of Python's and has no stack;
    then it is the model, or the models, that were inside native code."""
    stacks = _stacks(crash)
    died = [stack for stack in stacks if stack.is_current]
    suspects = died or [stack for stack in stacks if stack.is_native]
    for stack in suspects:
        if stack.thread == mark.thread:
            return True
        if stack.is_native and all(other.thread != stack.thread for other in marks):
            return mark.thread == 0  # it died while the model was loaded
    return False


class _Stack(msgspec.Struct, frozen=True):
    thread: int
    is_current: bool
    """The signal came here."""
    is_native: bool
    """It is at work for a model."""


def _stacks(crash: str) -> list[_Stack]:
    heads = list(_THREAD.finditer(crash))
    ends = [head.start() for head in heads[1:]] + [len(crash)]
    return [
        _Stack(int(head[2], 16), head[1] == "Current thread", _NATIVE.search(crash, head.end(), end) is not None)
        for head, end in zip(heads, ends, strict=False)  # one end too many where there are no heads
    ]
