"""The process: configuration, command line, life cycle.

From the first line to the last:

cli/               the commands; one small file per group. root.py lists them, up.py begins an agent
config/            where settings, data and cache are (places.py), and what there is to set
start.py           makes the ground: data directory, store, NATS server; the rest is loaded while that starts
ground.py          what an agent stands on
app.py             the wiring: what there is, in which order it starts and stops
mesh_wiring.py     the NATS side of it: connections, stations, the relay
stopping.py        the first signal drains, the second cancels

service/           the agent as a service of the machine, and its watchdog
update/            another executable in the place of this one; which data directories a program may take
fleet/             this agent among the others, and the recorder of all
file_watch/        files that start workflows
templates/         workflows to be filled in
demo/              `ganglion demo`

The data directory, and what is beside it:

lock.py            one process per data directory
identity.py        the agent's name, made once
workflow_files.py  deployed at each start
upkeep.py          retention, and what to do while the disk is full
backup_desk.py     copies of the store; backups.py: how they are asked for
crashes.py         what a native crash left behind
ownership.py       root works in somebody else's data directory
scratch.py         a directory for what is to be gone afterwards, where there is room
secret_files.py    where secrets come from
access.py          who we are at a NATS server
mesh_rights.py     what a server must allow it

What runs in it:

node_types.py      what nodes can do here
intelligence.py    the language models of the process; model_desk.py tells how they are
draining.py        finish what runs, take nothing new; drain_desk.py takes the request
collector.py       how Python's garbage is collected

What it says of itself:

ready.py           in files, while it runs
status.py          when it is asked; status_desk.py answers
logs.py            log lines for people and for machines; log_tail.py: the newest, for whoever asks
about.py           as a service of NATS
build.py           what it is made of; licences.py: under which licences
doctor.py          is this machine fit? Parts of it: place_health.py, store_health.py, model_health.py, wasm_health.py;
                   finding.py: what they find; proc.py: what is missing without /proc

trial.py           one execution in this process (`ganglion run`), with mocks.py and borrowed_nats.py; written.py: what
                   its models write meanwhile
single.py          one error out of a group
"""

__version__ = "0.1.0"
