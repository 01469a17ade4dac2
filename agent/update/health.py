"""What `ganglion doctor` says of versions: of the data directory, and of an update that has not come to its end."""

from collections.abc import Iterator
from pathlib import Path

from agent.backups import STORE
from agent.finding import Finding, Verdict
from agent.update.directory import refuse_newer
from agent.update.journal import UpdateUnderWay, read_journal
from agent.update.program import executable, this_program
from engine.store.errors import StoreNewer
from engine.store.versions import versions


def examine_versions(data_dir: Path) -> Iterator[Finding]:
    """Findings; none where nothing was written yet and no update is under way."""
    try:
        refuse_newer(data_dir)
    except StoreNewer as error:
        yield Finding("version", Verdict.FAIL, str(error).partition(". ")[0], "run the newer program, or restore")
    else:
        found = versions(data_dir / STORE)
        if found is not None and found.program not in ("", this_program().told):
            yield Finding("version", Verdict.OK, f"{data_dir} was written by {found.program} last")
    try:
        journal = read_journal(executable())
    except (OSError, UpdateUnderWay) as error:
        yield Finding("update", Verdict.WARN, str(error), "see whether the executable is whole")
        return
    if journal is not None:
        message = f"the update from {journal.before} to {journal.version} has not come to its end"
        yield Finding("update", Verdict.WARN, message, "unless it is under way: ganglion self-update --resume")
