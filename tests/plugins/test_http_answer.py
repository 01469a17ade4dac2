import pytest

from engine.ports import Response
from engine.values import InvalidValue
from plugins.http_answer import read_body, retry_after
from plugins.masking import Mask

NOON = 1_795_003_200_000_000  # 2026-11-18T12:00:00Z


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0.0),
        ("", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("999999999999999999999", 3600.0),
        ("-5", 0.0),
        ("1.5", 0.0),
        ("soon", 0.0),
        ("²", 0.0),
        ("Wed, 18 Nov 2026 12:01:30 GMT", 90.0),
        ("Wed, 18 Nov 2026 12:01:30 -0000", 90.0),
        ("Wed, 18 Nov 2026 13:01:30 +0100", 90.0),
        ("Wed, 18 Nov 2026 11:00:00 GMT", 0.0),
        ("Wed, 18 Nov 2099 11:00:00 GMT", 3600.0),
        ("Wed, 99 Nov 2026 11:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_bounded(value, seconds) -> None:
    assert retry_after(value, NOON) == seconds


@pytest.mark.parametrize(
    ("media", "raw", "body", "read_as"),
    [
        ("application/json", b'{"a":1}', {"a": 1}, "json"),
        ("Application/JSON; charset=utf-8", b"[1]", [1], "json"),
        ("application/problem+json", b"null", None, "json"),
        ("application/json", b"", None, "json"),
        ("text/plain", b'{"a":1}', '{"a":1}', "text"),
        ("text/html; charset=ISO-8859-1", b"\xe9", "é", "text"),
        ("text/plain; charset=zlib", b"abc", "abc", "text"),
        ("text/plain", "\ufeffé".encode(), "é", "text"),
        ("text/plain", b"\xff\xfe", "//4=", "base64"),
        ("image/svg+xml", b"<svg/>", "<svg/>", "text"),
        ("application/octet-stream", b"abc", "YWJj", "base64"),
        ("image/png", b"\x89PNG", "iVBORw==", "base64"),
        (None, b"abc", "abc", "text"),
    ],
)
def test_the_content_type_decides_how_a_body_is_read(ctx, media, raw, body, read_as) -> None:
    headers = {"content-type": media} if media else {}
    assert read_body(Response(200, headers, raw), max_bytes=100, mask=Mask(ctx)) == (body, read_as)


def test_a_body_that_is_still_packed_is_base64(ctx) -> None:
    answer = Response(200, {"content-type": "application/json", "content-encoding": "br"}, b"\x0b")
    assert read_body(answer, max_bytes=100, mask=Mask(ctx)) == ("Cw==", "base64")


def test_json_that_is_not_is_refused(ctx) -> None:
    with pytest.raises(InvalidValue, match="not valid JSON"):
        read_body(Response(200, {"content-type": "application/json"}, b"<html>"), max_bytes=100, mask=Mask(ctx))
