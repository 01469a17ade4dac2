import time
from collections.abc import Mapping

import pytest

from engine.contract import Done, Fail, Retry
from engine.ports import NoResponders, Reply, Unreachable
from plugins.nodes.request import REQUEST


class Answering:
    """A requester with one answer; the mesh's own is tested with a real server."""

    def __init__(self, answer: Reply | Exception) -> None:
        self.answer = answer
        self.asked: list[tuple[str, bytes, Mapping[str, str], float]] = []

    async def request(self, subject: str, body: bytes, *, headers: Mapping[str, str], timeout: float) -> Reply:
        self.asked.append((subject, body, headers, timeout))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("raw", "body"),
    [(b'{"a":1}', {"a": 1}), (b"49", 49), (b"plain", "plain"), (b"", ""), (b"\xff", "/w=="), (b"[" * 99, "[" * 99)],
)
async def test_request_gives_the_reply_as_json_else_text_else_base64(ctx, attempt, raw, body) -> None:
    ctx.requester = Answering(Reply(raw, {"A": "1"}))
    assert await attempt(REQUEST, subject="a", data={"x": 1}) == Done({"body": body, "headers": {"A": "1"}})


async def test_request_sends_body_headers_and_what_is_left_of_its_time(ctx, attempt) -> None:
    ctx.requester = Answering(Reply(b"", {}))
    await attempt(REQUEST, subject="a.b", text="on", headers={"N": 1})
    ctx.deadline = time.monotonic() + 5
    await attempt(REQUEST, subject="a.b")
    first, second = ctx.requester.asked
    assert first == ("a.b", b"on", {"N": "1"}, 30.0)
    assert second[1] == b""
    assert 4 < second[3] <= 5


@pytest.mark.parametrize(
    ("error", "kind"),
    [(NoResponders(), "no_responders"), (TimeoutError(), "timeout"), (Unreachable("no connection"), "unreachable")],
)
async def test_request_tries_again_when_nobody_answers(ctx, attempt, error, kind) -> None:
    ctx.requester = Answering(error)
    outcome = await attempt(REQUEST, subject="math.square")
    assert isinstance(outcome, Retry)
    assert outcome.kind == kind
    assert "math.square" in outcome.error


async def test_request_fails_on_the_error_of_a_service(ctx, attempt) -> None:
    ctx.requester = Answering(Reply(b"", {"Nats-Service-Error": "no such number", "Nats-Service-Error-Code": "400"}))
    assert await attempt(REQUEST, subject="a") == Fail("a answered with an error: no such number", kind="service_error")


async def test_request_fails_on_an_answer_over_the_limit(ctx, attempt) -> None:
    ctx.requester = Answering(Reply(bytes(1024 * 1024 + 1), {}))
    assert (await attempt(REQUEST, subject="a")).kind == "too_large"


@pytest.mark.parametrize("params", [{"subject": "a.>"}, {"subject": "a", "headers": {"X": "\r\n"}}])
async def test_request_fails_on_what_would_break_the_protocol(ctx, attempt, params) -> None:
    ctx.requester = Answering(Reply(b"", {}))
    assert (await attempt(REQUEST, **params)).kind == "invalid"
    assert ctx.requester.asked == []
