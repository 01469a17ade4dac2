"""The image and the compose file: what matters of them is read out of them; the hub's file is read by nats-server."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from agent import __version__
from agent.config import load_config
from agent.service.unit import stop_seconds
from mesh.server.binary import find_server

FOLDER = Path(__file__).parents[2] / "packaging/docker"
HADOLINT = shutil.which("hadolint", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
PASSWORD = "not-a-secret"
AGENTS = ("north", "south")


def instructions() -> list[tuple[str, str]]:
    """The lines of the Dockerfile, joined where they go on."""
    text = re.sub(r"\\\n\s*", "", (FOLDER / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def values(word: str) -> list[str]:
    return [rest for name, rest in instructions() if name == word]


def compose() -> dict[str, Any]:
    text = (FOLDER / "compose.yaml").read_text()
    text = re.sub(r"\$\{FLEET_PASSWORD:\?[^}]+\}", PASSWORD, text)
    text = text.replace("${EXECUTABLE:-dist/ganglion}", "dist/ganglion")
    assert "${" not in text
    document: dict[str, Any] = YAML(typ="safe").load(text)
    return document


COMPOSE = compose()
SERVICES = COMPOSE["services"]
STAY = {name: service for name, service in SERVICES.items() if "entrypoint" not in service}


def is_pinned(image: str) -> bool:
    """By a digest, with the tag of a version for people; an image of our own by its version."""
    return bool(re.fullmatch(r"\w+:[\w.-]*\d[\w.-]*@sha256:[0-9a-f]{64}", image)) or image == f"ganglion:{__version__}"


def test_the_base_is_pinned() -> None:
    assert values("FROM") == ["${BASE}"]
    base = dict(part.split("=", 1) for part in values("ARG"))["BASE"]
    assert is_pinned(base)


@pytest.mark.skipif(HADOLINT is None, reason="hadolint is not installed")
def test_hadolint_has_nothing_to_say_of_the_image() -> None:
    done = subprocess.run([HADOLINT, FOLDER / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_image_runs_as_nobody_in_particular() -> None:
    words = [word for word, _ in instructions()]
    assert values("USER") == ["10001:10001"]
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert words[0] == "ARG"
    assert not {"ADD", "SHELL", "MAINTAINER"} & set(words)
    assert not any(re.search(r"sudo|curl|wget|apt|chmod 777", rest) for rest in values("RUN"))


def test_the_image_keeps_its_data_in_a_volume_and_tells_its_health() -> None:
    environ = dict(part.split("=", 1) for part in shlex.split(values("ENV")[0]))
    settings, _ = load_config(environ={"HOME": "/", **environ})
    assert values("VOLUME") == [settings.data_dir]
    assert values("HEALTHCHECK")[0].endswith('CMD ["ganglion", "status"]')
    assert values("STOPSIGNAL") == ["SIGTERM"]
    assert values("ENTRYPOINT") == ['["ganglion"]']


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_has_no_more_rights_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert is_pinned(service["image"])
    assert service["cap_drop"] == ["ALL"]
    assert not service.get("privileged")
    if name in STAY:
        assert service["read_only"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["mem_limit"]
        assert service.get("user", "10001:10001") == "10001:10001"  # of agents: the image's


def test_ports_are_opened_on_loopback_only() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports == ["127.0.0.1:4222:4222"]


def test_the_image_is_built_of_the_executable_alone() -> None:
    build = SERVICES["north"]["build"]
    root = (FOLDER / build["context"]).resolve()
    assert root == FOLDER.parents[1]
    assert (root / build["dockerfile"]).is_file()
    assert build["args"]["EXECUTABLE"] == dict(part.split("=", 1) for part in values("ARG"))["EXECUTABLE"]
    ignored = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    assert [line for line in ignored if not line.startswith("#")] == ["*", "!dist"]


def test_what_is_to_stay_is_in_named_volumes() -> None:
    for name, service in STAY.items():
        named = [volume for volume in service["volumes"] if not volume.startswith(".")]
        assert len(named) == 1
        assert named[0].partition(":")[0] in COMPOSE["volumes"], name
    assert len({SERVICES[name]["volumes"][0] for name in AGENTS}) == 2  # one store, one agent
    assert STAY["hub"]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_takes_its_settings(name: str) -> None:
    service = SERVICES[name]
    settings, _ = load_config(environ={"HOME": "/", "GANGLION_DATA_DIR": "/var/lib/ganglion", **service["environment"]})
    assert settings.agent.id == name
    assert settings.mesh.hub == "nats-leaf://hub:7422"
    assert settings.mesh.credentials.password == PASSWORD
    assert int(service["stop_grace_period"].removesuffix("s")) >= stop_seconds(settings.engine.grace)
    assert service["image"] == f"ganglion:{__version__}"
    assert service["volumes"] == [f"{name}:/var/lib/ganglion"]


def test_the_hub_takes_its_configuration(tmp_path: Path) -> None:
    config = tmp_path / "hub.conf"
    config.write_text((FOLDER / "hub.conf").read_text().replace('"/data"', f'"{tmp_path}/data"'))
    done = subprocess.run(
        [find_server(), "-t", "-c", config], capture_output=True, text=True, env={"FLEET_PASSWORD": PASSWORD}
    )
    assert done.returncode == 0, done.stderr
    settings, _ = load_config(environ={"HOME": "/", **SERVICES["north"]["environment"]})
    assert f"domain: {settings.mesh.hub_domain}," in config.read_text()
    assert f"user: {settings.mesh.credentials.user}," in config.read_text()
