"""What a provider's no becomes; none of it holds the key."""

import pytest

from plugins.llm.errors import ModelError, Trouble
from plugins.llm.remote.provider import remote
from plugins.llm.spec import ModelSpec, Source
from tests.plugins.llm.contract.conftest import ANSWER, KEY, ModelServer

WHERE = r"into <data_dir>/secrets/MODEL_KEY \(mode 0600\) or set GANGLION_SECRET_MODEL_KEY"
TOO_LONG = {
    "OpenAI": (400, "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000"),
    "Anthropic": (400, "prompt is too long: 208310 tokens > 200000 maximum"),
    "with its answer": (400, "input length and `max_tokens` exceed context limit: 198981 + 21333 > 200000"),
    "llama.cpp": (400, "the request exceeds the available context size, try increasing it"),
    "llama.cpp before": (500, "the request exceeds the available context size. try increasing the context size"),
    "413": (413, "Request exceeds the maximum size"),
}


@pytest.mark.parametrize(
    ("status", "message", "trouble", "said"),
    [
        (401, "invalid x-api-key", Trouble.REFUSED, f"does not take the key in the secret MODEL_KEY .*{WHERE}"),
        (402, "pay first", Trouble.REFUSED, r"quota is used up \(402\)"),
        (403, "not yours", Trouble.REFUSED, r"the key in the secret MODEL_KEY use m-1 \(403\): not yours"),
        (
            404,
            "model 'm-1' not found",
            Trouble.REFUSED,
            r"knows no model m-1 \(404\): set `model` in \[models\.cloud\]",
        ),
        (404, "", Trouble.REFUSED, r"nothing at that address \(404\): check `url` in \[models\.cloud\]"),
        (400, "messages: bad", Trouble.REFUSED, r"refuses the request \(400\): messages: bad"),
        (422, "no such thing", Trouble.REFUSED, r"refuses the request \(422\): no such thing"),
        (307, "", Trouble.REFUSED, r"sends elsewhere \(307\): set `url`"),
        (408, "", Trouble.UNREACHABLE, r"\(408\): ask again"),
        (409, "", Trouble.UNREACHABLE, r"\(409\)"),
        (425, "", Trouble.UNREACHABLE, r"\(425\)"),
        (429, "slow down", Trouble.RATE_LIMITED, r"too many requests \(429\): ask again later: slow down"),
        (429, "You exceeded your current quota: insufficient_quota", Trouble.REFUSED, r"quota is used up \(429\)"),
        (500, "oops", Trouble.FAILED, r"failed \(500\): ask again: oops"),
        (503, "loading model", Trouble.FAILED, r"overloaded \(503\)"),
        (529, "Overloaded", Trouble.FAILED, r"overloaded \(529\): ask again later: Overloaded"),
        *((status, message, Trouble.TOO_LONG, "too long for m-1") for status, message in TOO_LONG.values()),
    ],
)
async def test_each_status_has_its_meaning_and_a_remedy(
    cloud: ModelServer, ask, status, message, trouble, said
) -> None:
    cloud.answer(cloud.refuse(status, cloud.wire.fault(message, "some_error") if message else b""))
    with pytest.raises(ModelError, match=f"^model cloud: .*{said}") as caught:
        await ask()
    assert caught.value.trouble is trouble
    assert caught.value.passing == (trouble not in (Trouble.REFUSED, Trouble.TOO_LONG))
    assert len(cloud.bodies) == 1


@pytest.mark.parametrize(
    "body",
    [
        b'{"object": "error", "message": "no thank you", "code": 400}',
        b'[{"error": {"code": 400, "message": "no thank you", "status": "X"}}]',
        b'{"detail": "no thank you"}',
        b'{"error": "no thank you"}',
        b"no thank you",
        b'{"error": {"message": "no  thank\\n\\u0007 you"}}',
    ],
)
async def test_errors_are_read_in_every_shape_that_servers_have(cloud: ModelServer, ask, body: bytes) -> None:
    cloud.answer(cloud.refuse(400, body))
    with pytest.raises(ModelError, match=r"\(400\): no thank you$"):
        await ask()


async def test_a_page_of_html_and_a_long_error_are_not_quoted_whole(cloud: ModelServer, ask) -> None:
    cloud.answer(cloud.refuse(502, b"<html>" + b"x" * 300_000), cloud.refuse(400, b"y" * 300_000))
    for _ in range(2):
        with pytest.raises(ModelError) as caught:
            await ask()
        assert "<html>" not in str(caught.value)
        assert len(str(caught.value)) < 500


async def test_a_refusal_that_breaks_off_still_says_no(cloud: ModelServer, ask) -> None:
    async def breaks(writer) -> None:
        writer.write(b"HTTP/1.1 401 No\r\nContent-Length: 100\r\n\r\nno")
        await writer.drain()
        writer.transport.abort()

    cloud.answer(breaks)
    with pytest.raises(ModelError, match=r"\(401\)"):
        await ask()


