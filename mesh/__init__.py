"""How agents reach each other, and how the world reaches an agent: NATS, JetStream, MQTT.

A link may be lost at any time, and everything here goes on with the next one. What is the hub's may be absent, which
degrades and never blocks. Nothing here decides what runs: messages go into the engine's inbox, facts come out of its
outbox, and both are committed before this side says so to anybody.

Reading order, the way of a message and of what comes of it:

    server/          the embedded nats-server: starts, comes back when it dies, dies with us
    leaf/            the link from it to a hub
    connection.py    one supervised client at a time; `serve` runs work on each link (nats_client.py: the client)
    streams.py       our streams and what they keep          jetstream.py  the management requests for them
    intake/          messages into the inbox: fetch, commit, acknowledge
    relay/           facts and publications out of the outbox
    presence/        who is there: heartbeats, and the roster of them
    live.py          live events, while somebody listens
    recorder/        the facts of the whole fleet into a file, and what is missing of them out of the agents' outboxes
    service.py       the control service (micro.py: as `nats micro` sees it); client.py, its other side, over a line.py
    roll_call.py     which agents answer now
    station.py       all that an agent does at one server: its own, or the hub that it shares with others
    requester.py     request-reply for nodes
    credentials.py   how a client proves who it is           wire.py       what may go onto the wire, and what to
    key_files.py     its files: renewed, or about to expire                believe of what comes from it
    refusal.py       why a server did not let us in          permissions.py  what each user must be allowed there
    address.py       where a server is
    errors.py        what is refused, with what to do next
"""
