"""Made-up conversations: sensor reports become levels and sentences, and three tools are used.

A value up to its limit is normal, up to 3 above it a warning, more is critical. Values keep 0.5 away from both
borders, so that nothing hangs on one tenth.
"""

import json
import random
from collections.abc import Callable
from typing import NamedTuple

NOUNS = ("fridge", "freezer", "pump", "boiler", "fan", "tank", "oven", "server", "room", "motor")
QUANTITIES = {"temperature": "C", "humidity": "%", "pressure": "bar", "vibration": "mm/s"}
REPORTS = (
    "{device} {quantity} {value} {unit}, limit {limit} {unit}",
    "{device}: {quantity}={value} limit={limit}",
    "{quantity} of {device} is {value} {unit} (limit {limit} {unit})",
    '{{"device":"{device}","{quantity}":{value},"limit":{limit}}}',
    "Sensor {device} reports {quantity} {value} {unit}. Limit: {limit} {unit}.",
)
TRIAGE = ("", "Triage: ", "Triage this report as JSON: ")
EXPLAIN = ("Explain: ", "Explain in one sentence: ")

TOOLS = (
    "Tools: read_sensor(id), set_relay(id, state), send_alert(message).\n"
    'Answer with one JSON object: {"tool": name, "arguments": {...}} or {"answer": text}.'
)
"""The system message of every conversation with tools, to the letter."""
READ = ("What is the temperature of {device}?", "How warm is {device}?", "Read {device}.", "Check {device}.")
SWITCH = ("Switch {relay} {state}.", "Turn {state} {relay}.", "Set {relay} to {state}.")
SWITCH_IF = (
    "If {device} is above {limit} C, switch {relay} on.",
    "Check {device} and switch {relay} on if it is above {limit} C.",
    "Switch {relay} on when {device} is above {limit} C.",
)


class Turn(NamedTuple):
    """What one side says. The assistant's turns are what is learned."""

    role: str
    """system, user, assistant or tool"""
    text: str


Conversation = list[Turn]


class Report(NamedTuple):
    """A reading as a person or a device tells it, and what is right about it."""

    text: str
    device: str
    level: str
    """normal, warning or critical"""
    verdict: str
    """`temperature 14.2 C is above the limit of 8 C`"""


class Conversations:
    """An endless source; the same seed gives the same ones."""

    def __init__(self, seed: int | str) -> None:
        self.random = random.Random(seed)

    def any(self) -> Conversation:
        """Two of five are triage, one is an explanation, two use tools."""
        kinds: list[Callable[[], Conversation]] = [self.triage, self.triage, self.explain, self.tools, self.tools]
        return self.random.choice(kinds)()

    def triage(self) -> Conversation:
        """A report becomes a level and a reason, as JSON."""
        report = self._report()
        asked = self.random.choice(TRIAGE) + report.text
        return [Turn("user", asked), _says({"level": report.level, "reason": report.verdict})]

    def explain(self) -> Conversation:
        """A report becomes a sentence."""
        report = self._report()
        asked = self.random.choice(EXPLAIN) + report.text
        return [Turn("user", asked), Turn("assistant", f"{report.device}: {report.verdict} ({report.level}).")]

    def tools(self) -> Conversation:
        """A sensor is read, a relay is switched, or one depends on the other."""
        kind, device, relay = self.random.randrange(4), self._device(), f"relay-{self.random.randrange(1, 17)}"
        system = Turn("system", TOOLS)
        if kind == 0:
            return [system, *self._reading(device)]
        if kind == 1:
            return [system, *self._switching(relay)]
        return [system, *self._switching_if(device, relay)]

    def _reading(self, device: str) -> Conversation:
        value, _ = self._value_and_limit()
        asked = self.random.choice(READ).format(device=device)
        return [Turn("user", asked), *_read(device, value), _says({"answer": f"{device} is at {_number(value)} C"})]

    def _switching(self, relay: str) -> Conversation:
        state = self.random.choice(["on", "off"])
        asked = self.random.choice(SWITCH).format(relay=relay, state=state)
        return [Turn("user", asked), *_switch(relay, state), _says({"answer": f"{relay} is {state}"})]

    def _switching_if(self, device: str, relay: str) -> Conversation:
        value, limit = self._value_and_limit()
        asked = self.random.choice(SWITCH_IF).format(device=device, relay=relay, limit=limit)
        begun = [Turn("user", asked), *_read(device, value)]
        found = f"{device} is at {_number(value)} C"
        if value > limit:
            return [*begun, *_switch(relay, "on"), _says({"answer": f"{found}, {relay} is on"})]
        return [*begun, _says({"answer": f"{found}, nothing to do"})]

    def _report(self) -> Report:
        quantity = self.random.choice(list(QUANTITIES))
        value, limit = self._value_and_limit()
        device, unit = self._device(), QUANTITIES[quantity]
        text = self.random.choice(REPORTS).format(
            device=device, quantity=quantity, value=_number(value), limit=limit, unit=unit
        )
        level = "normal" if value <= limit else "warning" if value <= limit + 3 else "critical"
        where = "within" if value <= limit else "above"
        verdict = f"{quantity} {_number(value)} {unit} is {where} the limit of {limit} {unit}"
        return Report(text, device, level, verdict)

    def _device(self) -> str:
        return f"{self.random.choice(NOUNS)}-{self.random.randrange(1, 41):02d}"

    def _value_and_limit(self) -> tuple[float, int]:
        """A value with one decimal, from 0 to 99.9; each level is as likely as the others."""
        limit = self.random.randrange(1, 90)
        normal, warning = (-min(limit, 25) * 10, -5), (5, 25)
        critical = (35, 95 if limit > 80 else 180)
        low, high = self.random.choice([normal, warning, critical])  # tenths above the limit
        tenths = limit * 10 + self.random.randrange(low, high + 1)
        return max(0, min(tenths, 999)) / 10, limit


def _read(device: str, value: float) -> Conversation:
    return [_calls("read_sensor", id=device), Turn("tool", _json({"id": device, "celsius": value}))]


def _switch(relay: str, state: str) -> Conversation:
    return [_calls("set_relay", id=relay, state=state), Turn("tool", _json({"id": relay, "state": state}))]


def _calls(tool: str, **arguments: str) -> Turn:
    return _says({"tool": tool, "arguments": arguments})


def _says(value: object) -> Turn:
    return Turn("assistant", _json(value))


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _number(value: float) -> str:
    """As people write it: 8, not 8.0."""
    return str(int(value)) if value == int(value) else f"{value:.1f}"
