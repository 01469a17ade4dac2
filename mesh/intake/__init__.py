"""From JetStream into the engine's inbox: fetch what there is room for, commit, then acknowledge.

pump.py      all ways in, and how a deploy changes them
lane.py      one way in, from a consumer: fetch -> accept -> acknowledge
pull.py      a consumer's messages, as many as were asked for, with heartbeats
capture.py   one way in, from a plain subscription, outside the promise
sink.py      what the intake needs from the engine
"""

from mesh.intake.pump import Pump

__all__ = ["Pump"]
