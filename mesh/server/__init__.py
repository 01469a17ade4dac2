"""The embedded nats-server: a child process with its own data directory, JetStream on, that never outlives us.

embedded.py   start it, keep it running, stop it
settings.py   what it is told: its configuration file, its two users
remote.py     how it gets into the hub; renewed without a restart
child.py      one process: spawned so that it dies with us, its log read line by line
room.py       wait until a full disk has room again
guard.py      whose data directory it is; what a killed agent left behind
binary.py     where the program is
"""

from mesh.server.embedded import EmbeddedServer
from mesh.server.settings import Hub, Settings

__all__ = ["EmbeddedServer", "Hub", "Settings"]
