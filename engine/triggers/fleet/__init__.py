"""What happens anywhere in the fleet starts executions, on the agent that records it.

record.py    what is asked of the recorder
telling.py   an event as expressions see it, and what it is counted under
sliding.py   events on the line of time: when were there enough?
counting.py  a trigger with `count`: its groups, each with its time
judging.py   a trigger with `stat`: a figure of a window, and whether it holds
watch.py     the triggers of one workflow, and what they make of new events
starting.py  what a trigger asks for becomes an execution, or a dead letter
watcher.py   the service: reads the recorder behind a position that moves with what it starts
"""

from engine.triggers.fleet.record import FleetRecord
from engine.triggers.fleet.starting import ORIGIN
from engine.triggers.fleet.watcher import Watcher

__all__ = ["ORIGIN", "FleetRecord", "Watcher"]
