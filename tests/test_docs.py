"""What docs/ shows is taken as it is."""

import re
from pathlib import Path

import pytest

from agent.node_types import node_types
from engine.definition import load_workflow

TEXT = (Path(__file__).parents[1] / "docs/language.md").read_text()
BLOCKS = [block for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL) if "template:" not in block]
TYPES = node_types(allow_shell=True)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n", 1)[0])
def test_a_block_is_a_valid_workflow(block: str) -> None:
    load_workflow(block.encode(), types=TYPES, filename="language.md.yaml")


def test_every_node_type_is_shown() -> None:
    for name in TYPES.names():
        if name not in ("publish", "request", "shell"):
            assert re.search(rf"type: {name}\b", TEXT), name


def test_every_link_leads_somewhere() -> None:
    anchors = {re.sub(r"[^a-z -]", "", line[3:].lower()).replace(" ", "-") for line in TEXT.splitlines()
               if line.startswith("## ")}  # fmt: skip
    for target in re.findall(r"\]\(#([\w-]+)\)", TEXT):
        assert target in anchors
    for target in re.findall(r"\]\(\.\./([^)]+)\)", TEXT):
        assert (Path(__file__).parents[1] / target).exists()
