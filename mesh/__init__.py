"""How agents reach each other, and how the world reaches an agent: NATS, JetStream, MQTT.

A link may be lost at any time and everything here goes on with the next one; what is the hub's may be absent, which
degrades and never blocks.

    server/          the embedded nats-server: starts, comes back, dies with us
    credentials.py   how a client proves who it is; what the command line needs to reach the agent
    connection.py    one supervised client; `serve` runs work on each link
    jetstream.py     the requests to JetStream's management that we make
    streams.py       our streams and what they keep
    wire.py          subjects and headers that may be sent
    errors.py        what is refused, with what to do next
"""
