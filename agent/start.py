"""The start of an agent, up to what it stands on: its data directory, its store, its NATS server.

The server needs time to come up, and so does Python to load the engine, the plugins and the library of NATS: more than
half of the modules that an agent is made of are loaded while the server reads its store. So nothing here may import
app.py at its head; see tests/agent/test_start.py.
"""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib import import_module
from pathlib import Path

from agent.access import hub_of
from agent.backups import STORE
from agent.config import Config
from agent.config.model import Mode
from agent.crashes import crash_file
from agent.fleet.fingerprint import named_after
from agent.fleet.twin import refuse_a_twin
from agent.ground import Ground
from agent.identity import agent_id
from agent.lock import locked
from agent.log_tail import kept_tail
from agent.secret_files import SecretFiles
from agent.service.supervisor import taken_supervisor
from agent.stopping import Stopping, canceller, two_phase_stop
from agent.update.directory import mark, refuse_newer
from agent.update.program import this_program
from engine.store import Store
from mesh.credentials import Credentials
from mesh.server import EmbeddedServer, Settings

REST = "agent.app"
"""What is loaded while the server starts."""
_log = logging.getLogger("ganglion.agent")


async def serve(config: Config, *, secrets: SecretFiles, ready_file: Path | None = None) -> None:
    """Run an agent until a signal asks it to stop.

    Raises, alone or inside exception groups, StoreError and MeshError, whose messages say what to do.
    """
    async with opened_ground(config, secrets) as ground:
        from agent.app import live

        await live(config, ground, ready_file)
    if ground.stop.error is not None:
        raise ground.stop.error
    _log.info("stopped")


@asynccontextmanager
async def opened_ground(config: Config, secrets: SecretFiles) -> AsyncIterator[Ground]:
    """Nothing is touched before the lock is ours, and nobody else's server is started."""
    stop = Stopping()
    supervisor = taken_supervisor()
    with suppress(PermissionError):  # a directory that can't be looked into: `locked` says what to do
        refuse_newer(config.data_path)
    async with AsyncExitStack() as stack:
        tail = stack.enter_context(kept_tail(secrets.revealed))
        stack.enter_context(locked(config.data_path))
        mark(config.data_path)
        crash = stack.enter_context(crash_file(config.data_path))
        stack.enter_context(two_phase_stop(drain=stop.stop, cancel=canceller()))
        refuse_a_twin(config.data_path)
        agent = agent_id(config.data_path, config.agent.id)
        store = await stack.enter_async_context(opened_store(config))
        opened = opened_server(config, agent, meanwhile=lambda: import_module(REST))
        server = await stack.enter_async_context(opened)
        yield Ground(
            agent=agent, secrets=secrets, stop=stop, supervisor=supervisor, tail=tail, crash=crash, store=store,
            server=server,
        )  # fmt: skip


@asynccontextmanager
async def opened_store(config: Config) -> AsyncIterator[Store]:
    """The store of the data directory."""
    path = config.data_path / STORE
    program = this_program().told
    async with Store.open(path, synchronous=config.store.synchronous.value, program=program) as store:
        if not store.was_clean:
            found = "was checked and is whole" if store.was_checked else "is too large to be checked at a start"
            _log.warning("the last process did not stop in an orderly way; the store %s", found)
        yield store


@asynccontextmanager
async def opened_server(
    config: Config, agent: str, *, meanwhile: Callable[[], object]
) -> AsyncIterator[EmbeddedServer | None]:
    """The agent's own server, if it is to have one. Raises ServerRefused and InvalidAccess."""
    if config.mesh.mode is not Mode.EMBEDDED:
        yield None
        return
    async with EmbeddedServer.open(server_settings(config, agent), meanwhile=meanwhile) as server:
        yield server


def server_settings(config: Config, agent: str) -> Settings:
    """What the embedded server is told."""
    mesh = config.mesh
    return Settings(
        name=agent,
        data_dir=config.data_path,
        listen=mesh.listen,
        mqtt=mesh.mqtt,
        device=Credentials(user=mesh.device.user, password=mesh.device.password),
        sync_interval=mesh.sync_interval,
        max_file_bytes=mesh.max_file_bytes,
        max_payload_bytes=mesh.max_payload_bytes,
        domain=mesh.domain,
        # The server keeps its MQTT sessions under its name.
        server_name=named_after(config.data_path, agent, for_good=bool(mesh.mqtt)) if mesh.hub else "",
        hub=hub_of(config),
    )
