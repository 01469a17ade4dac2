"""The process: configuration, command line, life cycle.

app.py           the wiring: what runs in an agent, in which order it starts and stops
config/          where settings come from and what there is to set
cli/             the commands; one small file per group
lock.py          one process per data directory
identity.py      the agent's name, made once
secret_files.py  where secrets come from
logs.py          log lines for people and for machines
ready.py         what a running agent says about itself, for supervisors and for the command line
stopping.py      the first signal drains, the second cancels
"""

__version__ = "0.1.0"
