"""The recorder: facts of the whole fleet, from the wire into a file of their own (engine/fleet).

    GANGLION_EVENTS -> reader -> FleetStore        at least once, in any order: committed, then acknowledged
    open gaps -> asker -> the agents' outboxes     what the stream has lost
    heartbeats -> watch                            who says that it has facts which are not here

decode.py     a fact from the wire, bounded, or why it is none
reader.py     fetch -> commit -> acknowledge
asker.py      which facts are missing, and who is asked for them when
answers.py    a page of an agent's outbox, and what it says for certain
watch.py      what agents say of themselves beside what is recorded: who is behind
recorder.py   all of it
"""

from mesh.recorder.recorder import Recorder

__all__ = ["Recorder"]
