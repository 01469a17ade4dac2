"""The parts of trigger.py: each runs in a process of its own.

publisher.py    sends messages, as fast as they are acknowledged or so many a second; knows nothing of us
subscriber.py   sees the events; knows nothing of us
contestants.py  starts what stands between them: a `ganglion up`, or
bare.py         the ceiling: the same commits and publishes in a bare loop, without an engine
"""
