"""A file, the environment and flags, each as a list of settings that know where they stand."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from agent.config.model import Config
from engine.values import Json

OTHER_VARIABLES = frozenset(
    {"GANGLION_CACHE_DIR", "GANGLION_CONFIG", "GANGLION_CRASH_AT", "GANGLION_EXECUTABLE", "GANGLION_URL"}
)
"""Variables of ours that are no settings."""

_HEADER = re.compile(r"\s*\[([^\[\]]+)\]\s*(?:#.*)?$")
_PART = re.compile(r"\"[^\"]*\"|'[^']*'|[^.\s\"']+")
_KEY = re.compile(r"\s*([A-Za-z0-9_.\"' -]+?)\s*=")


class Setting(msgspec.Struct, frozen=True):
    """One value and where it stands: `ganglion.toml:12`, `GANGLION_MESH__LISTEN`, `--listen`."""

    place: str
    path: tuple[str, ...]
    value: Json
    base: Path
    """What a relative path starts from."""
    is_text: bool = False
    """From the environment or a flag: numbers and tables are still to be read."""


def from_file(path: Path) -> list[Setting]:
    """The settings of a TOML file. Raises OSError, and ValueError (not UTF-8, not TOML) with the place."""
    text = path.read_bytes().decode()
    lines = _lines(text)
    return [
        Setting(f"{path}:{lines[found]}" if found in lines else str(path), found, value, path.absolute().parent)
        for found, value in _leaves(tomllib.loads(text), Config, ())
    ]


def from_environ(environ: Mapping[str, str]) -> list[Setting]:
    """`GANGLION_MESH__LISTEN` is mesh.listen. Secrets and our other variables are left alone."""
    return [
        Setting(name, tuple(name.removeprefix("GANGLION_").lower().split("__")), value, Path.cwd(), is_text=True)
        for name, value in sorted(environ.items())
        if name.startswith("GANGLION_") and not name.startswith("GANGLION_SECRET_") and name not in OTHER_VARIABLES
    ]


def from_flags(flags: Mapping[str, tuple[str, str | None]]) -> list[Setting]:
    """Flags as `{"--listen": ("mesh.listen", "127.0.0.1:0")}`; those not given are None."""
    return [
        Setting(flag, tuple(key.split(".")), value, Path.cwd(), is_text=True)
        for flag, (key, value) in flags.items()
        if value is not None
    ]


def sections(struct: type[msgspec.Struct]) -> dict[str, type[msgspec.Struct]]:
    """The fields of a section that are sections themselves."""
    return {
        field.name: field.type
        for field in msgspec.structs.fields(struct)
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
    }


def families(struct: type[msgspec.Struct]) -> dict[str, type[msgspec.Struct]]:
    """The fields of a section that hold sections by names of a person's choice."""
    found = {field.name: msgspec.inspect.type_info(field.type) for field in msgspec.structs.fields(struct)}
    return {
        name: info.value_type.cls
        for name, info in found.items()
        if isinstance(info, msgspec.inspect.DictType) and isinstance(info.value_type, msgspec.inspect.StructType)
    }


def extra(kind: Any) -> dict[str, Any]:
    """What the units say of a field's type: `read`, `show`."""
    info = msgspec.inspect.type_info(kind)
    return (info.extra or {}) if isinstance(info, msgspec.inspect.Metadata) else {}


def _leaves(
    tree: Mapping[str, Json], struct: type[msgspec.Struct] | None, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Json]]:
    inner = sections(struct) if struct else {}
    named = families(struct) if struct else {}
    for key, value in tree.items():
        if key in inner and isinstance(value, dict):
            yield from _leaves(value, inner[key], (*path, key))
        elif key in named and isinstance(value, dict):
            for name, section in value.items():
                if isinstance(section, dict) and section:
                    yield from _leaves(section, named[key], (*path, key, name))
                else:
                    yield (*path, key, name), section
        else:
            yield (*path, key), value


def _lines(text: str) -> dict[tuple[str, ...], int]:
    """The line of each key. tomllib keeps none; this reads only `[section]` and `key =`, good enough for a message."""
    lines: dict[tuple[str, ...], int] = {}
    section: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            section = _parts(header[1])
            lines.setdefault(section, number)
        elif key := _KEY.match(line):
            lines.setdefault(section + _parts(key[1]), number)
    return lines


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))
