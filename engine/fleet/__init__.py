"""What a recorder keeps of a whole fleet: the facts of all agents, and figures made of them, in a file of its own.

A fact comes at least once and in any order: it is told from others by (agent, epoch, seq), a number that is missing is
a gap, which is asked for and closes when the fact comes, or when somebody says that it is gone. Figures are kept as
facts come in, in the minute and hour in which they happened, however late they come.

event.py   a fact of some agent, as it is kept
query.py   what can be asked, and what the answers look like
"""
