import stat
from pathlib import Path

from agent.ready import FILE, Ready, read_ready, write_ready


def test_what_is_written_is_read_and_private(tmp_path: Path) -> None:
    ready = Ready(pid=7, agent="edge-1", nats="nats://127.0.0.1:4222")
    write_ready(tmp_path / FILE, ready)
    assert read_ready(tmp_path) == ready
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_nothing_or_rubbish_is_no_agent(tmp_path: Path) -> None:
    assert read_ready(tmp_path) is None
    (tmp_path / FILE).write_text("{")
    assert read_ready(tmp_path) is None
