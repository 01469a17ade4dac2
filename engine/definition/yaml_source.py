"""YAML 1.2 into plain data. ruamel.yaml parses; what the events mean is decided here, in one screen.

A library's constructor would build whatever a tag asks for, expand aliases without bound, recurse as deep as the file
nests, and read `1_000`, dates and sexagesimals its own way. From the stream of events the core schema of YAML 1.2 is
short, and every limit holds while the file is read: the first excess stops it. See test_hostile_files.py.
"""

from typing import Final

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from engine.definition.limits import MAX_DEPTH, MAX_LINE, MAX_VALUES
from engine.definition.problems import Path
from engine.definition.syntax import Refused
from engine.definition.yaml_scalar import TAG, read_scalar, read_text, refused_tag
from engine.values import Json

__all__ = ["read_yaml"]

_MERGE: Final = "<<"


class _Open(msgspec.Struct, gc=False):
    """A list or object whose end was not read yet."""

    value: list[Json] | dict[str, Json]
    path: Path
    anchor: str | None
    size: int = 1
    key: str | None = None
    merged: list[Json] = []
    keys: int = 0


def read_yaml(text: str) -> tuple[Json, dict[Path, int]]:
    """The data of one YAML document, and the line of every key and item. Raises Refused."""
    for number, line in enumerate(text.split("\n"), start=1):
        if len(line) > MAX_LINE:
            raise Refused(f"a line of {len(line)} characters", "break the text into lines with |", number)
    builder = _Builder()
    parser = YAML(typ="safe", pure=True)
    try:
        for event in parser.parse(text):
            builder.take(event)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ", ".join(part for part in (error.context, error.problem) if part)
        hint = "indent with spaces, not tabs" if "'\\t'" in said else ""
        raise Refused(f"not valid YAML: {said}", hint, None if mark is None else mark.line + 1) from None
    except Refused:
        raise
    except Exception as error:  # whatever trips the parser is wrong with the file, and must not stop an agent
        raise Refused(f"not valid YAML: {' '.join(str(error).split())[:200]}") from None
    if builder.documents == 0:
        raise Refused("the file is empty", "start from an example: `ganglion new`")
    return builder.root, builder.lines


class _Builder:
    """Turns parser events into data, without recursion."""

    def __init__(self) -> None:
        self.root: Json = None
        self.lines: dict[Path, int] = {}
        self.documents = 0
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Json, int] | None] = {}
        self._values = 0

    def take(self, event: Event) -> None:
        line = event.start_mark.line + 1
        if isinstance(event, ScalarEvent):
            if self._at_key():
                self._take_key(event, line)
            else:
                self._count(1, line)
                value = read_scalar(event, line)
                self._remember(event.anchor, value, 1)
                self._add(value, 1, line)
        elif isinstance(event, AliasEvent):
            self._take_alias(event, line)
        elif isinstance(event, MappingStartEvent | SequenceStartEvent):
            self._begin(event, line)
        elif isinstance(event, MappingEndEvent | SequenceEndEvent):
            self._end(line)
        elif isinstance(event, DocumentStartEvent):
            self._begin_document(event, line)

    def _begin_document(self, event: DocumentStartEvent, line: int) -> None:
        self.documents += 1
        if self.documents > 1:
            raise Refused("a second document begins here", "one file holds one workflow", line)
        if event.version is not None and tuple(event.version) != (1, 2):
            raise Refused("only YAML 1.2 is read", "remove the %YAML line", line)

    def _begin(self, event: MappingStartEvent | SequenceStartEvent, line: int) -> None:
        if self._at_key():
            raise Refused("a list or object is used as a key", "keys are plain words", line)
        if len(self._open) >= MAX_DEPTH:
            raise Refused(f"nested deeper than {MAX_DEPTH} levels", line=line)
        kind = "map" if isinstance(event, MappingStartEvent) else "seq"
        if event.tag not in (None, "!", TAG + kind):
            raise refused_tag(event.tag, line)
        path = self._path()
        self.lines.setdefault(path, line)
        self._count(1, line)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._open.append(_Open({} if kind == "map" else [], path, event.anchor, merged=[]))

    def _end(self, line: int) -> None:
        done = self._open.pop()
        if isinstance(done.value, dict):
            for source in done.merged:
                for key, item in source.items():
                    done.value.setdefault(key, item)
        self._remember(done.anchor, done.value, done.size)
        self._add(done.value, done.size, line)

    def _take_key(self, event: ScalarEvent, line: int) -> None:
        parent = self._open[-1]
        if event.tag not in (None, "!", TAG + "str"):
            raise refused_tag(event.tag, line)
        key = read_text(event.value, line)
        self._remember(event.anchor, key, 1)
        if key == _MERGE and event.style is None:
            parent.key = _MERGE
            return
        if not isinstance(parent.value, dict) or key in parent.value:
            raise Refused(f"the key {key[:64]} is there twice", "remove or rename one of them", line)
        parent.key = key
        parent.value[key] = None  # keeps its place, and its line
        self.lines[(*parent.path, key)] = line

    def _take_alias(self, event: AliasEvent, line: int) -> None:
        if self._at_key():
            raise Refused("an alias is used as a key", "write the key out", line)
        if event.anchor not in self._anchors:
            raise Refused(f"the alias *{event.anchor} has no anchor &{event.anchor} before it", line=line)
        target = self._anchors[event.anchor]
        if target is None:
            raise Refused(f"the alias *{event.anchor} stands inside what it refers to", line=line)
        self._count(target[1], line)
        self._add(*target, line)

    def _add(self, value: Json, size: int, line: int) -> None:
        if not self._open:
            self.root = value
            self.lines.setdefault((), line)
            return
        parent = self._open[-1]
        parent.size += size
        if isinstance(parent.value, list):
            self.lines.setdefault((*parent.path, len(parent.value)), line)
            parent.value.append(value)
        elif parent.key == _MERGE and _MERGE not in parent.value:
            sources = value if isinstance(value, list) else [value]
            if not all(isinstance(source, dict) for source in sources):
                raise Refused("<< merges an object, or a list of objects", "write `<<: *name`", line)
            parent.merged.extend(sources)
            parent.key = None
        elif parent.key is not None:
            parent.value[parent.key] = value
            parent.key = None

    def _path(self) -> Path:
        if not self._open:
            return ()
        parent = self._open[-1]
        step = len(parent.value) if isinstance(parent.value, list) else parent.key
        return parent.path if step is None else (*parent.path, step)

    def _at_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].value, dict) and self._open[-1].key is None

    def _remember(self, anchor: str | None, value: Json, size: int) -> None:
        if anchor is not None:
            self._anchors[anchor] = (value, size)

    def _count(self, size: int, line: int) -> None:
        self._values += size
        if self._values > MAX_VALUES:
            raise Refused(f"more than {MAX_VALUES} values", "split the workflow", line)
