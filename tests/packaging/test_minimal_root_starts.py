"""How the executable starts where a lot is missing: a home, a /tmp with room, /proc, /etc, terminals, whole files."""

import json
import signal
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import psutil
import trustme

from agent.cli.failure import Exit
from tests.packaging.equipment import USER
from tests.packaging.machine import Machine, SwitchOn, until
from tests.packaging.minimal_root import DATA, HOME

SMALL_KILOBYTES = 64
CLOCKWORK = """\
name: clockwork
nodes:
  now: {type: transform, data: {late: "{{ 'ä' | upper }}"}}
triggers:
  - cron: {schedule: "0 12 * * *", timezone: Pacific/Auckland}
"""


def lines(error: str) -> list[str]:
    return error.splitlines()


def test_version_help_and_doctor_need_nothing(switch_on: SwitchOn) -> None:
    machine = switch_on(etc=False, shared_memory=False, devices=("null",))
    assert machine("--version").startswith("ganglion ")
    assert "Run as a service" in machine("--help")
    found = {finding["check"]: finding for finding in json.loads(machine("doctor", "--json"))["findings"]}
    assert found["data directory"]["message"] == f"{HOME}/.local/share/ganglion, made at the first start"
    assert found["nats-server"]["verdict"] == "ok"


def test_users_name_servers_certificates_time_zones_shared_memory_and_a_terminal_are_not_needed(
    switch_on: SwitchOn,
) -> None:
    machine = switch_on(etc=False, shared_memory=False, devices=("null",))
    (machine.data / "clockwork.yaml").write_text(CLOCKWORK)
    agent, _ = machine.up()
    machine("deploy", f"{DATA}/clockwork.yaml", "--data-dir", DATA)
    ended = json.loads(machine("trigger", "clockwork", "--wait", "--json", "--data-dir", DATA))
    assert ended["info"]["status"] == "completed"
    shown = json.loads(machine("show", ended["info"]["execution"], "--json", "--data-dir", DATA))
    assert shown["nodes"][0]["output"] == {"late": "Ä"}
    agent.terminate()
    agent.communicate(timeout=30)
    assert agent.returncode == 0


def test_without_glibc_it_says_so(switch_on: SwitchOn) -> None:
    said = switch_on(glibc=False).run("--version")
    assert said.returncode == 126
    assert said.stderr.endswith(
        "can't be executed: this machine has no glibc, which it needs (Alpine and OpenWrt have musl instead)\n"
    )


def test_without_proc_an_agent_says_what_to_do_and_a_check_works(switch_on: SwitchOn) -> None:
    machine = switch_on(proc=False)
    (machine.data / "clockwork.yaml").write_text(CLOCKWORK)
    machine("check", f"{DATA}/clockwork.yaml")
    said = machine.run("up", "--data-dir", DATA)
    message = "ganglion: there is no /proc, by which an agent knows processes: mount it: mount -t proc proc /proc"
    assert (said.returncode, lines(said.stderr)) == (Exit.FAILED, [message])
    assert "there is no /proc" in machine.run("doctor").stdout


def test_without_home_a_named_data_directory_is_enough(machine: Machine) -> None:
    del machine.environ["HOME"]
    agent, _ = machine.up(GANGLION_CACHE_DIR=f"{DATA}/cache")
    agent.terminate()
    _, error = agent.communicate(timeout=30)
    assert agent.returncode == 0
    assert "for this run only" not in error


def test_without_home_and_data_directory_there_is_one_clear_line(machine: Machine) -> None:
    del machine.environ["HOME"]
    said = machine.run("up", GANGLION_CACHE_DIR=f"{DATA}/cache")
    message = (
        "ganglion: this user has no home directory, and $HOME is not set: name a directory for the data with "
        "--data-dir, or set HOME"
    )
    assert (said.returncode, lines(said.stderr)) == (Exit.USAGE, [message])


def test_without_home_the_users_file_tells_it(switch_on: SwitchOn) -> None:
    machine = switch_on(passwd=f"root:x:0:0::/:/x\nsomebody:x:{USER}:{USER}::{HOME}:/x\n")
    del machine.environ["HOME"]
    found = json.loads(machine("doctor", "--json", GANGLION_CACHE_DIR=f"{DATA}/cache"))["findings"]
    assert f"{HOME}/.local/share/ganglion, made at the first start" in [finding["message"] for finding in found]


