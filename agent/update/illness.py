"""Whether an agent that was started is well: ready in time, still so a while later, and it answers."""

import subprocess
import time
from pathlib import Path

import msgspec

from agent.lock import holder
from agent.ready import Ready, read_ready
from agent.update.command import Command
from agent.update.running import LOOK_SECONDS, until

ANSWER_SECONDS = 20.0


def illness(
    executable: Path, data_dir: Path, child: "subprocess.Popen[bytes] | None", command: Command, *,
    version: str, within: float, steady: float, on_trial: bool = False,
) -> str:  # fmt: skip
    """Why the agent of this version is not well; empty: it is ready within this time, and `steady` seconds later it
    still is, and answers. With `on_trial` it is enough that it could begin."""
    give_up = time.monotonic() + within
    why = f"it was not ready within {within:.0f} s"
    while time.monotonic() < give_up:
        # Another one may have been started by an update that was killed: whichever has the directory counts.
        if child is not None and child.poll() is not None and holder(data_dir) is None:
            return f"it ended with {child.returncode} instead of becoming ready"
        found = read_ready(data_dir)
        is_it = found is not None and found.pid == holder(data_dir) and found.version == version
        if found is not None and is_it and (on_trial or not found.trial):
            if until(lambda pid=found.pid: holder(data_dir) != pid, steady):  # type: ignore[misc]
                return f"it was ready, and ended within {steady:.0f} s"
            why = _no_answer(executable, data_dir, found, command)
            if not why:
                return ""
        time.sleep(LOOK_SECONDS)
    return why


def _no_answer(executable: Path, data_dir: Path, ready: Ready, command: Command) -> str:
    """What keeps `ganglion status` of the new version from an answer of this process."""
    if not ready.nats:  # commands can't reach it: to be ready is all that can be known
        return ""
    line = [str(executable), "status", "--json", "--data-dir", str(data_dir), *_config(command.arguments)]
    try:
        done = subprocess.run(  # noqa: S603
            line, capture_output=True, timeout=ANSWER_SECONDS, check=False, stdin=subprocess.DEVNULL,
            cwd=command.directory, env=command.asking,
        )  # fmt: skip
        answer = msgspec.json.decode(done.stdout) if done.returncode == 0 else {}
    except (OSError, subprocess.SubprocessError, msgspec.DecodeError) as error:
        return f"it does not say how it is: {error}"
    if done.returncode != 0:
        last = (done.stderr.decode(errors="replace").strip().splitlines() or ["nothing"])[-1]
        return f"it does not say how it is: {last[:300]}"
    return "" if answer.get("pid") == ready.pid else "another agent answers for it"


def _config(arguments: tuple[str, ...]) -> list[str]:
    """The agent's own --config."""
    for number, text in enumerate(arguments):
        if text.startswith("--config="):
            return [text]
        if text == "--config":
            return list(arguments[number : number + 2])
    return []
