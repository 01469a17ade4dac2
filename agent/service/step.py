"""What an installation or its removal changes: each step can be told, and then taken."""

import os
import shutil
import subprocess
from pathlib import Path

import msgspec


class StepFailed(RuntimeError):
    """A step could not be taken; the message says what to do."""


class Write(msgspec.Struct, frozen=True, tag="write"):
    """A file, whole or not at all."""

    path: Path
    content: str
    mode: int = 0o644
    replaces: bool = False

    def __str__(self) -> str:
        return f"{'replace' if self.replaces else 'write'} {self.path}"

    def take(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        temporary = self.path.with_name(f".{self.path.name}.new")
        with temporary.open("w") as file:
            file.write(self.content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(self.mode)
        temporary.replace(self.path)


class Remove(msgspec.Struct, frozen=True, tag="remove"):
    """A file, a link, or a folder with all that is in it."""

    path: Path

    def __str__(self) -> str:
        return f"remove {self.path}"

    def take(self) -> None:
        if self.path.is_dir() and not self.path.is_symlink():
            shutil.rmtree(self.path)
        else:
            self.path.unlink(missing_ok=True)


class Run(msgspec.Struct, frozen=True, tag="run"):
    """A program of the machine's service manager."""

    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return f"run {' '.join(self.arguments)}"

    def take(self) -> None:
        try:
            subprocess.run(self.arguments, check=True, stdin=subprocess.DEVNULL)  # noqa: S603 - our own arguments
        except (OSError, subprocess.CalledProcessError) as error:
            raise StepFailed(f"{' '.join(self.arguments)} failed: {error}; mend that, then do it again") from None


Step = Write | Remove | Run


class Plan(msgspec.Struct, frozen=True):
    """The steps in their order, and what people should know."""

    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()

    def take(self) -> None:
        """All steps. Raises StepFailed; taken again, it goes on."""
        for step in self.steps:
            try:
                step.take()
            except PermissionError as error:
                raise StepFailed(f"{step}: {error.strerror}; do it as root (sudo), or with --user") from None
            except OSError as error:
                raise StepFailed(f"{step}: {error.strerror or error}") from None
