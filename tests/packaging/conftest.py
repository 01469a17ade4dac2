"""Machines with nothing but the executable."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.packaging.equipment import FILE, Equipment
from tests.packaging.machine import Machine, SwitchOn, why_not
from tests.packaging.minimal_root import minimal_root
from tests.packaging.variants import CRASHING, GOOD, SILENT, make


@pytest.fixture(scope="session")
def root() -> Iterator[Path]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="ganglion-root-") as folder:
        yield minimal_root(Path(folder))


@pytest.fixture
def switch_on(root: Path) -> Iterator[SwitchOn]:
    with ExitStack() as stack:

        def switch_on(**equipment: object) -> Machine:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ganglion-test-")))
            machine = Machine(root, folder, Equipment(**equipment))  # type: ignore[arg-type]
            stack.callback(machine.off)
            return machine

        yield switch_on


@pytest.fixture
def machine(switch_on: SwitchOn) -> Machine:
    """One that lacks nothing but what the root lacks."""
    return switch_on()


@pytest.fixture(scope="session")
def shipped() -> Iterator[Path]:
    """A folder with other versions of the executable under test, called as releases are."""
    with tempfile.TemporaryDirectory(prefix="ganglion-versions-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        cache = folder / "cache"
        subprocess.run([FILE, "--version"], env={"GANGLION_CACHE_DIR": str(cache)}, check=True, capture_output=True)
        [build] = [path for path in cache.iterdir() if (path / "_internal").is_dir()]
        for variant in (GOOD, SILENT, CRASHING):
            make(variant, build, folder)
        shutil.rmtree(cache)
        yield folder
