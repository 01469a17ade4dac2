"""The embedded server with real processes: who may do what, and what a kill -9 leaves behind."""

import asyncio
import json
import logging
import os
import signal
import stat
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import nats.errors
import paho.mqtt.client as mqtt
import psutil
import pytest
from nats.aio.client import Client

from mesh.connection import Connection, Link
from mesh.credentials import Credentials, access_path, read_access
from mesh.errors import InUse, ServerRefused
from mesh.server import EmbeddedServer, Settings
from mesh.server.binary import find_server
from mesh.server.guard import Guard, started

pytestmark = pytest.mark.nats

MakeSettings = Callable[..., Settings]
MakeClient = Callable[..., AbstractAsyncContextManager[Client]]
Connecting = Callable[[EmbeddedServer], AbstractAsyncContextManager[Connection]]

AGENT = """
import asyncio, sys
from pathlib import Path
from mesh.server import EmbeddedServer, Settings
from mesh.server.binary import find_server

async def main():
    settings = Settings(name="edge", data_dir=Path(sys.argv[1]), listen=sys.argv[2])
    async with EmbeddedServer.open(settings) as server:
        print(server.pid, server.url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def start_agent(data_dir: Path, listen: str = "127.0.0.1:0") -> tuple[asyncio.subprocess.Process, int, str]:
    agent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", AGENT, str(data_dir), listen, stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert agent.stdout is not None
    pid, url = (await agent.stdout.readline()).decode().split()
    return agent, int(pid), url


async def test_it_is_ready_on_a_free_port_and_gone_at_the_end(
    tmp_path: Path, settings: MakeSettings, client: MakeClient
) -> None:
    async with EmbeddedServer.open(settings(tmp_path, mqtt="127.0.0.1:0")) as server:
        assert not server.url.endswith((":0", ":4222"))
        assert server.mqtt.startswith("127.0.0.1:")
        pid = server.pid
        async with client(server) as anybody:
            await anybody.flush()
    assert pid is not None
    assert not started(pid)


async def test_what_is_done_meanwhile_is_done_before_it_is_ready(tmp_path: Path, settings: MakeSettings) -> None:
    done: list[str] = []
    async with EmbeddedServer.open(settings(tmp_path), meanwhile=lambda: done.append("now")):
        assert done == ["now"]


async def test_an_error_of_what_is_done_meanwhile_leaves_no_server_behind(
    tmp_path: Path, settings: MakeSettings
) -> None:
    def fail() -> None:
        raise ImportError("there is no such module")

    with pytest.raises(ExceptionGroup) as raised:
        async with EmbeddedServer.open(settings(tmp_path), meanwhile=fail):
            pass
    assert raised.group_contains(ImportError, match="no such module")
    async with EmbeddedServer.open(settings(tmp_path)) as server:
        assert server.pid is not None


async def test_its_files_are_for_this_user_alone(server: EmbeddedServer, tmp_path: Path) -> None:
    for path in [access_path(tmp_path), tmp_path / "nats" / "server.conf"]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    access = read_access(tmp_path)
    assert access is not None
    assert access.url == server.url
    assert access.credentials.password not in " ".join(psutil.Process(server.pid).cmdline())
    assert access.credentials.password not in repr(access)


async def test_the_agents_password_stays_the_same(tmp_path: Path, settings: MakeSettings) -> None:
    async with EmbeddedServer.open(settings(tmp_path)) as first:
        password = first.credentials.password
    async with EmbeddedServer.open(settings(tmp_path)) as second:
        assert second.credentials.password == password


async def test_a_device_publishes_and_watches_but_does_not_speak_for_the_agent(
    server: EmbeddedServer, link: Link, device: Client
) -> None:
    heard = await link.nc.subscribe(">")
    seen = await device.subscribe("ganglion.>")
    await device.flush()
    await link.nc.flush()
    for word in ("service", "job", "journal", "event", "live"):
        await device.publish(f"ganglion.{word}.default.edge.x", b"forged")
    await device.publish("$JS.ACK.GANGLION_INTAKE.agent.1.1.1.1.1", b"")
    await device.publish("sensors.f1.temperature", b"7.5")
    await device.publish("ganglion.trigger.default.any.cold-chain", b"{}")
    await device.flush()
    assert [(await heard.next_msg(1)).subject for _ in range(2)] == [
        "sensors.f1.temperature", "ganglion.trigger.default.any.cold-chain",
    ]  # fmt: skip
    assert (await seen.next_msg(1)).subject == "ganglion.trigger.default.any.cold-chain"
    await link.nc.publish("ganglion.service.default.edge.ps", b"")
    await link.nc.publish("ganglion.event.default.edge.cold-chain.workflow.started", b"")
    assert (await seen.next_msg(1)).subject == "ganglion.event.default.edge.cold-chain.workflow.started"


async def test_a_device_cannot_manage_streams(device: Client) -> None:
    with pytest.raises(nats.errors.TimeoutError):
        await device.request("$JS.API.STREAM.NAMES", b"", timeout=0.2)


async def test_devices_with_credentials_are_let_in_and_others_are_not(
    tmp_path: Path, settings: MakeSettings, client: MakeClient
) -> None:
    device = Credentials(user="sensor", password="secret")
    async with EmbeddedServer.open(settings(tmp_path, device=device)) as server:
        async with client(server, device) as sensor:
            await sensor.flush()
        stranger = Client()

        async def ignore(_: Exception) -> None: ...

        with pytest.raises(nats.errors.Error, match="Authorization"):
            await stranger.connect(server.url, allow_reconnect=False, error_cb=ignore)
        await stranger.close()


async def test_an_mqtt_client_publishes_into_a_stream(
    tmp_path: Path, settings: MakeSettings, connected: Connecting
) -> None:
    async with EmbeddedServer.open(settings(tmp_path, mqtt="127.0.0.1:0")) as server, connected(server) as connection:
        link = await connection.link()
        await link.js.add_stream(name="GANGLION_INTAKE", subjects=["sensors.*.temperature"], retention="workqueue")

        def publish() -> None:
            host, _, port = server.mqtt.rpartition(":")
            sensor = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="f1")
            sensor.connect(host, int(port))
            sensor.loop_start()
            for qos, retain in ((0, False), (1, False), (1, True), (2, False)):
                body = json.dumps({"qos": qos, "retain": retain})
                sensor.publish("sensors/f1/temperature", body, qos=qos, retain=retain).wait_for_publish(5)
            sensor.publish("ganglion/event/default/edge/x", b"forged", qos=1)
            sensor.disconnect()
            sensor.loop_stop()

        await asyncio.to_thread(publish)
        pull = await link.js.pull_subscribe("", "test", stream="GANGLION_INTAKE")
        messages = await pull.fetch(4, timeout=5)
        assert [(m.subject, json.loads(m.data)["qos"]) for m in messages] == [
            ("sensors.f1.temperature", qos) for qos in (0, 1, 1, 2)
        ]


async def test_a_taken_port_is_refused_with_what_to_do(
    server: EmbeddedServer, tmp_path: Path, settings: MakeSettings
) -> None:
    taken = server.url.removeprefix("nats://")
    with pytest.raises(ServerRefused, match=r"the port is taken.*127\.0\.0\.1:0"):
        async with EmbeddedServer.open(settings(tmp_path / "other", listen=taken)):
            pytest.fail("it must not start")


async def test_a_server_that_gets_too_little_memory_is_refused_with_that_and_not_with_its_stack(
    tmp_path: Path, settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nats-server"
    program.write_text(f'#!/bin/sh\nulimit -v 200000\nexec {find_server()} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr("mesh.server.embedded.find_server", lambda: program)
    logged: list[tuple[int, str]] = []
    message = r"^nats-server did not start: fatal error: [^;]*memory: free some, or let it have more \(ulimit -v\)$"
    with pytest.raises(ServerRefused, match=message):
        async with EmbeddedServer.open(settings(tmp_path), log=lambda level, line: logged.append((level, line))):
            pytest.fail("it must not start")
    assert [line.split(":")[0] for level, line in logged if level > logging.DEBUG] == ["fatal error"]


async def test_a_second_agent_on_the_data_directory_is_refused(tmp_path: Path, settings: MakeSettings) -> None:
    agent, _, _ = await start_agent(tmp_path)
    try:
        with pytest.raises(InUse, match=f"in use by the agent with process id {agent.pid}.*choose another data_dir"):
            async with EmbeddedServer.open(settings(tmp_path)):
                pytest.fail("it must not start")
    finally:
        agent.kill()
        await agent.wait()


async def test_a_killed_agent_leaves_no_server_and_the_next_start_works_at_once(
    tmp_path: Path, settings: MakeSettings
) -> None:
    listen = "127.0.0.1:0"
    for _ in range(3):
        agent, pid, url = await start_agent(tmp_path, listen)
        listen = url.removeprefix("nats://")
        agent.kill()
        await agent.wait()
    async with EmbeddedServer.open(settings(tmp_path, listen=listen)) as server:
        assert not started(pid)
        assert server.url == url


async def test_an_orphan_is_killed_before_its_store_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.server.guard.WAIT_SECONDS", 0.1)
    orphan = await asyncio.create_subprocess_exec("sleep", "1000")
    try:
        guard = await Guard.acquire(tmp_path)
        holder = await asyncio.create_subprocess_exec("sleep", "1000", pass_fds=(guard.descriptor,))
        guard.write(holder.pid)
        dead_agent = {"pid": 2**22 - 1, "started": "long ago"}
        content = json.loads((tmp_path / "lock").read_text())
        (tmp_path / "lock").write_text(json.dumps({**content, "agent": dead_agent}))
        os.close(guard.descriptor)
        again = await Guard.acquire(tmp_path)
        assert await holder.wait() == -signal.SIGKILL
        again.release()
        assert orphan.returncode is None
    finally:
        orphan.kill()
        await orphan.wait()


async def test_a_lock_held_by_a_stranger_is_refused_and_the_stranger_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mesh.server.guard.WAIT_SECONDS", 0.1)
    guard = await Guard.acquire(tmp_path)
    stranger = await asyncio.create_subprocess_exec("sleep", "1000", pass_fds=(guard.descriptor,))
    (tmp_path / "lock").write_text("")
    os.close(guard.descriptor)
    try:
        with pytest.raises(InUse, match="find it with `fuser"):
            await Guard.acquire(tmp_path)
        assert stranger.returncode is None
    finally:
        stranger.kill()
        await stranger.wait()


async def test_a_server_whose_program_was_deleted_ends_the_agent_with_what_to_do(
    tmp_path: Path, settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nats-server"
    program.symlink_to(find_server())
    monkeypatch.setattr("mesh.server.embedded.find_server", lambda: program)
    monkeypatch.setattr("mesh.server.embedded.LONGEST_PAUSE_SECONDS", 0.2)

    async def lose_the_program() -> None:
        async with EmbeddedServer.open(settings(tmp_path)) as server:
            program.unlink()
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            await asyncio.Event().wait()

    with pytest.raises(ExceptionGroup) as caught:
        await lose_the_program()
    assert caught.group_contains(ServerRefused, match="was deleted: start the agent again")


async def test_a_killed_server_comes_back_on_its_port_with_what_was_acknowledged(
    tmp_path: Path, settings: MakeSettings, connected: Connecting
) -> None:
    async with (
        EmbeddedServer.open(settings(tmp_path, sync_interval="always")) as server,
        connected(server) as connection,
    ):
        link = await connection.link()
        await link.js.add_stream(name="KEPT", subjects=["kept"])
        url = server.url
        for round in range(1, 4):
            ack = await link.js.publish("kept", b"x")
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            await link.lost.wait()
            link = await connection.link()
            state = (await link.js.stream_info("KEPT")).state
            assert (state.messages, server.restarts, server.url) == (ack.seq, round, url)