async def test_no_error_holds_the_key_or_its_beginning(cloud: ModelServer, ask) -> None:
    echoes = f"Incorrect API key provided: {KEY}, or {KEY[:12]}...; header Bearer {KEY}"
    cloud.answer(cloud.refuse(401, cloud.wire.fault(echoes, "x")), cloud.send(cloud.wire.fault_event(echoes, "x")))
    for _ in range(2):
        with pytest.raises(ModelError, match=r"\[secret MODEL_KEY\]") as caught:
            await ask()
        assert KEY[:8] not in f"{caught.value!r}"
        assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "Sun, 22 Nov 2026 08:00:30 GMT"}, 30),
        ({"retry-after-ms": "1500", "Retry-After": "2"}, 1.5),
        ({"Retry-After": "999999"}, 3600),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m30.5s"}, 90.5),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "250ms"}, 0.25),
        ({"x-ratelimit-remaining-tokens": "9", "x-ratelimit-reset-tokens": "6m0s"}, 0),
        (
            {
                "anthropic-ratelimit-tokens-remaining": "0",
                "anthropic-ratelimit-tokens-reset": "2026-11-22T08:00:12Z",
            },
            12,
        ),
        ({"Retry-After": "soon"}, 0),
        ({}, 0),
    ],
)
async def test_the_provider_says_when_to_ask_again(cloud: ModelServer, client, headers, seconds: float) -> None:
    from plugins.llm.conversation import Message, Prompt, Role
    from tests.plugins.llm.contract.conftest import Ear

    class At:
        def now(self) -> int:
            return 1_795_334_400_000_000  # 2026-11-22T08:00:00Z

        def monotonic(self) -> float:
            return 0.0

    cloud.answer(cloud.refuse(429, cloud.wire.fault("slow down", "rate_limit_error"), **headers))
    provider = remote(cloud.spec, {"MODEL_KEY": KEY}.get, clock=At())
    with pytest.raises(ModelError) as caught:
        await provider.generate(Prompt(messages=(Message(role=Role.USER, content="x"),)), Ear(), client)
    assert caught.value.after == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("kind", "trouble"),
    [
        ("overloaded_error", Trouble.FAILED),
        ("rate_limit_error", Trouble.RATE_LIMITED),
        ("authentication_error", Trouble.REFUSED),
        ("invalid_request_error", Trouble.REFUSED),
        ("request_too_large", Trouble.TOO_LONG),
        ("something_new", Trouble.FAILED),
    ],
)
async def test_an_error_in_a_stream_means_what_its_status_would(cloud: ModelServer, ask, kind, trouble) -> None:
    cloud.answer(cloud.send(cloud.wire.fault_event("no", kind)))
    with pytest.raises(ModelError) as caught:
        await ask()
    # Ollama has no kinds: what is not known has failed.
    assert caught.value.trouble is (Trouble.FAILED if cloud.wire.source is Source.OLLAMA else trouble)


def test_a_key_that_is_not_there_is_missing_and_says_where_to_put_it() -> None:
    for provider in (Source.OPENAI, Source.ANTHROPIC, Source.OLLAMA):
        spec = ModelSpec(name="cloud", provider=provider, url="http://127.0.0.1:1", key="MODEL_KEY")
        for secret in (None, "", " \n"):
            with pytest.raises(ModelError, match=f"model cloud: no secret named MODEL_KEY: put it {WHERE}") as caught:
                remote(spec, {"MODEL_KEY": secret}.get)
            assert caught.value.trouble is Trouble.MISSING


def test_a_key_with_a_line_break_inside_is_refused_without_showing_it() -> None:
    spec = ModelSpec(name="cloud", provider=Source.OPENAI, url="http://127.0.0.1:1", key="MODEL_KEY")
    with pytest.raises(ModelError, match="holds a space, a line break") as caught:
        remote(spec, {"MODEL_KEY": f"{KEY}\n{KEY}"}.get)
    assert KEY not in str(caught.value)


def test_the_providers_own_address_wants_a_key_and_a_server_of_ones_own_does_not() -> None:
    for provider, url in (
        (Source.OPENAI, "https://api.openai.com/v1"),
        (Source.ANTHROPIC, "https://api.anthropic.com"),
    ):
        for own in ("", url):
            with pytest.raises(ModelError, match=r"it needs a key: .*`key` into \[models\.cloud\]"):
                remote(ModelSpec(name="cloud", provider=provider, url=own), {}.get)
        remote(ModelSpec(name="cloud", provider=provider, url="http://127.0.0.1:1"), {}.get)
    remote(ModelSpec(name="cloud", provider=Source.OLLAMA), {}.get)


async def test_a_key_may_end_with_a_line_break_as_files_do(cloud: ModelServer, client) -> None:
    from plugins.llm.conversation import Message, Prompt, Role
    from tests.plugins.llm.contract.conftest import Ear

    cloud.answer(cloud.say(ANSWER))
    provider = remote(cloud.spec, {"MODEL_KEY": f"{KEY}\n"}.get)
    assert (await provider.generate(Prompt(messages=(Message(role=Role.USER, content="x"),)), Ear(), client)).text
