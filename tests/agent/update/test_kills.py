"""Whoever goes on after a kill, at whichever moment, brings the update to its end."""

import os
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from agent.lock import holder
from agent.ready import read_ready
from agent.update.health import examine_versions
from agent.update.journal import UpdateUnderWay
from agent.update.outcome import End
from tests import warm
from tests.agent.update.conftest import KEYS, LATER, NEW, OLD, ROOT, Place, known, litter, run, says

CODE = """
import sys
from pathlib import Path
from agent.update.update import Update
from tests.agent.update.conftest import KEYS
executable, file, data, within = sys.argv[1:]
update = Update(Path(executable), grace=1.0, within=float(within), steady=0.0, told=print, respawn=0.0)
update.begin(Path(file), data_dir=Path(data), keys={id: bytes.fromhex(key) for id, key in [@KEY@]})
"""
FORWARD = (
    "update-planned",
    "update-stopped",
    "update-copying",
    "update-copied",
    "update-kept-old",
    "update-switched",
    "update-on-trial",
    "update-started",
    "update-let-go",
    "update-tried",
)
BACK = ("update-going-back", "update-putting-back", "update-put-back", "update-went-back")


def killed(place: Place, file: Path, point: str, within: float) -> None:
    key = repr(next((id, key.hex()) for id, key in KEYS.items()))
    code = CODE.replace("from tests.agent.update.conftest import KEYS\n", "").replace("@KEY@", key)
    environ = {**os.environ, "GANGLION_CRASH_AT": point, "PYTHONPATH": str(ROOT)}
    done = warm.run(["-c", code, place.executable, file, place.data, within], env=environ)
    assert done.returncode == -signal.SIGKILL, done.stderr + done.stdout


@pytest.mark.crash
@pytest.mark.parametrize("point", FORWARD)
def test_killed_update_goes_on_to_the_new_version(place, point) -> None:
    run(place)
    killed(place, place.new(more=LATER), point, 20.0)
    assert says(place.executable) == ("0.1.0" if FORWARD.index(point) <= FORWARD.index("update-kept-old") else "0.2.0")
    with pytest.raises(UpdateUnderWay, match="--resume"):
        place.update().begin(place.new(), data_dir=place.data, keys=KEYS)

    outcome = place.update().resume()

    assert (outcome.end, outcome.started) == (End.UPDATED, True)
    assert (says(place.executable), says(place.executable.with_name("ganglion.old"))) == ("0.2.0", "0.1.0")
    ready = read_ready(place.data)
    assert ready is not None
    assert (ready.version, ready.pid) == ("0.2.0", holder(place.data))
    assert known(place) == NEW
    assert litter(place) == set()


@pytest.mark.crash
@pytest.mark.parametrize("point", BACK)
def test_killed_return_goes_on_to_the_old_version(place, point) -> None:
    run(place)
    killed(place, place.new(more=LATER, well="crashes"), point, 20.0)
    assert says(place.executable) == ("0.1.0" if point == "update-went-back" else "0.2.0")

    outcome = place.update().resume()

    assert (outcome.end, outcome.started) == (End.WENT_BACK, True)
    assert (says(place.executable), known(place)) == ("0.1.0", OLD)
    assert "it ended with 7" in outcome.why
    assert litter(place) == set()


def test_work_of_the_old_version_after_a_kill_is_kept_when_the_update_goes_on(place) -> None:
    run(place)
    killed(place, place.new(more=LATER, well="crashes"), "update-copied", 1.0)
    with closing(sqlite3.connect(place.data / "ganglion.db")) as db, db:
        db.execute("INSERT INTO meta VALUES ('worked', 'yes')")

    assert place.update(within=1.0).resume().end is End.WENT_BACK

    with closing(sqlite3.connect(place.data / "ganglion.db")) as db:
        assert db.execute("SELECT value FROM meta WHERE key = 'worked'").fetchone() == ("yes",)


def test_nothing_to_go_on_with_is_no_mistake(place) -> None:
    assert place.update().resume().end is End.NOTHING


async def test_doctor_tells_of_an_update_that_has_not_come_to_its_end(place, monkeypatch) -> None:
    killed(place, place.new(), "update-planned", 1.0)
    monkeypatch.setattr(sys, "argv", [str(place.executable)])
    [found] = examine_versions(place.data)
    assert found.message == "the update from 0.1.0 to 0.2.0 has not come to its end"
    assert found.remedy.endswith("ganglion self-update --resume")
    place.update().resume()
    assert list(examine_versions(place.data)) == []
