"""`check`, `schema`: workflow files before anything runs them."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from agent.cli.failure import Exit
from agent.cli.options import AsJson, ConfigFile, Params, assignments, read_source, settings
from agent.cli.screen import remark, say, write_json
from engine.values import Json

Files = Annotated[list[Path], typer.Argument(help="Workflow files; - is standard input.", show_default=False)]


def check(files: Files, param: Params = None, config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Check workflow files; every mistake with its line and remedy."""
    from agent.node_types import node_types
    from engine.definition import InvalidWorkflow, load_workflow
    from engine.definition.calls import unknown_calls
    from engine.definition.fleet import NEEDS_A_RECORD, FleetTrigger

    here = settings(config)
    types, records = node_types(allow_shell=here.engine.allow_shell), here.fleet.record
    params = assignments(param, "-p")
    results: list[dict[str, Json]] = []
    sources = [(path, read_source(path)) for path in files]
    known = _names(sources)
    for path, source in sources:
        name = "<stdin>" if str(path) == "-" else str(path)
        try:
            workflow = load_workflow(source, types=types, filename=name, params=params)
        except InvalidWorkflow as invalid:
            problems = [msgspec.structs.asdict(problem) for problem in invalid.problems]
            results.append({"file": name, "ok": False, "problems": problems, "warnings": []})
            if not as_json:
                for problem in invalid.problems:
                    remark(str(problem))
            continue
        warnings = [*workflow.warnings, *unknown_calls(workflow, known, "among these files")]
        if not records and any(isinstance(trigger, FleetTrigger) for trigger in workflow.triggers):
            warnings.append(f"triggers: {NEEDS_A_RECORD}")
        results.append(
            {
                "file": name,
                "ok": True,
                "workflow": workflow.name,
                "nodes": len(workflow.nodes),
                "problems": [],
                "warnings": warnings,
            }
        )
        if not as_json:
            say(f"{name}: ok, workflow {workflow.name} with {_count(len(workflow.nodes), 'node')}")
            for warning in warnings:
                remark(f"{name}: warning: {warning}")
    if as_json:
        write_json({"files": results})
    bad = sum(not result["ok"] for result in results)
    if bad:
        if not as_json:
            found = sum(len(result["problems"]) for result in results)
            remark(f"{_count(found, 'problem')} in {_count(bad, 'file')}")
        raise typer.Exit(Exit.USAGE)


def schema() -> None:
    """Print the JSON Schema of workflow files, for editors."""
    from agent.node_types import node_types
    from engine.definition import json_schema

    say(msgspec.json.format(msgspec.json.encode(json_schema(node_types(allow_shell=True))), indent=2).decode())


def _names(sources: list[tuple[Path, bytes]]) -> set[str]:
    """What the files call their workflows, right or wrong."""
    from engine.definition import InvalidWorkflow, parse_tree

    names: set[str] = set()
    for path, source in sources:
        try:
            tree = parse_tree(source, "-" if str(path) == "-" else str(path)).tree
        except InvalidWorkflow:
            continue
        if isinstance(tree, dict) and isinstance(tree.get("name"), str):
            names.add(tree["name"])
    return names


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
