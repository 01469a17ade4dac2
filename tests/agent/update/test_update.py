"""A new executable takes the place, or nothing changes."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from agent.lock import holder
from agent.ready import read_ready
from agent.update import candidate
from agent.update.candidate import Unfit, order_of
from agent.update.command import Command
from agent.update.health import examine_versions
from agent.update.illness import illness
from agent.update.journal import Phase, UpdateUnderWay, read_journal
from agent.update.outcome import End
from agent.update.program import architecture
from agent.update.running import start, stop
from agent.update.signature import SUFFIX, Untrusted, new_key
from agent.update.snapshot import FOLDER
from agent.update.unit import NotOurs
from engine.store.schema import MIGRATIONS
from engine.store.versions import versions
from tests import warm
from tests.agent.update.conftest import KEYS, LATER, ROOT, Place, script, signed

OLD = tuple(name for name, _ in MIGRATIONS)
NEW = (*OLD, "second")


def says(file: Path) -> str:
    return subprocess.run([file, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]


def run(place: Place) -> int:
    """Start the agent of the place; its process."""
    ready = place.data / "agent.json"
    place.data.mkdir(exist_ok=True)
    with (place.folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [place.executable, "up", "--data-dir", place.data], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            cwd=place.folder, env={**os.environ, "HUE": "green"},
        )  # fmt: skip
    while not ready.exists():
        assert process.poll() is None, (place.folder / "log").read_text()
    process.returncode = 0  # whoever updates stops it
    return process.pid


def known(place: Place) -> tuple[str, ...]:
    found = versions(place.data / "ganglion.db")
    assert found is not None
    return found.migrations


def epoch(place: Place) -> str:
    with closing(sqlite3.connect(place.data / "ganglion.db")) as db:
        return str(db.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()[0])


def litter(place: Place) -> set[str]:
    """What an update leaves beside the executable and its predecessor."""
    found = {path.name for path in place.executable.parent.iterdir()} - {"ganglion", "ganglion.old"}
    return found | {path.name for name in (f"{FOLDER}*", "on-trial") for path in place.data.glob(name)}


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


def test_work_of_the_old_version_after_a_kill_is_kept_when_the_update_goes_on(place) -> None:
    run(place)
    killed(place, place.new(more=LATER, well="crashes"), "update-copied", 1.0)
    with closing(sqlite3.connect(place.data / "ganglion.db")) as db, db:
        db.execute("INSERT INTO meta VALUES ('worked', 'yes')")

    assert place.update(within=1.0).resume().end is End.WENT_BACK

    with closing(sqlite3.connect(place.data / "ganglion.db")) as db:
        assert db.execute("SELECT value FROM meta WHERE key = 'worked'").fetchone() == ("yes",)


def refused(place: Place, file: Path, error: type[Exception], why: str, **options: bool) -> None:
    before = {path: path.read_bytes() for path in place.folder.rglob("*") if path.is_file()}
    with pytest.raises(error, match=why):
        place.update().begin(file, data_dir=place.data, keys=KEYS, **options)
    assert {path: path.read_bytes() for path in place.folder.rglob("*") if path.is_file()} == before


def test_a_file_that_is_not_what_was_signed_changes_nothing(place) -> None:
    file = place.new()
    with file.open("a") as more:
        more.write("# more\n")
    refused(place, file, Untrusted, "is not the file that was signed")


def test_a_file_signed_by_nobody_or_by_somebody_else_changes_nothing(place) -> None:
    file = place.new()
    signed(file, "0.2.0", seed=new_key()[0])
    refused(place, file, Untrusted, "is not trusted")
    file.with_name(file.name + SUFFIX).unlink()
    refused(place, file, Untrusted, "put the signature beside the file")


def test_a_file_for_another_machine_changes_nothing(place) -> None:
    refused(place, signed(place.new(), "0.2.0", arch="linux-mips"), Unfit, r"is for linux-mips, and this machine is")


def test_an_older_version_is_taken_only_when_somebody_says_so(place) -> None:
    older = place.new("0.0.9")
    refused(place, older, Unfit, r"is 0\.0\.9, older than 0\.1\.0, .* --allow-downgrade")
    place.update().begin(older, data_dir=place.data, keys=KEYS, allow_downgrade=True)
    assert says(place.executable) == "0.0.9"


def test_a_file_that_does_not_run_or_says_something_else_changes_nothing(place) -> None:
    broken = signed(
        script(place.folder / "new" / "broken", "0.2.0", text="#!/bin/sh\necho sorry >&2; exit 3\n"), "0.2.0"
    )
    refused(place, broken, Unfit, r"does not run here: --version ended with 3 \(sorry\)")
    other = signed(script(place.folder / "new" / "other", "0.3.0"), "0.2.0")
    refused(place, other, Unfit, r"says 'ganglion 0\.3\.0' of itself, and its signature says 0\.2\.0")
    none = signed(script(place.folder / "new" / "none", "0.2.0", text="#!/no/such/interpreter"), "0.2.0")
    refused(place, none, Unfit, "does not run here: No such file")


def test_a_file_that_is_no_executable_of_this_machine_is_told_by_its_head(place) -> None:
    text = script(place.folder / "new" / "text", "0.2.0", text="hello")
    refused(place, text, Unfit, f"text is no executable: name the one for {architecture()}")
    other = place.folder / "new" / "other"
    other.write_bytes(b"\x7fELF\2\1\1" + bytes(11) + (8).to_bytes(2, "little") + bytes(100))
    refused(place, other, Unfit, r"other is for another machine \(8\), and this machine is")


def test_what_is_there_already_or_belongs_to_a_package_stays(place, monkeypatch, tmp_path) -> None:
    same = signed(shutil.copy(place.executable, place.new().with_name("same")), "0.1.0")
    refused(place, same, Unfit, r"same is what .*/ganglion is already: there is nothing to do")
    monkeypatch.setattr(candidate, "PACKAGE_FILES", tmp_path / "ganglion.list")
    candidate.PACKAGE_FILES.write_text(f"/.\n{place.executable}\n")
    refused(place, place.new(), Unfit, "belongs to the Debian package ganglion: update that, with apt or dpkg")


def test_a_file_under_another_name_changes_nothing(place) -> None:
    file = place.new()
    renamed = file.rename(file.with_name("other"))
    file.with_name(file.name + SUFFIX).rename(renamed.with_name("other" + SUFFIX))
    refused(place, renamed, Unfit, "was signed as ganglion-0.2.0: give it that name again")


def test_an_agent_of_another_executable_is_left_alone(place) -> None:
    pid = run(place)
    place.executable = script(place.executable.with_name("other"), "0.1.0")

    refused(place, place.new(), NotOurs, r"runs another executable than .*/other: update with that one, or stop")

    assert holder(place.data) == pid


def test_versions_are_ordered_as_people_mean_them() -> None:
    versions = ["nonsense", "0.1.0", "0.2.0.dev1", "0.2.0a1", "0.2.0-rc1", "0.2.0-rc2", "0.2.0", "0.2.1", "0.10"]
    assert sorted(versions, key=order_of) == versions


def test_nothing_to_go_on_with_is_no_mistake(place) -> None:
    assert place.update().resume().end is End.NOTHING


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


async def test_doctor_tells_of_an_update_that_has_not_come_to_its_end(place, monkeypatch) -> None:
    killed(place, place.new(), "update-planned", 1.0)
    monkeypatch.setattr(sys, "argv", [str(place.executable)])
    [found] = examine_versions(place.data)
    assert found.message == "the update from 0.1.0 to 0.2.0 has not come to its end"
    assert found.remedy.endswith("ganglion self-update --resume")
    place.update().resume()
    assert list(examine_versions(place.data)) == []


SYSTEMCTL = """\
#!/bin/sh
echo "$@" >> {folder}/asked
case "$1" in
  stop) kill $(cat {folder}/data/lock) ;;
  start) [ -e {folder}/refuses ] && {{ echo "no such unit" >&2; exit 5; }}
    {executable} up --data-dir {folder}/data >/dev/null 2>&1 & ;;
esac
"""


def test_a_service_is_stopped_and_started_by_its_manager(place, monkeypatch) -> None:
    run(place)
    tool = script(place.folder / "tools" / "systemctl", "", text=SYSTEMCTL.format(
        folder=place.folder, executable=place.executable
    ))  # fmt: skip
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    command = Command(arguments=("up",), directory="/", unit="ganglion.service", environ={})

    stop(place.data, unit=command.unit, grace=1.0)
    assert holder(place.data) is None
    assert start(place.executable, command, None) is None
    assert illness(place.executable, place.data, None, command, version="0.1.0", within=20.0, steady=0.0) == ""

    assert (place.folder / "asked").read_text() == "stop ganglion.service\nstart --no-block ganglion.service\n"
    (place.folder / "refuses").touch()
    with pytest.raises(NotOurs, match=r"systemctl start --no-block ganglion\.service ended with 5: no such unit"):
        start(place.executable, command, None)
