"""The act with the model, where there is no library to run one."""

import sys

import pytest

from agent.demo.deciding import decide
from agent.demo.stage import DemoFailed, Stage
from agent.demo.telling import Telling


async def test_the_act_says_what_is_missing_and_how_to_install_it(tmp_path, monkeypatch) -> None:
    said: list[str] = []
    monkeypatch.setitem(sys.modules, "llama_cpp", None)
    with pytest.raises(DemoFailed, match=r"needs llama-cpp-python.*not installed: pip install 'ganglion\[llm\]'"):
        await decide(Stage(tmp_path), Telling(said.append))
    assert said == ["\n== A language model in the agent decides, offline"]
