import asyncio
import base64
import json
import socket
import time

import msgspec
import pytest

from engine.contract import Done, Fail, Retry
from engine.definition import load_workflow
from engine.expressions import Scope
from engine.planning.parameters import Parameters
from engine.secrets import SecretName, SecretText
from plugins.nodes.http import HTTP
from plugins.registry import Registry

SECRET = "p4ss/w0rd +1"
MARKER = SecretText(SecretName("KEY"))


@pytest.fixture
def http(ctx, client, attempt):
    ctx.client = client
    ctx.secrets.values = {"KEY": SECRET}

    async def http(url: str, **params):
        return await attempt(HTTP, url=url, **params)

    return http


async def test_http_gives_status_headers_and_the_decoded_body(server, http, reply) -> None:
    server.answer(reply(200, b'{"a": [1]}', content_type="application/json"))
    outcome = await http(server.url)
    assert isinstance(outcome, Done)
    assert outcome.output["headers"].pop("content-type") == "application/json"
    assert outcome.output == {"status": 200, "headers": {"content-length": "10"}, "body": {"a": [1]}, "format": "json"}


async def test_http_sends_the_nodes_idempotency_key_unless_it_is_given(server, ctx, http) -> None:
    await http(server.url)
    await http(server.url, headers={"idempotency-key": "mine"})
    assert [request.headers["idempotency-key"] for request in server.requests] == [ctx.idempotency_key, "mine"]


@pytest.mark.parametrize(
    ("params", "body", "kind"),
    [
        ({"json": {"a": "é"}}, '{"a":"é"}', "application/json"),
        ({"json": None}, "null", "application/json"),
        ({"body": "é"}, "é", "text/plain; charset=utf-8"),
        ({"form": {"a": "x y", "b": [1, True], "c": None}}, "a=x+y&b=1&b=true", "application/x-www-form-urlencoded"),
        ({"body": "<a/>", "headers": {"Content-Type": "text/xml"}}, "<a/>", "text/xml"),
    ],
)
async def test_http_sends_one_body_with_its_content_type(server, http, params, body, kind) -> None:
    await http(server.url, method="POST", **params)
    assert (server.requests[0].body.decode(), server.requests[0].headers["content-type"]) == (body, kind)


async def test_http_adds_to_the_query_of_the_url(server, http) -> None:
    await http(server.url + "/a?x=1#part", query={"q": "a&b=c", "n": [1, 2], "none": None, "yes": True})
    assert server.requests[0].target == "/a?x=1&q=a%26b%3Dc&n=1&n=2&yes=true"


async def test_http_signs_in_with_basic_or_bearer(server, http) -> None:
    await http(server.url, auth={"basic": {"user": "é", "password": MARKER}})
    await http(server.url, auth={"bearer": MARKER})
    basic = base64.b64encode(f"é:{SECRET}".encode()).decode()
    assert [r.headers["authorization"] for r in server.requests] == [f"Basic {basic}", f"Bearer {SECRET}"]


@pytest.mark.parametrize(
    "params",
    [
        {"json": 1, "body": "x"},
        {"form": {}, "json": None},
        {"auth": {}},
        {"auth": {"bearer": "x", "basic": {"user": "a", "password": "b"}}},
        {"method": "get"},
        {"max_bytes": -1},
    ],
)
def test_http_refuses_parameters_that_exclude_each_other(params) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"url": "http://a", **params}, HTTP.params)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
async def test_http_takes_2xx_for_success(server, http, reply, status) -> None:
    server.answer(f"HTTP/1.1 {status} X\r\n\r\n".encode() if status == 204 else reply(status))
    assert (await http(server.url)).output["status"] == status


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 502, 503, 504, 599])
async def test_http_tries_passing_refusals_again(server, http, reply, status) -> None:
    server.answer(reply(status, b"busy"))
    outcome = await http(server.url)
    assert isinstance(outcome, Retry)
    assert (outcome.kind, outcome.after) == (f"http_{status}", 0.0)
    assert outcome.error.startswith(f"GET {server.url}: {status}")


@pytest.mark.parametrize("status", [300, 304, 400, 401, 403, 404, 409, 422, 499])
async def test_http_fails_on_any_other_status(server, http, reply, status) -> None:
    server.answer(reply(status, b"" if status == 304 else b"the\n reason"))
    outcome = await http(server.url + "/x?hidden=1")
    assert isinstance(outcome, Fail)
    assert outcome.kind == f"http_{status}"
    assert outcome.error.startswith(f"GET {server.url}/x: {status}")
    assert status == 304 or outcome.error.endswith(": the reason")


async def test_http_takes_an_ok_status_for_success_too(server, http, reply) -> None:
    server.answer(reply(404))
    assert (await http(server.url, ok_status=[404])).output["status"] == 404
    server.answer(reply(503))
    assert isinstance(await http(server.url, ok_status=[503]), Done)


async def test_http_does_not_follow_redirects_that_it_was_told_not_to(server, http, reply) -> None:
    server.answer(reply(302, location="/x"))
    outcome = await http(server.url, redirects=False, ok_status=[302])
    assert outcome.output["headers"]["location"] == "/x"


async def test_http_honours_retry_after_up_to_an_hour(server, ctx, http, reply) -> None:
    for header, seconds in [("7", 7.0), ("86400", 3600.0), ("nonsense", 0.0)]:
        server.answer(reply(429, retry_after=header))
        assert (await http(server.url)).after == seconds


