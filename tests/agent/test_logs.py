import io
import json
import logging
from collections.abc import Iterator

import pytest

from agent.logs import set_up_logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    for name in ("nats", "asyncio", "aiosqlite"):
        logging.getLogger(name).setLevel(logging.NOTSET)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_machines_get_one_json_object_per_line() -> None:
    stream = io.StringIO()
    set_up_logs("info", "auto", stream=stream)
    logging.getLogger("ganglion.node").info("two\nlines", extra={"fields": {"execution": "x1", "n": 3}})
    line = json.loads(stream.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {"level": "info", "logger": "ganglion.node", "message": "two\nlines", "execution": "x1", "n": 3}


def test_people_get_colours_on_a_terminal_and_one_line_per_message() -> None:
    stream = Terminal()
    set_up_logs("info", "auto", stream=stream)
    logging.getLogger("ganglion.node").warning("two\nlines\x1b[2J", extra={"fields": {"node": "alert"}})
    text = stream.getvalue()
    assert "\033[33mwarning\033[0m node     two\\nlines\\x1b[2J\033[2m  node=alert" in text
    assert text.count("\n") == 1


def test_an_exception_brings_its_trace() -> None:
    stream = io.StringIO()
    set_up_logs("info", "human", stream=stream)
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("x").exception("it failed")
    assert "ValueError: broken" in stream.getvalue()


@pytest.mark.parametrize("format", ["human", "json"])
def test_the_values_of_secrets_are_masked_whoever_writes_them(format: str) -> None:
    stream = io.StringIO()
    set_up_logs("info", format, revealed=lambda: [("TOKEN", 'pa"ss-word'), ("TINY", "a")], stream=stream)
    logging.getLogger("other").info('sent pa"ss-word', extra={"fields": {"header": 'Bearer pa"ss-word'}})
    assert "ss-word" not in stream.getvalue()
    assert stream.getvalue().count("[secret TOKEN]") == 2


def test_lines_below_the_level_are_left_out() -> None:
    stream = io.StringIO()
    set_up_logs("warning", "json", stream=stream)
    logging.getLogger("x").info("quiet")
    assert not stream.getvalue()
