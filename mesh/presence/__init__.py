"""Who is there: each agent says so at every beat, and whoever asks sees all agents that ever did.

    up -> draining -> stopped        said by the agent itself
    up | draining -> lost            seen by others, after three beats without a word

beat.py         what an agent says of itself
bucket.py       where that is kept               reading.py  what may come out of it
heart.py        says it, at every beat           twins.py    who else says it under our id
members.py      who is there, in one look        selector.py which of them are meant
roster.py       who comes and goes, for as long as somebody watches
attendance.py   the same without a server: what speech and silence mean
"""
