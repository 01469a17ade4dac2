"""Who is there: each agent says so at every beat, and whoever asks sees all agents that ever did.

    up -> draining -> stopped        said by the agent itself
    up | draining -> lost            seen by others, after three beats without a word

beat.py       what an agent says of itself
reading.py    the same from bytes that anybody may have written
bucket.py     where it is kept
members.py    who is there, in one look
selector.py   which of them are meant
"""
