"""The end of a simulated process, which leaves the loop at once, through whatever runs."""


class Killed(SystemExit):
    """kill -9. A SystemExit, because asyncio lets nothing else through a task."""
