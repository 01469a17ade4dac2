"""The process: configuration, command line, life cycle.

app.py             the wiring: what there is, in which order it starts and stops
start.py           what it stands on: data directory, store, NATS server; the rest is loaded while that starts
mesh_wiring.py     the NATS side of it: connections, stations, the relay
fleet/             this agent among the others, and the recorder of all
config/            where settings come from and what there is to set
cli/               the commands; one small file per group
file_watch/        files that start workflows
templates/         workflows to be filled in
demo/              `ganglion demo`

lock.py            one process per data directory
identity.py        the agent's name, made once
secret_files.py    where secrets come from
access.py          who we are at a NATS server
node_types.py      what nodes can do here
intelligence.py    the language models of the process; model_desk.py tells how they are, model_health.py what they lack
workflow_files.py  deployed at each start
upkeep.py          retention, and what to do while the disk is full
crashes.py         what a native crash left behind
ready.py           what a running agent says of itself in files
status.py          and when it is asked; status_desk.py answers
stopping.py        the first signal drains, the second cancels
logs.py            log lines for people and for machines
about.py           what it says of itself as a service
build.py           what it is made of; licences.py: under which licences
draining.py        finish what runs, take nothing new; drain_desk.py takes the request
log_tail.py        its newest log lines, for whoever asks
mesh_rights.py     what a server must allow it
doctor.py          is this machine fit? place_health.py, model_health.py, wasm_health.py, store_health.py: parts of it

trial.py           one execution in this process (`ganglion run`), with mocks.py and borrowed_nats.py
single.py          one error out of a group
"""

__version__ = "0.1.0"
