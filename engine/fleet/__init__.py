"""What a recorder keeps of a whole fleet: the facts of all agents, and figures made of them, in a file of its own.

A fact comes at least once and in any order: it is told from others by (agent, epoch, seq), a number that is missing is
a gap, which is asked for and closes when the fact comes, or when somebody says that it is gone. Figures are kept as
facts come in, in the minute and hour in which they happened, however late they come.

event.py      a fact of some agent, as it is kept
query.py      what can be asked, and what the answers look like
store.py      the file: record, ask, tidy up
schema.py     its tables
recording.py  one batch in one transaction: tracks.py (what is new), gaps.py (what is missing), names.py (small numbers
              for what repeats), packing.py (ids), figures.py (counts and durations of minutes and hours)
stats.py      figures of any selection; sketch.py: quantiles of sums
looking.py    events that match a question; selection.py: what it asks for
labels.py     labels of agents
retention.py  what goes when
"""
