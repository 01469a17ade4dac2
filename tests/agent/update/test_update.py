"""A new executable takes the place, or nothing changes."""

import os
import sqlite3
import subprocess
from contextlib import closing

import psutil
import pytest

from agent.lock import holder
from agent.ready import read_ready
from agent.update.journal import Phase, read_journal
from agent.update.outcome import End
from agent.update.running import stop
from agent.update.snapshot import FOLDER
from tests.agent.update.conftest import KEYS, LATER, NEW, OLD, epoch, known, litter, run, says, script


def test_without_an_agent_the_file_takes_the_place(place) -> None:
    outcome = place.update().begin(place.new(), data_dir=place.data, keys=KEYS)

    assert (outcome.end, outcome.version, outcome.started) == (End.UPDATED, "0.2.0", False)
    assert (says(place.executable), says(place.executable.with_name("ganglion.old"))) == ("0.2.0", "0.1.0")
    assert litter(place) == set()
    assert os.access(place.executable, os.X_OK)


def test_the_agent_goes_on_as_the_new_one_with_all_that_it_was_started_with(place) -> None:
    before = run(place)

    outcome = place.update(steady=0.1).begin(place.new(more=LATER), data_dir=place.data, keys=KEYS)

    assert (outcome.end, outcome.started) == (End.UPDATED, True)
    ready = read_ready(place.data)
    assert ready is not None
    assert (ready.version, ready.pid) == ("0.2.0", holder(place.data))
    assert ready.pid != before
    assert (place.folder / "log").read_text() == "this is 0.1.0 green\nthis is 0.2.0 green\n"
    assert known(place) == NEW
    assert litter(place) == set()


@pytest.mark.parametrize(
    ("how", "within", "why"),
    [("crashes", 20.0, "it ended with 7 instead of"), ("hangs", 1.0, "it was not ready within 1 s")],
)
def test_a_new_one_that_is_not_well_gives_the_place_back_with_the_databases(place, how, within, why) -> None:
    run(place)

    outcome = place.update(within=within).begin(place.new(more=LATER, well=how), data_dir=place.data, keys=KEYS)

    assert (outcome.end, outcome.version, outcome.started) == (End.WENT_BACK, "0.1.0", True)
    assert why in outcome.why
    assert says(place.executable) == "0.1.0"
    ready = read_ready(place.data)
    assert ready is not None
    assert ready.pid == holder(place.data)
    assert known(place) == OLD
    assert epoch(place) != "first", "the new one may have given out numbers under the old epoch"
    assert len(list(place.data.glob("ganglion.db.replaced-*"))) == 1
    assert litter(place) == set()


def test_work_that_only_the_new_version_can_read_is_put_aside_only_when_somebody_says_so(place) -> None:
    run(place)

    outcome = place.update(within=1.0).begin(place.new(more=LATER, well="worked"), data_dir=place.data, keys=KEYS)

    assert outcome.end is End.STUCK
    assert "it has done work that 0.1.0 can't read (1 dead letters)" in outcome.why
    assert (says(place.executable), known(place)) == ("0.2.0", NEW)
    journal = read_journal(place.executable)
    assert journal is not None
    assert journal.phase is Phase.TRIAL

    back = place.update().resume(back=True)
    assert (back.end, says(place.executable), known(place)) == (End.WENT_BACK, "0.1.0", OLD)
    assert litter(place) == set()


def test_nothing_is_begun_before_the_new_one_is_well_so_that_the_way_back_loses_nothing(place) -> None:
    run(place)

    outcome = place.update(within=1.0).begin(place.new(more=LATER, well="eager"), data_dir=place.data, keys=KEYS)

    assert outcome.end is End.WENT_BACK
    [left] = place.data.glob("ganglion.db.replaced-*")
    with closing(sqlite3.connect(left)) as db:
        assert db.execute("SELECT COUNT(*) FROM deadletters").fetchone() == (0,)


@pytest.mark.parametrize(("well", "end"), [(True, End.UPDATED), ("crashes", End.WENT_BACK)])
def test_where_something_starts_the_agent_again_at_once_it_stays_the_one_that_does(place, well, end) -> None:
    run(place)
    stop(place.data, unit="", grace=1.0)
    loop = 'while sleep 0.3; do "$0" up --data-dir "$1"; done'
    with subprocess.Popen(
        ["sh", "-c", loop, place.executable, place.data], cwd=place.folder, env={**os.environ, "HUE": "green"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as supervisor:  # fmt: skip
        try:
            while read_ready(place.data) is None:
                assert supervisor.poll() is None
            file = place.new(more=LATER, well=well)

            outcome = place.update(within=3.0, respawn=10.0).begin(file, data_dir=place.data, keys=KEYS)

            assert (outcome.end, outcome.started) == (end, True), outcome.why
            pid = holder(place.data)
            assert pid is not None
            assert psutil.Process(pid).ppid() == supervisor.pid
            assert not any("starts" in line for line in place.told)
        finally:
            supervisor.kill()


def test_without_a_copy_of_the_databases_the_old_agent_runs_on(place) -> None:
    run(place)
    stale = script(place.executable.with_name("ganglion.old"), "0.0.1")
    (place.data / f"{FOLDER}.part").write_text("in the way")

    outcome = place.update().begin(place.new(more=LATER), data_dir=place.data, keys=KEYS)

    assert (outcome.end, outcome.started) == (End.WENT_BACK, True)
    assert "its databases can't be copied" in outcome.why
    assert (says(place.executable), says(stale), known(place)) == ("0.1.0", "0.0.1", OLD)
    assert read_journal(place.executable) is None
