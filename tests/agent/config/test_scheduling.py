"""[engine.scheduling]: what it says to the engine, and what is refused."""

from pathlib import Path

import pytest

from agent.config import InvalidConfig, load_config
from engine.resources.scheduling import Marks, Policy, Scheduling


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "ganglion.toml"
    path.write_text(text)
    return path


def test_the_defaults_are_the_engines(tmp_path: Path) -> None:
    config, _ = load_config(environ={"HOME": str(tmp_path)})
    assert config.engine.scheduling.rules == Scheduling()


def test_what_is_set_reaches_the_engine(tmp_path: Path) -> None:
    text = (
        '[engine.scheduling]\npolicy = "balanced"\nmin_executions = 2\ncpu_low = 40\ncpu_high = 80\nhysteresis = 3\n'
        'interval = "5s"\nsmoothing = "0s"\n'
    )
    config, _ = load_config(write(tmp_path, text), environ={})
    assert config.engine.scheduling.rules == Scheduling(
        policy=Policy.BALANCED, least=2, cpu=Marks(40, 80), memory=Marks(70, 90), hysteresis=3, interval=5.0,
        smoothing=0.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("cpu_low = 95", "engine.scheduling.cpu_low: must be less than cpu_high"),
        ("memory_high = 60", "engine.scheduling.memory_low: must be less than memory_high"),
        ('interval = "500ms"', "engine.scheduling.interval: expected 1s or more"),
        ("hysteresis = 61", "engine.scheduling.hysteresis: must not be more than cpu_low and memory_low"),
        ('policy = "cpus"', "expected fixed, cpu, memory, balanced; did you mean cpu?"),
        ("cpu_high = 101", "engine.scheduling.cpu_high: expected a whole number"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        load_config(write(tmp_path, f"[engine.scheduling]\n{line}\n"), environ={})
    [problem] = caught.value.problems
    assert message in problem
