"""What happened: facts, which are durable and numbered without gaps, and live events, which are best effort.

event.py        an event, and the closed list of kinds
bus.py          events inside the process, for the command line, tests and relays
cloudevent.py   an event on the wire
"""

from engine.events.bus import Bus, Subscription
from engine.events.cloudevent import Identity, cloudevent
from engine.events.event import FACTS, LIVE, Event, Kind

__all__ = ["FACTS", "LIVE", "Bus", "Event", "Identity", "Kind", "Subscription", "cloudevent"]
