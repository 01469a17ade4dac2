"""From the outbox to the world: facts, and messages that nodes published.

relay.py          the outbox's two lanes, side by side
facts.py          facts, strictly in order, with a cursor
publications.py   messages that nodes published, in order for each subject
pipeline.py       publishing to JetStream without waiting for each acknowledgement
"""

from mesh.relay.relay import Relay

__all__ = ["Relay"]
