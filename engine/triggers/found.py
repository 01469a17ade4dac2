"""A file that was found at rest: what it is told from others by, and what taking it in will write."""

from collections.abc import Mapping
from pathlib import PurePath

import msgspec

from engine.clock import format_time
from engine.definition.model import BodyFormat, FileFormat, FileTrigger, MoveTo
from engine.flow.placing import placed
from engine.ids import new_execution_id
from engine.states import ExecutionState
from engine.store.deadletters import DeadLetter
from engine.store.executions import ExecutionRow
from engine.store.files import FileRow
from engine.triggers.bodies import read_body
from engine.triggers.routes import Active
from engine.values import InvalidValue, Json

__all__ = ["ORIGIN", "FileIdentity", "Found", "Intent", "execution_of", "intent_of"]

ORIGIN = "file"
"""Of the dead letters made here; their subject is the path."""

_encode = msgspec.json.Encoder().encode


class FileIdentity(msgspec.Struct, frozen=True):
    """What tells one file from another at the same path."""

    inode: int
    mtime_ns: int
    size: int

    def __str__(self) -> str:
        return f"{self.inode}-{self.mtime_ns}-{self.size}"

    @classmethod
    def parse(cls, text: str) -> "FileIdentity":
        inode, sign, rest = text.partition("-")
        mtime, _, size = rest.rpartition("-")  # a time before 1970 has a sign of its own
        return cls(int(inode), int(mtime), int(size)) if sign else cls(0, 0, 0)


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A file at rest that a workflow wants."""

    active: Active
    trigger: FileTrigger
    path: str
    """Absolute, where it lies."""
    identity: FileIdentity
    body: bytes = b""
    """What it holds; nothing with `format: path`."""
    problem: str = ""
    """Why it can't be read; it becomes a dead letter."""
    target: str = ""
    """The directory that it goes to; with `format: path` the place where it will be when its execution starts."""


class _Trigger(msgspec.Struct):
    """`trigger` as expressions see it."""

    kind: str
    subject: str
    headers: Mapping[str, str]
    id: str
    time: str
    data: msgspec.Raw


class Intent(msgspec.Struct, frozen=True):
    """What one commit writes about a file."""

    row: FileRow
    execution: ExecutionRow | None = None
    letter: DeadLetter | None = None


def intent_of(found: Found, now: int) -> Intent:
    """The row of a file, and the execution or the dead letter that goes with it."""
    row = FileRow(workflow=found.active.name, path=found.path, identity=str(found.identity), taken_at=now)
    problem, content = found.problem, None
    if not problem and found.trigger.format is not FileFormat.PATH:
        try:
            reading = BodyFormat(found.trigger.format.value)
            content = read_body(found.body, {}, reading, max_bytes=found.trigger.max_bytes).data
        except InvalidValue as error:
            problem = str(error)
    if problem:
        letter = DeadLetter(
            origin=ORIGIN, workflow=row.workflow, subject=row.path, reason=problem, body=found.body,
            size=found.identity.size, received_at=now,
        )  # fmt: skip
        return Intent(row, letter=letter)
    if isinstance(found.trigger.then, MoveTo):
        row.target = found.target
        row.after = "move"
        if found.trigger.format is FileFormat.PATH:
            row.after = "take"
            return Intent(row)
    elif found.trigger.then == "delete":
        row.after = "delete"
    execution = execution_of(found.active, found.path, found.path, found.identity, content, now)
    row.execution = execution.id
    return Intent(row, execution)


def execution_of(
    active: Active, found_at: str, path: str, identity: FileIdentity, content: msgspec.Raw | None, now: int
) -> ExecutionRow:
    """The execution that a file starts; `path` is where nodes find it."""
    data: dict[str, Json] = {
        "path": path,
        "name": PurePath(found_at).name,
        "size": identity.size,
        "modified": format_time(identity.mtime_ns // 1000),
    }
    if content is not None:
        data["content"] = content
    trigger = _Trigger("file", "", {}, f"{found_at}/{identity}", format_time(now), msgspec.Raw(_encode(data)))
    id = new_execution_id(now)
    row = ExecutionRow(
        id=id, workflow=active.name, version=active.version, status=ExecutionState.QUEUED, root=id,
        trigger=_encode(trigger), created_at=now,
    )  # fmt: skip
    return placed(row, active.workflow)
