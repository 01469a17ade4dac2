"""The JSON Schema agrees with the reader, as far as a schema can."""

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from engine.definition import json_schema, parse_tree
from engine.definition.form import NodeForm
from engine.values import encode_json
from plugins.registry import Registry

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.yaml"))


@pytest.fixture(scope="module")
def validator(types: Registry) -> Draft202012Validator:
    schema = json_schema(types)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def is_valid(validator: Draft202012Validator, text: str) -> bool:
    return bool(validator.is_valid(parse_tree(text.encode(), "w.yaml").tree))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_fits(validator: Draft202012Validator, path: Path) -> None:
    tree = parse_tree(path.read_bytes(), path.name).tree
    assert [error.message for error in validator.iter_errors(tree)] == []


def test_every_example_of_a_node_type_fits(validator: Draft202012Validator, types: Registry) -> None:
    for name in types.names():
        node_type = types.get(name)
        assert node_type is not None
        tree = parse_tree(node_type.example.encode(), "example.yaml").tree
        assert [error.message for error in validator.iter_errors(tree)] == [], name


@pytest.mark.parametrize(
    "text",
    [
        "nodes: {a: {type: log, message: x}}",
        "name: Bad Name\nnodes: {a: {type: log, message: x}}",
        "name: w\nnodes: {}",
        "name: w\nnodes: {A: {type: log, message: x}}",
        "name: w\nnodes: {a: {type: lgo, message: x}}",
        "name: w\nnodes: {a: {message: x}}",
        "name: w\nnodes: {a: {type: log}}",
        "name: w\nnodes: {a: {type: log, message: x, mesage: y}}",
        "name: w\nnodes: {a: {type: log, message: x, level: loud}}",
        "name: w\nnodes: {a: {type: log, message: x, timeout: fast}}",
        "name: w\nnodes: {a: {type: log, message: x, retry: {max: -1}}}",
        "name: w\nnodes: {a: {type: log, message: x, retry: {times: 1}}}",
        "name: w\nnodes: {a: {type: log, message: x, needs: 5}}",
        "name: w\nnodes: {a: {type: http, url: x, ok_status: [y]}}",
        "name: w\ntriggers: [{natss: {subject: x}}]\nnodes: {a: {type: log, message: x}}",
        "name: w\ntriggers: [{nats: {}}]\nnodes: {a: {type: log, message: x}}",
        "name: w\nparams: {p: {type: nubmer}}\nnodes: {a: {type: log, message: x}}",
        "name: w\ndurability: end\nnodes: {a: {type: log, message: x}}",
        "name: w\ncheckpoint: {rows: 2}\nnodes: {a: {type: log, message: x}}",
        "name: w\nreplicate: true\nnodes: {a: {type: log, message: x}}",
    ],
)
def test_a_wrong_file_does_not_fit(validator: Draft202012Validator, text: str) -> None:
    assert not is_valid(validator, text)


@pytest.mark.parametrize(
    "node",
    [
        "{type: log, message: 5, level: '{{ params.level }}'}",
        "{type: log, message: x, timeout: '{{ params.t }}', retry: '{{ params.r }}'}",
        "{type: http, url: x, ok_status: [200, '{{ nodes.a }}'], headers: '{{ nodes.a }}', verify: '{{ nodes.b }}'}",
        "{type: if, condition: true}",
        "{type: sleep, duration: 5}",
        "{type: transform, data: {any: [thing, 1, null]}, default: null, when: false}",
    ],
)
def test_texts_may_stand_where_something_is_evaluated(validator: Draft202012Validator, node: str) -> None:
    assert is_valid(validator, f"name: w\nnodes: {{a: {node}}}")


def test_every_field_has_a_description(types: Registry) -> None:
    schema = json_schema(types)
    shapes = {"workflow": schema, **schema["$defs"]}
    for name in ("workflow", "Param", "RetryPolicy", "DefaultsForm", *(f"node_{name}" for name in types.names())):
        for field, shape in shapes[name]["properties"].items():
            assert shape.get("description"), f"{name}.{field}"


def test_no_node_type_takes_the_name_of_a_common_field(types: Registry) -> None:
    common = set(NodeForm.__struct_encode_fields__)
    for name in types.names():
        node_type = types.get(name)
        assert node_type is not None
        assert not common & set(node_type.params.__struct_encode_fields__), name


def test_the_schema_is_plain_json(types: Registry) -> None:
    assert encode_json(json_schema(types))
