"""What bench/fleet.py and bench/thousand.py measure: servers, agents, and the bare loops beside them.

server.py      a plain nats-server
triggers.py    messages of one stream, shared by several agents
crowd.py       simulated agents, all in one process
facts.py       facts out of an outbox into a stream, and out of the stream into a recorder's file
"""
