from pathlib import Path

from agent.demo.stage import environment

CACHED = "/home/me/.cache/ganglion/executable/845a95295a53f3b24fe8dbff7a5304ab/ganglion"


def test_commands_get_no_settings_of_another_agent(tmp_path: Path) -> None:
    given = {"HOME": "/home/me", "GANGLION_MESH__LISTEN": "127.0.0.1:1", "GANGLION_CACHE_DIR": "/big"}
    assert environment(tmp_path, given, CACHED) == {"HOME": "/home/me", "GANGLION_CACHE_DIR": "/big"}


def test_what_was_unpacked_for_one_run_is_unpacked_once_for_all_commands(tmp_path: Path) -> None:
    given = {"GANGLION_CACHE_DIR": "/can/not/be/written"}
    expected = {"GANGLION_CACHE_DIR": str(tmp_path / "executable")}
    assert environment(tmp_path, given, "/tmp/ganglion-6g41qj/ganglion") == expected
