"""From JetStream into the engine's inbox: fetch what there is room for, commit, then acknowledge.

pump.py      all ways in, and how a deploy changes them
checks.py    whether what a deploy wants can be taken in
source.py    what is fetched, and the names of the durable consumers
departed.py  this agent's consumers of workflows that are undeployed
consumer.py  such a consumer, as the server is told of it
lane.py      one way in, from a consumer: fetch -> accept -> acknowledge
answers.py   what the server is told of messages that were taken in
hand.py      what all lanes have fetched, and not taken in yet
pull.py      a consumer's messages, as many as were asked for, with heartbeats
capture.py   one way in, from a plain subscription, outside the promise
sink.py      what the intake needs from the engine
"""

from mesh.intake.pump import Pump

__all__ = ["Pump"]
