"""Sources -> Config, or every mistake at once."""

import difflib
import os
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from agent.config.errors import InvalidConfig
from agent.config.model import PATHS, Config
from agent.config.models import check_model_name
from agent.config.places import default_data_dir, find_config
from agent.config.sources import Setting, extra, families, from_environ, from_file, from_flags, sections
from engine.values import Json

_WORDS = {"bool": "true or false", "int": "a whole number", "str": "text", "object": "a table", "array": "a list"}
"""How msgspec's names for kinds read in a message."""


def load_config(
    path: Path | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    flags: Mapping[str, tuple[str, str | None]] | None = None,
    to_make: bool = False,
) -> tuple[Config, Path | None]:
    """The settings, and the file that they came from. Raises InvalidConfig.

    `data_dir` is filled in, and paths are absolute. `to_make`: for a command that may have to make the data directory,
    which is refused in another user's home unless somebody has named it.
    """
    path = path or find_config(environ)
    settings = [*_read(path), *from_environ(environ), *from_flags(flags or {})]
    tree: dict[str, Json] = {}
    problems: list[str] = []
    for setting in settings:
        try:
            value = _value(setting)
        except ValueError as error:
            problems.append(f"{setting.place}: {error}")
            continue
        here = tree
        for key in setting.path[:-1]:
            here = here.setdefault(key, {})
        here[setting.path[-1]] = value
    if problems:
        raise InvalidConfig(problems)
    if not tree.get("data_dir"):
        tree["data_dir"] = str(default_data_dir(environ, to_make=to_make))
    try:
        return msgspec.convert(tree, Config), path
    except msgspec.ValidationError as error:  # what concerns two keys at once
        raise InvalidConfig([f"{path or 'configuration'}: {str(error).partition(' - at ')[0]}"]) from None


def _read(path: Path | None) -> list[Setting]:
    if path is None:
        return []
    try:
        return from_file(path)
    except OSError as error:
        raise InvalidConfig([f"{path}: {error.strerror or error}: name a file that can be read"]) from None
    except UnicodeDecodeError:
        raise InvalidConfig([f"{path}: is not UTF-8 text"]) from None
    except tomllib.TOMLDecodeError as error:
        raise InvalidConfig([f"{path}: is not valid TOML: {error}"]) from None


def _value(setting: Setting) -> Json:
    """The setting's value, decoded as its field. Raises ValueError with the key and the remedy."""
    kind, generic = _field(setting)
    dotted = ".".join(setting.path)
    value = _from_text(setting.value, kind) if setting.is_text else setting.value
    try:
        read = extra(kind).get("read")
        value = msgspec.convert(read(value) if read else value, kind, strict=not setting.is_text)
    except msgspec.ValidationError as error:
        raise ValueError(f"{dotted}: {_remedy(error, kind, value)}") from None
    except ValueError as error:
        raise ValueError(f"{dotted}: {error}") from None
    if generic in PATHS and value:
        return [_absolute(setting, one) for one in value] if isinstance(value, tuple) else _absolute(setting, value)
    return value


def _absolute(setting: Setting, path: str) -> str:
    try:
        return str(setting.base / Path(path).expanduser())
    except RuntimeError:
        raise ValueError(
            f"{'.'.join(setting.path)}: {path}: there is no home directory to put for ~: write the path in full"
        ) from None


def _field(setting: Setting) -> tuple[Any, str]:
    """The type of the setting's field, and its key with `*` for names of a person's choice."""
    struct: type[msgspec.Struct] = Config
    generic: list[str] = []
    path = list(setting.path)
    while path:
        key = path.pop(0)
        generic.append(key)
        fields = {field.name: field.type for field in msgspec.structs.fields(struct)}
        dotted = ".".join(setting.path[: len(generic)])
        if key not in fields:
            near = _variable(setting) or difflib.get_close_matches(key, fields, n=1) or _elsewhere(key)
            where = f"did you mean {near[0]}?" if near else f"known here: {', '.join(fields)}"
            raise ValueError(f"there is no setting {dotted}; {where}")
        if key in families(struct):
            struct = families(struct)[key]
            if not path:
                raise ValueError(f"{dotted} holds sections: write [{dotted}.NAME]")
            generic.append("*")
            try:
                check_model_name(path.pop(0))
            except ValueError as error:
                raise ValueError(f"{'.'.join(setting.path[: len(generic)])}: {error}") from None
        elif key in sections(struct):
            struct = sections(struct)[key]
        elif path:
            raise ValueError(f"{dotted} is a value, not a section")
        else:
            return fields[key], ".".join(generic)
    raise ValueError(f"{'.'.join(setting.path)} is a section; its keys are {', '.join(struct.__struct_fields__)}")


def _variable(setting: Setting) -> list[str]:
    """The variable that a person meant who wrote one underscore for two."""
    variables = [f"GANGLION_{key.upper().replace('.', '__')}" for key in all_keys()]
    single = setting.place.replace("__", "_")
    return [name for name in variables if setting.is_text and name.replace("__", "_") == single]


def _elsewhere(key: str) -> list[str]:
    """Where a key stands that was looked for in the wrong section."""
    return [dotted for dotted in all_keys() if dotted.rpartition(".")[2] == key][:1]


def all_keys(struct: type[msgspec.Struct] = Config, prefix: str = "") -> list[str]:
    """Every setting by its dotted name, in the order of the model; `*` stands for names of a person's choice."""
    keys: list[str] = []
    inner, named = sections(struct), families(struct)
    for field in msgspec.structs.fields(struct):
        if field.name in inner:
            keys += all_keys(inner[field.name], f"{prefix}{field.name}.")
        elif field.name in named:
            keys += all_keys(named[field.name], f"{prefix}{field.name}.*.")
        else:
            keys.append(prefix + field.name)
    return keys


def _from_text(text: str, kind: Any) -> Json:
    """Text from the environment or a flag: tables are written as `site=berlin,floor=2`, lists as `a,b`."""
    info = msgspec.inspect.type_info(kind)
    if isinstance(info, msgspec.inspect.Metadata):
        info = info.type
    if isinstance(info, msgspec.inspect.VarTupleType):
        return [part.strip() for part in text.split(",") if part.strip()]
    if not isinstance(info, msgspec.inspect.DictType):
        return text
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if not all(equals for _, equals, _ in pairs):
        return text
    return {key.strip(): value.strip() for key, _, value in pairs}


def _remedy(error: msgspec.ValidationError, kind: Any, value: Json) -> str:
    while hasattr(kind, "__metadata__"):
        kind = kind.__origin__
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        near = difflib.get_close_matches(str(value), list(kind), n=1)
        return f"expected {', '.join(kind)}" + (f"; did you mean {near[0]}?" if near else "")
    text = str(error).partition(" - at ")[0]
    for name, words in _WORDS.items():
        text = text.replace(f"`{name}`", words)
    return text[:1].lower() + text[1:].replace("`", "")