async def test_http_fails_on_a_body_over_its_limit(server, http, reply) -> None:
    server.answer(reply(200, b"x" * 1001))
    outcome = await http(server.url, max_bytes=1000)
    assert isinstance(outcome, Fail)
    assert (outcome.kind, outcome.error) == ("too_large", f"GET {server.url}: the body is longer than max_bytes: 1000")


async def test_http_fails_on_json_that_is_not(server, http, reply) -> None:
    server.answer(reply(200, b"<html>", content_type="application/json"))
    outcome = await http(server.url)
    assert isinstance(outcome, Fail)
    assert outcome.kind == "invalid_answer"
    assert "says that it is JSON" in outcome.error


async def test_http_fails_on_json_too_deep_to_be_safe(server, http, reply) -> None:
    server.answer(reply(200, b"[" * 100_000, content_type="application/json"))
    assert (await http(server.url)).kind == "invalid_answer"


async def test_http_tries_again_when_nobody_answers(http) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        outcome = await http(f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert isinstance(outcome, Retry)
    assert outcome.kind == "unreachable"
    assert outcome.error.endswith(": connection refused")


async def test_http_ends_with_its_deadline(server, ctx, http) -> None:
    async def silent(request, writer) -> None:
        await asyncio.Event().wait()

    server.answer(silent)
    ctx.deadline = time.monotonic() + 0.1
    outcome = await http(server.url)
    assert isinstance(outcome, Retry)
    assert outcome.kind == "timeout"


@pytest.mark.parametrize(
    "params",
    [
        {"headers": {"X-A": SecretText("x\r\n", SecretName("KEY"))}},
        {"headers": {"X\r\nA": "1"}},
        {"headers": {"Authorization": "x"}, "auth": {"bearer": MARKER}},
        {"auth": {"basic": {"user": "a:b", "password": MARKER}}},
    ],
)
async def test_http_fails_on_headers_that_cannot_be_sent(server, http, params) -> None:
    outcome = await http(server.url, **params)
    assert isinstance(outcome, Fail)
    assert outcome.kind == "invalid"
    assert SECRET not in outcome.error
    assert server.requests == []


async def test_http_fails_on_a_url_that_is_not_valid_and_shows_its_mask(http) -> None:
    outcome = await http(SecretText("gopher://", SecretName("KEY")))
    assert isinstance(outcome, Fail)
    assert outcome.error.startswith("GET gopher://[secret KEY]: the URL is not valid")


async def test_http_fails_on_an_unknown_secret(server, http) -> None:
    outcome = await http(server.url, auth={"bearer": SecretText(SecretName("NOPE"))})
    assert isinstance(outcome, Fail)
    assert outcome.kind == "secret"
    assert "GANGLION_SECRET_NOPE" in outcome.error


async def test_http_lets_no_secret_out_even_if_the_server_repeats_it(server, ctx, http, caplog) -> None:
    async def echo(request, writer) -> None:
        seen = [request.target, request.headers, request.body.decode()]
        body = json.dumps(seen).encode()
        status, kind = request.headers["x-answer"].split()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nX-Seen: {request.target}"
        writer.write(f"{head}\r\nX-Auth: {request.headers['authorization']}\r\n\r\n".encode() + body)

    server.answer(echo)
    caplog.set_level("DEBUG")
    for answer in ["200 application/json", "200 text/plain", "200 image/png", "400 text/plain", "503 text/plain"]:
        for auth in [{"bearer": MARKER}, {"basic": {"user": "me", "password": MARKER}}]:
            outcome = await http(
                SecretText(server.url + "/", SecretName("KEY")),
                method="POST",
                headers={"X-Answer": answer, "X-Key": MARKER},
                query={"key": MARKER},
                json={"key": MARKER, "list": [SecretText("a", MARKER)]},
                auth=auth,
            )
            told = repr(outcome)
            if answer.endswith("png"):
                told += base64.b64decode(outcome.output["body"]).decode()
            assert "[secret KEY]" in told
            for spelling in [SECRET, "p4ss%2Fw0rd", "p4ss", base64.b64encode(f"me:{SECRET}".encode()).decode()]:
                assert spelling not in told
                assert spelling not in caplog.text


async def test_http_that_is_cancelled_lets_the_cancellation_through(server, http) -> None:
    async def silent(request, writer) -> None:
        await asyncio.Event().wait()

    server.answer(silent)
    task = asyncio.get_running_loop().create_task(http(server.url))
    await server.asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_http_takes_a_secret_from_a_workflow_file_to_the_server_and_no_further(server, ctx, http) -> None:
    source = f"""
name: hidden
nodes:
  ask:
    type: http
    url: "{server.url}/{{{{ secrets.KEY }}}}"
    headers: {{X-Key: "{{{{ secrets.KEY }}}}"}}
    auth: {{bearer: "{{{{ secrets.KEY }}}}"}}
    json: [{{key: "a {{{{ secrets.KEY }}}}"}}]
    method: POST
"""
    node = load_workflow(source.encode(), types=Registry([HTTP]), filename="hidden.yaml").nodes["ask"]
    params = Parameters(HTTP.params, node.params).evaluate(Scope({}, now=0, seed=""))
    assert SECRET not in repr(params)
    assert isinstance(await HTTP.run(ctx, params), Done)
    request = server.requests[0]
    assert (request.headers["x-key"], request.headers["authorization"]) == (SECRET, f"Bearer {SECRET}")
    assert json.loads(request.body) == [{"key": f"a {SECRET}"}]
