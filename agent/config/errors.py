"""What is wrong with settings."""


class InvalidConfig(ValueError):
    """Settings that can't be used, one line per mistake: place, key, what was expected."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class NoHome(InvalidConfig):
    """Nobody said where, and this user has no home directory."""

    def __init__(self) -> None:
        super().__init__(
            [
                "this user has no home directory, and $HOME is not set: name a directory for the data with --data-dir, "
                "or set HOME"
            ]
        )


class AnothersHome(InvalidConfig):
    """The data directory would be made in a home that belongs to somebody else."""

    def __init__(self, variable: str, place: str, owner: str, user: str) -> None:
        super().__init__(
            [
                f"{variable} is {place}, which belongs to {owner}, and this is {user}: what it made there {owner} "
                "could not use. Say `sudo -H`, or name a directory for the data with --data-dir"
            ]
        )
