"""The keys as config.example.toml: made from the model, so that it can't fall behind."""

import inspect
import textwrap
from collections.abc import Container, Mapping

import msgspec

from agent.config.model import Config
from agent.config.models import MODEL_SAMPLES
from agent.config.section import Section
from agent.config.sources import extra, families, sections

HEAD = """\
# Settings of a Ganglion agent. Everything has a default: an agent without a file is fine.
#
# Read from --config, $GANGLION_CONFIG, config.toml in $CONFIGURATION_DIRECTORY (a systemd service's), in
# ~/.config/ganglion ($XDG_CONFIG_HOME) or in /etc/ganglion, the first there is.
# The environment comes after the file (GANGLION_MESH__LISTEN is listen of [mesh], GANGLION_AGENT__LABELS=site=berlin,
# lists have commas), flags come last (`ganglion up --help`). Not settings: GANGLION_SECRET_NAME is a secret for
# workflows, GANGLION_URL the agent that commands ask, GANGLION_CACHE_DIR where the executable unpacks itself.
# Durations are written as "30s" or "1h30m", sizes as "64KiB" or "1GB". Relative paths start at this file.
"""
SAMPLES = {"models": MODEL_SAMPLES}
"""What stands in the example for sections that have names of a person's choice."""


def example(chosen: Container[str] | None = None, values: Mapping[str, str] | None = None) -> str:
    """The file: all keys, or those `chosen` by their dotted names; each as a comment with its default, or as a setting
    where `values` has one."""
    return HEAD + "".join(_section(Config, "", chosen, values or {}))


def _section(
    struct: type[msgspec.Struct], name: str, chosen: Container[str] | None, values: Mapping[str, str]
) -> list[str]:
    inner, named = sections(struct), families(struct)
    prefix = f"{name}." if name else ""
    lines = [
        _key(field, field.default, values.get(prefix + field.name))
        for field in msgspec.structs.fields(struct)
        if field.name not in inner and field.name not in named and (chosen is None or prefix + field.name in chosen)
    ]
    if name and (lines or chosen is None):
        about = inspect.getdoc(struct) if issubclass(struct, Section) else None
        lines.insert(0, f"\n{_comment(about or '')}[{name}]\n")
    for key, section in inner.items():
        lines += _section(section, prefix + key, chosen, values)
    for key, section in named.items():
        if chosen is None or key in chosen:
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


def _key(field: msgspec.structs.FieldInfo, value: object, given: str | None = None) -> str:
    """A key with its description, and a value as a comment or as it was given."""
    info = msgspec.inspect.type_info(field.type)
    schema = info.extra_json_schema if isinstance(info, msgspec.inspect.Metadata) else None
    show = extra(field.type).get("show")
    shown = _toml(show(value) if show else value)
    line = f"# {field.name} = {shown}" if given is None else f"{field.name} = {_toml(given)}"
    return f"\n{_comment((schema or {}).get('description', ''))}{line}\n"


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