def test_without_home_an_agent_that_ran_from_tmp_leaves_nothing_there_after_kill_9(machine: Machine) -> None:
    del machine.environ["HOME"]
    agent, _ = machine.up()
    assert len(list(machine.inside("/tmp").iterdir())) == 1
    agent.kill()
    _, error = agent.communicate()
    assert "GANGLION_CACHE_DIR names a folder of yours that may keep it" in error
    until(lambda: machine.processes == [])
    assert list(machine.inside("/tmp").iterdir()) == []


def test_a_server_s_certificate_is_refused_by_our_own_list(machine: Machine) -> None:
    with https_server() as url:
        (machine.data / "ask.yaml").write_text(f"name: ask\nnodes: {{call: {{type: http, url: '{url}'}}}}\n")
        said = machine.run("run", f"{DATA}/ask.yaml")
    assert said.returncode == Exit.FAILED
    assert "the certificate is not trusted" in said.stdout + said.stderr


@contextmanager
def https_server() -> Iterator[str]:
    """With a certificate of an authority that nobody knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def test_with_a_full_tmp_everything_works_from_the_cache(switch_on: SwitchOn) -> None:
    machine = switch_on(tmp_kilobytes=SMALL_KILOBYTES)
    (machine.data / "clockwork.yaml").write_text(CLOCKWORK)
    agent, _ = machine.up()
    machine("deploy", f"{DATA}/clockwork.yaml", "--data-dir", DATA)
    assert "completed" in machine("trigger", "clockwork", "--wait", "--data-dir", DATA)
    machine("run", f"{DATA}/clockwork.yaml")
    agent.terminate()
    _, error = agent.communicate(timeout=30)
    assert agent.returncode == 0
    assert "for this run only" not in error


def test_with_no_place_at_all_it_says_for_each_place_why_and_leaves_nothing(switch_on: SwitchOn) -> None:
    machine = switch_on(tmp_kilobytes=SMALL_KILOBYTES, home_kilobytes=1000, shared_memory=False)
    said = machine.run("--version")
    first, *places, remedy = lines(said.stderr)
    assert said.returncode == 1
    assert first.startswith("ganglion: there is no place to unpack into (")
    assert [place.split(": ")[0].strip() for place in places] == [
        f"{HOME}/.cache/ganglion/executable", "/tmp", "/var/tmp", "/dev/shm",
    ]  # fmt: skip
    assert places[0].endswith("no room to unpack there: No space left on device")
    assert "GANGLION_CACHE_DIR" in remedy
    until(lambda: machine.processes == [])
    assert [path.name for path in machine.inside("/tmp").iterdir()] == ["full"]
    assert list(machine.inside(f"{HOME}/.cache/ganglion/executable").iterdir()) == []


def test_with_a_full_home_it_runs_from_tmp_and_leaves_nothing(switch_on: SwitchOn) -> None:
    machine = switch_on(home_kilobytes=1000)
    said = machine.run("--version")
    assert said.returncode == 0
    assert "for this run only" in said.stderr
    assert "no room to unpack there" in said.stderr
    until(lambda: machine.processes == [])
    assert list(machine.inside("/tmp").iterdir()) == []


def test_a_home_from_which_nothing_can_be_executed_is_passed_over(switch_on: SwitchOn) -> None:
    machine = switch_on(home_executes=False)
    said = machine.run("--version")
    assert said.returncode == 0
    assert f"  {HOME}: its file system is mounted noexec" in lines(said.stderr)


def test_a_file_with_other_contents_of_the_same_size_is_made_anew(machine: Machine) -> None:
    machine("--version")
    (build,) = machine.builds
    library = next(build.rglob("libpython*.so*"))
    right = library.read_bytes()
    with library.open("r+b") as file:
        file.seek(len(right) // 2)
        file.write(bytes(byte ^ 0xFF for byte in right[len(right) // 2 :][:64]))
    assert library.stat().st_size == len(right)
    machine("--version")
    assert machine.builds == [build]
    assert library.read_bytes() == right


def test_a_first_start_that_is_killed_while_it_unpacks_does_not_stop_another(machine: Machine) -> None:
    first, second = machine.start("--version"), machine.start("--version")
    until(lambda: len(machine.builds) > 0)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    _, error = second.communicate(timeout=60)
    assert (second.returncode, error) == (0, "")
    machine("--version")
    assert [len(build.name) for build in machine.builds] == [32]


def test_as_the_first_process_of_a_container_it_ends_when_it_is_asked(switch_on: SwitchOn) -> None:
    unshare, ready = switch_on(container=True).up()
    assert ready["pid"] == 1
    (agent,) = psutil.Process(unshare.pid).children()
    agent.terminate()
    unshare.communicate(timeout=30)
    assert unshare.returncode == 0
