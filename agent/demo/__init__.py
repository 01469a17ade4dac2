"""The demonstration: a real agent, real clients that know nothing of it, and a check for every claim.

story.py      the acts in their order, and the end
messages.py   fridges report through NATS and MQTT
power_cut.py  kill -9 in the middle of a batch
deciding.py   a language model in the process decides, offline
acting.py     a language model reads a sensor and switches a relay
telling.py    what is told, and the claims that were checked
clients.py    programs of the examples, each in a process of its own
stage.py      the agent's process, the commands and the clients, in a directory that goes away afterwards
ledger.py     a small HTTP service that books readings: the witness of what was done, and how often
"""
