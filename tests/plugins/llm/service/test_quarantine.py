"""Which model killed the process, as the stacks that it left tell."""

from pathlib import Path
from typing import Any

import pytest

from plugins.llm.errors import ModelError, Trouble
from plugins.llm.service.quarantine import Mark, Quarantine, identity_of
from plugins.llm.service.small_file import write_struct
from plugins.llm.spec import ModelSpec

NATIVE = """\
  File "/opt/lib/python3.11/site-packages/llama_cpp/llama.py", line 700 in eval
  File "/opt/ganglion/plugins/llm/local/llama.py", line 100 in generate
  File "/opt/ganglion/plugins/llm/local/worker.py", line 33 in _work
  File "/usr/lib/python3.11/threading.py", line 1045 in _bootstrap_inner
"""
IDLE = """\
  File "/opt/ganglion/engine/store/connection.py", line 33 in run
"""
RESTING = """\
  File "/opt/ganglion/plugins/llm/local/worker.py", line 30 in _work
  File "/usr/lib/python3.11/threading.py", line 1045 in _bootstrap_inner
"""


def crash(*stacks: tuple[str, int, str], how: str = "Segmentation fault") -> str:
    """As faulthandler writes it: `Current thread` is where the signal came."""
    heads = "\n".join(f"{who} 0x{thread:016x} (most recent call first):\n{stack}" for who, thread, stack in stacks)
    return f"Fatal Python error: {how}\n\n{heads}\nExtension modules: msgspec._core (total: 1)\n"


class Lives:
    """Starts of one process after another, each with what the last one left."""

    def __init__(self, folder: Path, clock: Any) -> None:
        self.folder, self.clock = folder, clock

    def start(self, left: str = "", *marks: tuple[ModelSpec, int]) -> Quarantine:
        for spec, thread in marks:
            write_struct(self.folder / f".native-{spec.name}", Mark(spec.name, identity_of(spec), thread))
        quarantine = Quarantine(self.folder, self.clock)
        self.guilty = quarantine.judge(left)
        return quarantine


@pytest.fixture
def lives(folder: Path, clock: Any) -> Lives:
    return Lives(folder, clock)


DIED = crash(("Thread", 7, IDLE), ("Current thread", 0x1234, NATIVE))


def test_two_deaths_on_its_thread_put_a_model_into_quarantine(lives: Lives, spec: Any) -> None:
    tiny = spec()
    quarantine = lives.start(DIED, (tiny, 0x1234))
    assert lives.guilty == ("tiny",)
    quarantine.refuse(tiny)
    quarantine = lives.start(DIED, (tiny, 0x1234))
    with pytest.raises(ModelError, match=r"in quarantine: .* killed the process 2 times.*verify tiny --release") as bad:
        quarantine.refuse(tiny)
    assert bad.value.trouble is Trouble.QUARANTINED
    assert lives.start().problem(tiny) == str(bad.value)


def test_release_forgets_the_deaths(lives: Lives, spec: Any) -> None:
    tiny = spec()
    lives.start(DIED, (tiny, 0x1234))
    quarantine = lives.start(DIED, (tiny, 0x1234))
    assert quarantine.release("tiny")
    quarantine.refuse(tiny)
    assert not quarantine.release("tiny")


def test_another_file_starts_anew(lives: Lives, spec: Any) -> None:
    tiny = spec()
    lives.start(DIED, (tiny, 0x1234))
    quarantine = lives.start(DIED, (tiny, 0x1234))
    with Path(tiny.file).open("ab") as file:
        file.write(b"\0")
    quarantine.refuse(tiny)
    lives.start(DIED, (tiny, 0x1234)).refuse(tiny)


@pytest.mark.parametrize(
    ("left", "guilty"),
    [
        pytest.param("", (), id="kill -9 leaves no stacks"),
        pytest.param(DIED, ("a",), id="the thread of the signal"),
        pytest.param(crash(("Current thread", 7, IDLE), ("Thread", 0x1234, NATIVE)), (), id="another thread died"),
        pytest.param(
            crash(("Thread", 0x1234, NATIVE), ("Thread", 0x5678, RESTING), ("Thread", 7, IDLE), how="Aborted"), ("a",),
            id="a thread of llama.cpp's own died, and this model computed",
        ),
        pytest.param(
            crash(("Thread", 0x1234, NATIVE), ("Thread", 0x5678, NATIVE)), ("a", "b"), id="two models computed"
        ),
        pytest.param(crash(("Current thread", 0x9999, NATIVE)), ("c",), id="it was being loaded: no thread is known"),
    ],
)  # fmt: skip
def test_the_thread_that_died_tells_which_model_it_was(
    lives: Lives, spec: Any, left: str, guilty: tuple[str, ...]
) -> None:
    lives.start(left, (spec("a"), 0x1234), (spec("b"), 0x5678), (spec("c"), 0))
    assert lives.guilty == guilty
    assert list(lives.folder.glob(".native-*")) == []


async def test_model_is_marked_while_it_is_in_memory(
    open_models: Any, spec: Any, report: Any, asking: Any, folder: Path
) -> None:
    def marks() -> list[str]:
        return [path.name for path in folder.glob(".native-*")]

    async with open_models(spec()) as models:
        await models.generate(["tiny"], report, asking())
        assert marks() == []  # it does not own the folder
    async with open_models(spec()) as models:
        models.quarantine.judge("")
        await models.generate(["tiny"], report, asking())
        assert marks() == [".native-tiny"]
    assert marks() == []


async def test_model_in_quarantine_is_not_loaded(
    open_models: Any, spec: Any, report: Any, asking: Any, lives: Lives
) -> None:
    tiny = spec()
    for _ in range(2):
        lives.start(DIED, (tiny, 0x1234))
    async with open_models(tiny) as models:
        with pytest.raises(ModelError) as caught:
            await models.generate(["tiny"], report, asking())
        assert caught.value.trouble is Trouble.QUARANTINED
        [state] = models.states()
        assert (state.state, state.problem) == ("quarantined", str(caught.value))
