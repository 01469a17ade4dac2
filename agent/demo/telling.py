"""What is told, and the claims that were checked."""

from collections.abc import Callable

from agent.demo.clients import examples
from agent.demo.stage import DemoFailed, Stage
from engine.values import Json

__all__ = ["Say", "Telling", "event_line"]

Say = Callable[[str], None]


class Telling:
    """Tells the story to a person, and holds it to what it says."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self.checked = 0
        """Claims that held."""

    def title(self, text: str) -> None:
        """An act begins."""
        self.say(f"\n== {text}")

    def command(self, *words: str) -> None:
        """As a person would type it."""
        self.say(f"$ ganglion {' '.join(words)}")

    def printed(self, text: str) -> None:
        """What a command printed."""
        self.say("".join(f"  {line}\n" for line in text.splitlines()).rstrip())

    async def deploy(self, stage: Stage, file: str, *parameters: str) -> None:
        """Deploy an example."""
        self.command("deploy", f"examples/{file}", *parameters)
        self.printed(await stage.command("deploy", str(examples() / file), *parameters))

    def check(self, claim: str, holds: bool, seen: object) -> None:
        """Raises DemoFailed, with what was seen instead, if it does not hold."""
        if not holds:
            raise DemoFailed(f"this does not hold: {claim}; seen: {seen!r}")
        self.checked += 1
        self.say(f"  ✓ {claim}")


def event_line(event: dict[str, Json], shown: str = "") -> str:
    """A fact with its number in the log, or a live event with a dot."""
    kind = event["type"].removeprefix("ganglion.")
    about = event.get("node", "") or ""
    return f"  {event.get('sequence', '·'):>5} {kind:<20} {event['subject'][-8:]:<9} {about:<10} {shown}".rstrip()
