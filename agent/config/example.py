"""The keys as config.example.toml: made from the model, so that it can't fall behind."""

import inspect
import textwrap

import msgspec

from agent.config.model import Config
from agent.config.models import MODEL_SAMPLES
from agent.config.section import Section
from agent.config.sources import extra, families, sections

HEAD = """\
# Settings of a Ganglion agent. Everything has a default: an agent without a file is fine.
#
# Read from --config, $GANGLION_CONFIG, ~/.config/ganglion/config.toml or /etc/ganglion/config.toml, the first there is.
# The environment comes after the file (GANGLION_MESH__LISTEN is listen of [mesh]), flags come last.
# Durations are written as "30s" or "1h30m", sizes as "64KiB" or "1GB". Relative paths start at this file.
"""
SAMPLES = {"models": MODEL_SAMPLES}
"""What stands in the example for sections that have names of a person's choice."""


def example() -> str:
    """The whole file; every key stands as a comment with its default."""
    return HEAD + "".join(_section(Config, ""))


def _section(struct: type[msgspec.Struct], name: str) -> list[str]:
    lines: list[str] = []
    inner, named = sections(struct), families(struct)
    if name:
        about = inspect.getdoc(struct) if issubclass(struct, Section) else None
        lines.append(f"\n{_comment(about or '')}[{name}]\n")
    lines += [
        _key(field, field.default)
        for field in msgspec.structs.fields(struct)
        if field.name not in inner and field.name not in named
    ]
    for key, section in inner.items():
        lines += _section(section, f"{name}.{key}" if name else key)
    for key, section in named.items():
        lines += _samples(section, key)
    return lines


def _samples(struct: type[msgspec.Struct], name: str) -> list[str]:
    """Sections of a person's choice, as comments: one with all keys, others with those that they need."""
    (first, values), *others = SAMPLES[name].items()
    lines = [f"\n{_comment(inspect.getdoc(struct) or '')}# [{name}.{first}]\n"]
    lines += [_key(field, values.get(field.name, field.default)) for field in msgspec.structs.fields(struct)]
    for other, values in others:
        keys = "".join(f"# {key} = {_toml(value)}\n" for key, value in values.items())
        lines.append(f"\n# [{name}.{other}]\n{keys}")
    return lines


def _key(field: msgspec.structs.FieldInfo, value: object) -> str:
    """A key with its description and a value."""
    info = msgspec.inspect.type_info(field.type)
    schema = info.extra_json_schema if isinstance(info, msgspec.inspect.Metadata) else None
    show = extra(field.type).get("show")
    shown = _toml(show(value) if show else value)
    return f"\n{_comment((schema or {}).get('description', ''))}# {field.name} = {shown}\n"


def _comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in textwrap.wrap(" ".join(text.split()), 116))


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict) or value is msgspec.NODEFAULT:
        return '{ site = "berlin" }'
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, int):
        return str(value)
    return f'"{value}"'
