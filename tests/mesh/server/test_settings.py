from pathlib import Path

import pytest

from mesh.credentials import Credentials
from mesh.errors import ServerRefused
from mesh.server.settings import Keys, Settings, check, is_loopback, render, split_address

KEYS = Keys(agent=Credentials(user="agent", password='pass"word'), anonymous="random", uplink="up", system="sys")


@pytest.mark.parametrize("key", ["listen", "mqtt"])
@pytest.mark.parametrize("address", ["0.0.0.0:4222", "192.168.1.5:1883", "[::]:4222", "gateway:4222"])
def test_a_listener_beyond_this_machine_is_refused_without_credentials(key: str, address: str) -> None:
    open_settings = Settings(name="edge", data_dir=Path("d"), **{key: address})
    with pytest.raises(ServerRefused, match=r"open to other machines.*set \[mesh\] device"):
        check(open_settings)
    check(Settings(name="edge", data_dir=Path("d"), device=Credentials(user="d", password="x"), **{key: address}))


def test_with_credentials_for_devices_nobody_is_anonymous() -> None:
    closed = Settings(name="edge", data_dir=Path("d"), device=Credentials(user="sensor", password="x"))
    assert "no_auth_user" not in render(closed, KEYS)
    assert "no_auth_user: device" in render(Settings(name="edge", data_dir=Path("d")), KEYS)


def test_values_are_quoted() -> None:
    text = render(Settings(name='a"b', data_dir=Path('/tmp/x"y')), KEYS)
    assert 'server_name: "a\\"b"' in text
    assert 'store_dir: "/tmp/x\\"y/nats"' in text


def test_a_folder_may_have_a_name_in_any_language() -> None:
    assert 'store_dir: "/home/jürgen/データ/nats"' in render(
        Settings(name="edge", data_dir=Path("/home/jürgen/データ")), KEYS
    )


@pytest.mark.parametrize("address", ["4222", "127.0.0.1", ":4222", "127.0.0.1:http", "127.0.0.1:70000"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ServerRefused, match="expected host:port"):
        split_address(address)


def test_loopback_is_known_by_its_address() -> None:
    assert split_address("[::1]:4222") == ("::1", 4222)
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert is_loopback("localhost")
    assert not is_loopback("127.0.0.1.example.org")
