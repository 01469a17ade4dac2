"""A filled template as YAML: with the template's own comments and layout where that can be done, else plainly.

Whatever the way, what is written is read back and must be the tree that was meant; JSON, which is YAML, always is.
"""

import io
import json
import re
from collections.abc import Callable, Mapping

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import ScalarString

from engine.definition.problems import InvalidWorkflow
from engine.definition.source import canonical, parse_tree
from engine.values import Json, encode_json

__all__ = ["write_filled", "write_plain"]

Filled = Callable[[Json], Json]
_BLOCK = re.compile(r"^template[ \t]*:.*\n(?:[ \t]+.*\n|[ \t]*\n)*", re.MULTILINE)


def write_filled(text: str, tree: Mapping[str, Json], filled: Filled) -> str:
    """A YAML template's text without its `template` block and with its scalars replaced by `filled`; `tree` is what
    that must give."""
    layout = YAML(typ="rt")
    layout.preserve_quotes = True
    layout.width = 4096
    layout.indent(mapping=2, sequence=4, offset=2)
    rest = _BLOCK.sub("", text.replace("\r\n", "\n") + "\n", count=1)
    try:
        parse_tree(rest.encode(), "rest.yaml")  # bounded and free of tags before the library builds anything from it
        data = layout.load(rest)
        _replace(data, filled)
        out = io.StringIO()
        layout.dump(data, out)
    except Exception:  # the library's layouts have limits of many kinds: what is written plainly is right, too
        return write_plain(tree)
    written = out.getvalue().strip("\n") + "\n"
    return written if _gives(written, tree) else write_plain(tree)


def write_plain(tree: Mapping[str, Json]) -> str:
    """The tree as YAML without comments."""
    layout = YAML(typ="safe", pure=True)
    layout.default_flow_style = False
    layout.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    layout.width = 4096
    layout.allow_unicode = True
    out = io.StringIO()
    layout.dump(msgspec.json.decode(encode_json(tree)), out)
    written = out.getvalue()
    # ASCII: there are characters that JSON allows and YAML does not.
    return written if _gives(written, tree) else json.dumps(tree, indent=2) + "\n"


def _replace(data: Json, filled: Filled) -> None:
    """In place, so that comments stay where they are."""
    items = list(data.items()) if isinstance(data, dict) else list(enumerate(data)) if isinstance(data, list) else []
    for key, value in items:
        if isinstance(value, str):
            new = filled(str(value))
            if type(new) is not str or new != value:
                keeps = isinstance(value, ScalarString) and isinstance(new, str)
                data[key] = type(value)(new) if keeps else new
        else:
            _replace(value, filled)


def _gives(written: str, tree: Mapping[str, Json]) -> bool:
    try:
        return canonical(parse_tree(written.encode(), "written.yaml").tree) == canonical(tree)
    except InvalidWorkflow:
        return False
