"""The arrows of the layout: agent -> mesh, plugins -> engine; and one owner folder for each third-party library."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = ("agent", "engine", "mesh", "plugins")
MAY_IMPORT = {
    "engine": {"engine"},
    "mesh": {"mesh", "engine"},
    "plugins": {"plugins", "engine"},
    "agent": {"agent", "mesh", "plugins", "engine"},
}
OWNERS = {
    "aiosqlite": ("engine/store",),
    "croniter": ("engine/schedule.py",),
    "re2": ("engine/expressions",),
    "ruamel": ("engine/definition",),
    "nats": ("mesh",),
    "nkeys": ("mesh",),
    "nacl": ("agent/update",),
    "httpx": ("plugins",),
    "jsonschema": ("plugins/llm",),
    "referencing": ("plugins/llm",),
    "llama_cpp": ("plugins/llm/local",),
    "wasmtime": ("plugins/wasm",),
    "typer": ("agent/cli",),
    "rich": ("agent/cli",),
    "uvloop": ("agent",),
    "psutil": ("engine/resources", "agent", "mesh", "plugins"),
    "paho": ("agent/demo",),
    "msgspec": OURS,
}
"""A library that is not here belongs to nobody yet: name its owner first."""
JOINS = "agent/app.py"
"""The one file that may know the mesh and the plugins."""

FILES = [path for folder in OURS for path in sorted((ROOT / folder).rglob("*.py"))]


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, anywhere in it, in full."""
    for node in ast.walk(ast.parse(path.read_bytes(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: write the module in full"
            yield node.module or ""


@pytest.mark.parametrize("folder", OURS)
def test_imports_follow_the_arrows(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        for module in imports(path):
            top = module.partition(".")[0]
            assert top not in OURS or top in MAY_IMPORT[folder], f"{path.relative_to(ROOT)} imports {module}"


def test_each_library_stays_with_its_owner() -> None:
    for path in FILES:
        name = path.relative_to(ROOT).as_posix()
        for module in imports(path):
            top = module.partition(".")[0]
            if top in OURS or top in sys.stdlib_module_names:
                continue
            assert top in OWNERS, f"{name} imports {top}, which has no owner folder"
            owned = any(name == owner or name.startswith(f"{owner}/") for owner in OWNERS[top])
            assert owned, f"{name} imports {top}"


ENGINE = (
    (
        "clock",
        "construct",
        "crash",
        "file_patterns",
        "ids",
        "outcome",
        "ports",
        "quantities",
        "schedule",
        "secrets",
        "signal",
        "states",
        "subjects",
        "uninterrupted",
        "values",
        "whole_file",
    ),
    ("contract", "events", "expressions"),
    ("reference", "definition", "store"),
    ("fleet",),
    ("limits", "resources"),
    ("flow", "planning"),
    ("execution",),
    ("dispatch", "triggers"),
    ("steering",),
    ("engine",),
    ("control",),
)
"""The floors of the engine, the lowest first: each imports its own and those below."""


def test_the_engines_floors_are_built_upwards() -> None:
    floor_of = {name: floor for floor, names in enumerate(ENGINE) for name in names}
    for path in (ROOT / "engine").rglob("*.py"):
        name = path.relative_to(ROOT / "engine").parts[0].removesuffix(".py")
        for module in imports(path):
            top, _, rest = module.partition(".")
            used = rest.partition(".")[0]
            if top == "engine" and used and name != "__init__":
                assert floor_of[used] <= floor_of[name], f"{path} imports {module}, which stands above it"


def test_one_file_joins_mesh_and_plugins() -> None:
    for path in FILES:
        tops = {module.partition(".")[0] for module in imports(path)}
        name = path.relative_to(ROOT).as_posix()
        assert not {"mesh", "plugins"} <= tops or name == JOINS, f"{name} imports both mesh and plugins"


def test_no_file_of_ours_is_run_by_an_import_of_it() -> None:
    for path in FILES:
        assert path.name != "__main__.py", f"{path}: `python -m` would take plugins/ of the folder it is run in"


@pytest.mark.parametrize("folder", ["packaging", "tests"])
def test_folders_that_are_no_packages_stay_so(folder: str) -> None:
    found = list((ROOT / folder).rglob("__init__.py"))
    assert not found, f"{found} would shadow a library or break importlib mode"


def test_the_command_line_loads_neither_nats_nor_the_engine_before_it_needs_them() -> None:
    heavy = ("nats", "engine.engine", "httpx", "uvloop", "llama_cpp", "wasmtime", "numpy", "jsonschema")
    code = f"import sys; from agent.cli.root import program; program(); print([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
