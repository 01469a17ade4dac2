"""What a start loads, in a Python that has loaded nothing: a library or a hundred modules more are seen here, before
they are felt on a small device. Who wants one of these in each start names it here, and says what it costs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent.cli.root import COMMANDS
from tests.agent.conftest import Shell, until

TOLD = """
import json, sys
before = set(sys.modules)  # of this environment's own: site-packages/*.pth
try:
    {}
finally:
    print(json.dumps(sorted(set(sys.modules) - before)))
"""
MAIN = TOLD.format("from agent.cli import main; main()")
COMMAND_LINE = {"annotated_doc", "msgspec", "shellingham", "typer", "typing_extensions"}
"""typer and what it brings; msgspec, of which the configuration is made."""
AGENT = COMMAND_LINE | {"aiosqlite", "nats", "uvloop"}
OWN = {"agent", "engine", "mesh", "plugins"}


def libraries(modules: set[str]) -> set[str]:
    """Those of others; an underscore begins the names of their compiled parts."""
    tops = {name.partition(".")[0] for name in modules}
    return {top for top in tops - sys.stdlib_module_names - OWN if not top.startswith(("_", "cython_"))}


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def loaded(shell: Shell, code: str, *arguments: str) -> set[str]:
    """The modules that this loads."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=shell.directory, env=shell.environ, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_version_is_told_without_any_library(shell: Shell) -> None:
    modules = loaded(shell, MAIN, "--version")
    assert not libraries(modules)
    assert len(modules) < 120


def test_a_command_line_loads_one_command(shell: Shell) -> None:
    modules = loaded(shell, TOLD.format("from agent.cli.root import program; program('up')"))
    assert libraries(modules) == COMMAND_LINE
    commands = {f"agent.cli.{place.rpartition('.')[0]}" for group in COMMANDS.values() for place in group.values()}
    assert modules & commands == {"agent.cli.up"}
    assert len(modules) < 240


def test_what_starts_the_server_is_light(shell: Shell) -> None:
    """The rest is loaded while the server reads its store."""
    modules = loaded(shell, TOLD.format("import agent.start"))
    assert not modules & {"nats", "agent.app", "engine.engine", "plugins.nodes"}
    assert len(modules) < 320


def test_an_agent_at_rest_has_loaded_what_it_needs(shell: Shell) -> None:
    """Nothing of psutil (4 MB), ruamel.yaml, httpx, jsonschema, croniter, rich, pydantic, wasmtime, llama_cpp."""
    ready = shell.directory / "ready.json"
    flags = ("--data-dir", "data", "--listen", "127.0.0.1:0", "--ready-file", str(ready))
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, "up", *flags],
        cwd=shell.directory, env=shell.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    ) as agent:  # fmt: skip
        until(lambda: ready.exists() or agent.poll() is not None)
        agent.terminate()
        modules = set(json.loads(agent.communicate()[0].splitlines()[-1]))
    assert libraries(modules) == AGENT
    assert len(modules) < 780
