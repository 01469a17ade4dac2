"""What an update is going to do, known before the agent is asked to stop: with which file, and with which databases."""

from pathlib import Path

import msgspec

from agent import __version__
from agent.update import snapshot
from agent.update.candidate import Unfit, check_fit, check_runs, knowledge_of
from agent.update.command import Command
from agent.update.directory import DATABASES, FORMAT, Knowledge, would_migrate
from agent.update.journal import Journal, Phase
from agent.update.signature import Signature, check, checksum, read_signature
from agent.update.switch import make_runnable, stage, staged


def verified(file: Path, executable: Path, keys: dict[str, bytes], *, allow_downgrade: bool) -> Signature:
    """What is known of the file, whose copy beside the executable may take its place now. The copy is checked and run,
    not the file, which others may be able to change meanwhile. Raises Untrusted, Unfit, OSError."""
    said = read_signature(file)
    check_fit(file, said, current=__version__, allow_downgrade=allow_downgrade)
    try:
        new = stage(file, executable)
    except OSError as error:
        where = executable.parent
        raise Unfit(f"{file} can't be copied to {where} ({error.strerror or error}): nothing was changed") from None
    check(new, said, keys)
    if said.sha256 == checksum(executable):
        raise Unfit(f"{said.name} is what {executable} is already: there is nothing to do")
    make_runnable(executable)
    check_runs(staged(executable), said)
    return said


def planned(said: Signature, executable: Path, data_dir: Path, command: Command | None) -> Journal:
    """What there is to do. `command`: how the agent was started that is to be stopped. Raises Unfit, OSError."""
    snapshot.discard(data_dir)  # of an update long ago
    journal = Journal(
        phase=Phase.SWITCH, executable=str(executable), version=said.version, before=__version__,
        sha256=said.sha256, data_dir=str(data_dir),
    )  # fmt: skip
    if command is None:
        return journal
    known = knowledge_of(staged(executable), command.asking)
    databases = _migrated(data_dir, known)
    if known is not None and known.format > FORMAT:
        raise Unfit(
            f"{said.name} writes data directories of format {known.format}, from which {__version__} can't go "
            f"back: stop the agent, copy {data_dir}, then run this again and start it yourself"
        )
    if (missing := snapshot.missing_bytes(data_dir, databases)) > 0:
        raise Unfit(
            f"{said.name} migrates {', '.join(databases)}: {missing / 1e6:.0f} MB more must be free in {data_dir} "
            "for a copy to go back to"
        )
    return msgspec.structs.replace(
        journal, arguments=command.arguments, directory=command.directory, unit=command.unit,
        databases=tuple(databases),
    )  # fmt: skip


def _migrated(data_dir: Path, known: Knowledge | None) -> list[str]:
    """The databases that are to be copied: a program that does not tell may change them all."""
    return list(DATABASES) if known is None else would_migrate(data_dir, known.migrations)
