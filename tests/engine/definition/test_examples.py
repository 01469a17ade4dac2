"""The examples are what a newcomer reads first: each loads, without a warning."""

from pathlib import Path

import pytest

from engine.definition import load_workflow
from plugins.registry import Registry

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_loads_and_is_named_like_its_file(path: Path, types: Registry) -> None:
    workflow = load_workflow(path.read_bytes(), types=types, filename=path.name, complete=False)
    assert workflow.name == path.stem
    assert workflow.description
    assert workflow.warnings == ()


def test_cold_chain_goes_both_ways(types: Registry) -> None:
    path = next(path for path in EXAMPLES if path.stem == "cold-chain")
    workflow = load_workflow(path.read_bytes(), types=types, params={"limit": "4"})
    ports = {str(need) for node in workflow.nodes.values() for need in node.needs}
    assert ports == {"bad.then", "bad.else"}
    assert workflow.bound == {"limit": 4}
