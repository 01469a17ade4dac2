from pathlib import Path

from agent.proc import lacks_proc


def test_proc_is_there_if_it_knows_this_process(tmp_path: Path) -> None:
    assert not lacks_proc()
    assert lacks_proc(tmp_path)
