from pathlib import Path

import pytest

from agent.config import InvalidConfig, load_config


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "ganglion.toml"
    path.write_text(text)
    return path


def test_without_a_file_everything_has_a_default(tmp_path: Path) -> None:
    config, path = load_config(environ={"HOME": str(tmp_path)})
    assert path is None
    assert config.mesh.listen == "127.0.0.1:4222"
    assert config.engine.dedupe == 86_400.0
    assert config.store.retention.bytes == 2**30


def test_the_environment_is_over_the_file_and_flags_are_over_both(tmp_path: Path) -> None:
    path = write(tmp_path, '[mesh]\nlisten = "127.0.0.1:1"\nmqtt = "127.0.0.1:2"\n[log]\nlevel = "debug"\n')
    config, _ = load_config(
        path,
        environ={"GANGLION_MESH__LISTEN": "127.0.0.1:3", "GANGLION_LOG__LEVEL": "error"},
        flags={"--listen": ("mesh.listen", "127.0.0.1:4"), "--mqtt": ("mesh.mqtt", None)},
    )
    assert (config.mesh.listen, config.mesh.mqtt, config.log.level) == ("127.0.0.1:4", "127.0.0.1:2", "error")


def test_the_environment_can_set_numbers_truths_and_tables() -> None:
    config, _ = load_config(
        environ={
            "HOME": "/nowhere",
            "GANGLION_ENGINE__MAX_EXECUTIONS": "7",
            "GANGLION_ENGINE__ALLOW_SHELL": "true",
            "GANGLION_AGENT__LABELS": "site=berlin, floor=2",
            "GANGLION_STORE__RETENTION__AGE": "2h",
            "GANGLION_SECRET_TOKEN": "not a setting",
        }
    )
    assert config.engine.max_executions == 7
    assert config.engine.allow_shell is True
    assert config.agent.labels == {"site": "berlin", "floor": "2"}
    assert config.store.retention.age == 7_200.0


def test_all_mistakes_are_told_at_once_each_with_its_place_and_remedy(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        '[mesh]\nlissten = "127.0.0.1:1"\nmode = "embeded"\n\n[engine]\nmax_executions = 0\ndedupe = "fast"\n'
        'listen = "127.0.0.1:1"\n',
    )
    with pytest.raises(InvalidConfig) as caught:
        load_config(path, environ={"GANGLION_LOG__LEVEL": "loud", "GANGLION_LOG_LEVEL": "debug"})
    assert caught.value.problems == [
        f"{path}:2: there is no setting mesh.lissten; did you mean listen?",
        f"{path}:3: mesh.mode: expected embedded, external, off; did you mean embedded?",
        f"{path}:6: engine.max_executions: expected a whole number >= 1",
        f"{path}:7: engine.dedupe: expected a duration such as 30s",
        f"{path}:8: there is no setting engine.listen; did you mean mesh.listen?",
        "GANGLION_LOG_LEVEL: there is no setting log_level; did you mean GANGLION_LOG__LEVEL?",
        "GANGLION_LOG__LEVEL: log.level: expected debug, info, warning, error",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[mesh]\nmode = "external"\n', 'mesh.url: is needed with mode = "external"'),
        ('[mesh.tls]\ncert = "a.pem"\n', "mesh.tls: `cert` and `key` go together"),
        ('[agent]\nid = "any"\n', "agent.id: expected up to 63 lower-case letters"),
        ('[agent]\nid = "Kitchen"\n', "agent.id: expected up to 63 lower-case letters"),
        ('[mesh]\nlisten = "4222"\n', "mesh.listen: expected host:port, such as 127.0.0.1:4222"),
        ('[mesh]\nlisten = "localhost:99999"\n', "mesh.listen: expected host:port"),
        ('[mesh]\nsync_interval = "never"\n', 'mesh.sync_interval: expected "always" or a duration'),
        ("[engine]\ngrace = 10\n", 'engine.grace: expected a duration in quotes, such as "30s"'),
        ('mesh = "off"\n', "mesh is a section; its keys are mode"),
        ("[agent]\nid.x = 1\n", "agent.id: expected up to 63"),
        ("[agent\n", "is not valid TOML"),
    ],
)
def test_a_bad_value_is_refused_with_what_was_expected(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        load_config(write(tmp_path, text), environ={})
    assert message in str(caught.value)


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="No such file"):
        load_config(environ={"GANGLION_CONFIG": str(tmp_path / "none.toml")})


def test_relative_paths_start_at_the_file_that_they_stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "etc").mkdir()
    path = tmp_path / "etc" / "g.toml"
    path.write_text('data_dir = "data"\n[engine]\nworkflows_dir = "flows"\n')
    config, _ = load_config(path, environ={}, flags={"--data-dir": ("data_dir", "here")})
    assert config.data_path == tmp_path / "here"
    assert config.engine.workflows_dir == str(tmp_path / "etc" / "flows")


def test_the_file_of_the_user_is_found(tmp_path: Path) -> None:
    path = tmp_path / ".config" / "ganglion" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text('[agent]\nid = "kitchen"\n')
    config, found = load_config(environ={"HOME": str(tmp_path)})
    assert (config.agent.id, found) == ("kitchen", path)
