"""What every gauge does, and what the real one reads."""

import subprocess
import sys
from pathlib import Path

import pytest

from engine.clock import SystemClock
from engine.resources.cgroup import Cgroup
from engine.resources.gauge import Gauge, Load
from engine.resources.machine import MachineGauge
from engine.resources.resident import resident_bytes


class NoGroup(Cgroup):
    """A machine without limits."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"), Path("/nowhere"))


def group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_", ".", 1)).write_text(text + "\n")


@pytest.fixture
def machine() -> MachineGauge:
    return MachineGauge(SystemClock(), NoGroup())


@pytest.fixture(params=["machine", "gauge"])
def any_gauge(request: pytest.FixtureRequest) -> Gauge:
    one: Gauge = request.getfixturevalue(request.param)
    return one


def test_a_gauge_gives_percents_and_its_first_cpu_reading_is_0(any_gauge: Gauge) -> None:
    first = any_gauge.read()
    assert first.cpu == 0.0
    for load in (first, any_gauge.read(), any_gauge.read()):
        assert 0.0 <= load.cpu <= 100.0
        assert 0.0 <= load.memory <= 100.0


def test_the_machine_reports_work_that_is_done(machine: MachineGauge) -> None:
    machine.read()
    busy_until = SystemClock().monotonic() + 0.1
    while SystemClock().monotonic() < busy_until:
        pass
    load = machine.read()
    assert load.cpu > 10.0
    assert load.memory > 1.0


def test_a_group_with_limits_is_the_load_where_it_is_higher(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.write_text("1:cpu:/old\n0::/agents/one\n")
    root = tmp_path / "fs"
    group(root / "agents", cpu_max="100000 100000", cpu_stat="usage_usec 0", memory_max="max", memory_current="5")
    group(
        root / "agents/one",
        cpu_max="50000 100000",
        cpu_stat="usage_usec 1000000\nuser_usec 7",
        memory_max="1000",
        memory_current="995",
        memory_stat="anon 3\ninactive_file 5",
    )
    limits = Cgroup(root, own)
    assert MachineGauge(SystemClock(), limits).read().memory == 99.0

    assert limits.cpu(1.0) == 0.0
    group(root / "agents/one", cpu_stat="usage_usec 1400000")  # 0.4 s in a second that allows 0.5
    assert limits.cpu(1.0) == 80.0


def test_a_group_above_that_is_tighter_counts(tmp_path: Path) -> None:
    group(tmp_path / "fs", memory_max="100", memory_current="80")
    group(tmp_path / "fs/one", memory_max="1000", memory_current="80")
    (tmp_path / "own").write_text("0::/one\n")
    assert Cgroup(tmp_path / "fs", tmp_path / "own").memory() == 80.0


def test_a_path_of_outside_the_container_falls_back_to_its_root(tmp_path: Path) -> None:
    group(tmp_path / "fs", memory_max="100", memory_current="30", cpu_max="max 100000", cpu_stat="usage_usec 3")
    (tmp_path / "own").write_text("0::/../../elsewhere\n")
    found = Cgroup(tmp_path / "fs", tmp_path / "own")
    (tmp_path / "own").write_text("0::/docker/4711\n")
    inside = Cgroup(tmp_path / "fs", tmp_path / "own")
    assert (found.memory(), inside.memory()) == (30.0, 30.0)
    assert inside.cpu(1.0) is None


def test_without_groups_there_is_nothing_to_tell(tmp_path: Path) -> None:
    empty = Cgroup(tmp_path / "none", tmp_path / "none")
    assert (empty.memory(), empty.cpu(1.0)) == (None, None)


def test_resident_memory_is_that_of_this_process() -> None:
    assert 5_000_000 < resident_bytes() < 100_000_000_000


def test_an_agent_that_never_asks_does_not_load_psutil() -> None:
    code = "import sys, engine.resources.governor, engine.resources.machine; sys.exit('psutil' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False).returncode == 0


def test_a_load_is_a_value() -> None:
    assert Load(1.0, 2.0) == Load(1.0, 2.0)
