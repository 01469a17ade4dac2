"""JSON Schema of workflow files, for editors: completion, descriptions, and most mistakes while they are typed.

Made from the structs that the reader checks against and from the params of the node types. What needs more than one
place of the file to judge (names, ports, cycles, expressions) only `ganglion check` says.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import msgspec

from engine.contract import NodeType, NodeTypes, Role, role_of
from engine.definition.form import INSIDE_ONLY, NAME, NodeForm, WorkflowForm
from engine.definition.model import CronTrigger, FileTrigger, FleetTrigger, NatsTrigger, WorkflowTrigger

__all__ = ["json_schema"]

Schema: TypeAlias = dict[str, Any]

_TEXT: Final[Schema] = {"type": "string", "pattern": r"\{\{|\{%", "description": "A text that is evaluated."}

_TRIGGERS: Final = {
    "nats": NatsTrigger,
    "cron": CronTrigger,
    "workflow": WorkflowTrigger,
    "file": FileTrigger,
    "fleet": FleetTrigger,
}

_SIZE: Final[Schema] = {
    "type": ["string", "integer"],
    "minimum": 0,
    "pattern": r"^[0-9.]+ ?([kKMG]i?)?B?$|\{\{",
    "examples": ["64KiB", "10MB"],
}

_NODES: Final[Schema] = {
    "type": "object",
    "minProperties": 1,
    "propertyNames": {"pattern": NAME},
    "additionalProperties": {"$ref": "#/$defs/node"},
}

_DURATION: Final[Schema] = {
    "type": ["string", "number"],
    "minimum": 0,
    "pattern": r"^([0-9.]+(us|ms|s|m|h|d|w))+$|\{\{",
    "examples": ["500ms", "30s", "1h30m"],
}


def json_schema(types: NodeTypes) -> Schema:
    """The schema (draft 2020-12) of workflow files whose nodes are of these types."""
    known = [type for name in types.names() if (type := types.get(name)) is not None]
    structs = list(dict.fromkeys([WorkflowForm, NodeForm, *_TRIGGERS.values(), *(type.params for type in known)]))
    refs, defs = msgspec.json.schema_components(structs)
    found = {struct: defs[ref["$ref"].rpartition("/")[2]] for struct, ref in zip(structs, refs, strict=True)}
    parts = {name: part for name, part in defs.items() if not any(part is one for one in found.values())}
    schema = dict(found[WorkflowForm])
    properties = dict(schema["properties"])
    properties["triggers"] = properties["triggers"] | {"items": _trigger(found)}
    properties["nodes"] = properties["nodes"] | _NODES
    for name in ("defaults", "events", "on_failure", "timeout", "max_concurrent_nodes", "durability", "checkpoint",
                 "limits", "degradation"):  # fmt: skip
        properties[name] = _evaluated(properties[name])
    for name in ("params", "vars"):
        properties[name] = properties[name] | {"propertyNames": {"pattern": NAME}}
    for type in known:
        _hold_nodes(type, found[type.params], defs)
    common = found[NodeForm]["properties"]
    return schema | {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Ganglion workflow",
        "properties": properties,
        "$defs": {
            **{name: part if name == "Param" else _inside(part) for name, part in parts.items()},
            "node": _node(known, common),
            **{f"node_{type.name}": _type(type, found[type.params], common) for type in known},
        },
    }


def _hold_nodes(type: NodeType, params: Schema, defs: Mapping[str, Schema]) -> None:
    """Say where nodes stand inside a node of this type."""
    for body in type.bodies.values():
        if body.made is not None:
            continue
        shape = params
        for key in body.at[:-1]:
            shape = _object(shape["properties"][key], defs)
        name = body.at[-1]
        said = shape["properties"][name].get("description", "Nodes, by name.")
        shape["properties"] = shape["properties"] | {name: {**_NODES, "description": said}}


def _object(field: Schema, defs: Mapping[str, Schema]) -> Schema:
    """The object with named fields that a field takes."""
    for shape in (field, *field.get("anyOf", ())):
        if "$ref" in shape:
            return defs[shape["$ref"].rpartition("/")[2]]
    return field


def _trigger(found: Mapping[Any, Schema]) -> Schema:
    kinds = {}
    for kind, struct in _TRIGGERS.items():
        part = found[struct]
        fields = {name: _evaluated(field) for name, field in part["properties"].items() if name != "type"}
        required = [name for name in part.get("required", ()) if name != "type"]
        kinds[kind] = part | {"properties": fields, "required": required, "additionalProperties": False}
    return {
        "type": "object",
        "properties": kinds,
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": False,
    }


def _node(known: list[NodeType], common: Mapping[str, Schema]) -> Schema:
    """Any node: its type says which fields it has."""
    names = [name for type in known for name in (type.name, *type.aliases)]
    return {
        "type": "object",
        "properties": {"type": common["type"] | {"enum": names}},
        "required": ["type"],
        "allOf": [
            {
                "if": {"properties": {"type": {"enum": [type.name, *type.aliases]}}, "required": ["type"]},
                "then": {"$ref": f"#/$defs/node_{type.name}"},
            }
            for type in known
        ],
    }


def _type(type: NodeType, params: Schema, common: Mapping[str, Schema]) -> Schema:
    """A node of one type: the common fields and its own."""
    roles = {field.encode_name: role_of(field) for field in msgspec.structs.fields(type.params)}
    own = {name: _own(field, roles[name]) for name, field in params["properties"].items()}
    shared = {name: field for name, field in common.items() if not type.bodies or name not in INSIDE_ONLY}
    needed = [body.at[0] for body in type.bodies.values() if len(body.at) == 1 and body.made is None]
    return {
        "type": "object",
        "description": type.description,
        "properties": own | {name: _evaluated(field) for name, field in shared.items()},
        "required": list(dict.fromkeys(["type", *params.get("required", ()), *needed])),
        "additionalProperties": False,
    }


def _own(field: Schema, role: Role) -> Schema:
    if field.get("additionalProperties") == _NODES["additionalProperties"]:
        return field
    if role is not Role.EXPRESSION and field.get("type") == "string" and not field.keys() & {"enum", "pattern"}:
        return field | {"type": ["string", "number", "boolean"]}  # written out, as in a text
    return _evaluated(field)


def _evaluated(field: Schema) -> Schema:
    """A field in whose place, and inside which, a text may stand that is evaluated."""
    shape = _inside({name: item for name, item in field.items() if name not in ("description", "default")})
    said = {name: item for name, item in field.items() if name in ("description", "default")}
    free = not shape or (shape.get("type") == "string" and not shape.keys() & {"enum", "pattern", "minLength"})
    return said | (shape if free else {"anyOf": [shape, _TEXT]})


def _inside(shape: Schema) -> Schema:
    if shape.get("format") == "duration":
        return _DURATION
    if shape.get("format") == "size":
        return _SIZE
    shape = dict(shape)
    for name in ("items", "additionalProperties"):
        if isinstance(shape.get(name), dict):
            shape[name] = _evaluated(shape[name])
    for name in ("anyOf", "prefixItems"):
        if name in shape:
            shape[name] = [_inside(part) for part in shape[name]]
    if "properties" in shape:
        shape["properties"] = {name: _evaluated(part) for name, part in shape["properties"].items()}
    return shape
