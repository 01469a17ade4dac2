"""This agent among the others: what it says of itself, and what it does as the recorder of all.

presence.py      says at every beat how it is, and gives way to a twin
twin.py          a cloned data directory: found before anything runs, and remembered
fingerprint.py   whether a data directory is where it was

recording.py     the recorder: its file, its service, what it answers
seen.py          what presence knows of an agent, as the recorder answers it
lookout.py       tells who falls silent, and who comes back
triggers.py      workflows that start on what happens in the fleet
"""
