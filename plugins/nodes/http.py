"""`http`: one request, and what its answer means for the node."""

import base64
from http import HTTPStatus
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import msgspec

from engine.contract import Context, Done, Effect, Fail, NodeType, Outcome, Retry, Secret
from engine.ports import Response, Unreachable
from engine.secrets import UnknownSecret
from engine.values import InvalidValue, Json, encode_json
from plugins.http_answer import read_body, retry_after
from plugins.masking import Mask
from plugins.scalar import Scalar, scalar_text, scalar_texts
from plugins.time_left import time_left

MAX_BYTES = 1024 * 1024
QUOTED = 200
"""How much of a refusing server's answer stands in the error, in characters."""

_RETRIED = (408, 425, 429)


class BasicAuth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    user: Annotated[str, msgspec.Meta(description="User name; no colon.")]
    password: Annotated[str, msgspec.Meta(description="Password, best `{{ secrets.NAME }}`.")]


class Auth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    basic: Annotated[BasicAuth | None, msgspec.Meta(description="User name and password.")] = None
    bearer: Annotated[str | None, msgspec.Meta(description="Token, best `{{ secrets.NAME }}`.")] = None

    def __post_init__(self) -> None:
        if (self.basic is None) == (self.bearer is None):
            raise ValueError("takes exactly one of `basic` and `bearer`")


class HttpParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: Annotated[str, Secret, msgspec.Meta(description="Where to: http:// or https://.")]
    method: Annotated[
        Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        msgspec.Meta(description="What to do there."),
    ] = "GET"
    headers: Annotated[
        dict[str, Scalar],
        Secret,
        msgspec.Meta(description="Request headers. `Idempotency-Key` is set unless given here."),
    ] = {}
    query: Annotated[
        dict[str, Any],
        Secret,
        msgspec.Meta(description="Added to the URL's query. A list repeats its name, null leaves it out."),
    ] = {}
    json: Annotated[
        Any | msgspec.UnsetType, Secret, msgspec.Meta(description="The body, sent as JSON. Excludes `body` and `form`.")
    ] = msgspec.UNSET
    body: Annotated[
        str | msgspec.UnsetType,
        Secret,
        msgspec.Meta(description="The body, sent as it is in UTF-8. Excludes `json` and `form`."),
    ] = msgspec.UNSET
    form: Annotated[
        dict[str, Any] | msgspec.UnsetType,
        Secret,
        msgspec.Meta(description="The body, sent as an HTML form is. Excludes `json` and `body`."),
    ] = msgspec.UNSET
    auth: Annotated[Auth | None, Secret, msgspec.Meta(description="The `Authorization` header.")] = None
    ok_status: Annotated[
        tuple[int, ...], msgspec.Meta(description="Statuses that are success too, beside 200 to 299.")
    ] = ()
    max_bytes: Annotated[
        int,
        msgspec.Meta(description="Longest body that is read, unpacked; a longer one fails.", ge=0, le=64 * 1024 * 1024),
    ] = MAX_BYTES
    redirects: Annotated[
        bool, msgspec.Meta(description="Follow up to 10 redirects; to another host without credentials.")
    ] = True
    verify: Annotated[bool, msgspec.Meta(description="Check the server's certificate.")] = True

    def __post_init__(self) -> None:
        if sum(field is not msgspec.UNSET for field in (self.json, self.body, self.form)) > 1:
            raise ValueError("takes at most one of `json`, `body` and `form`")


async def run(ctx: Context, params: HttpParams) -> Outcome:
    # What people see of it: a SecretText is its mask. The query may hold more than a line of log should.
    shown = f"{params.method} {str(params.url).partition('?')[0]}"
    mask = Mask(ctx)
    try:
        headers, body = _request(ctx, params, mask)
        answer = await ctx.http.send(
            params.method,
            _url(mask.reveal(params.url), mask.reveal(params.query)),
            headers=headers,
            body=body,
            timeout=time_left(ctx),
            max_bytes=params.max_bytes,
            follow_redirects=params.redirects,
            verify=params.verify,
        )
    except UnknownSecret as error:
        return Fail(str(error), kind="secret")
    except ValueError as error:
        return Fail(mask.hide(f"{shown}: {error}"), kind="invalid")
    except TimeoutError as error:
        return Retry(mask.hide(f"{shown}: {error}"), kind="timeout")
    except Unreachable as error:
        return Retry(mask.hide(f"{shown}: {error}"), kind="unreachable")
    return _outcome(ctx, params, shown, answer, mask)


def _request(ctx: Context, params: HttpParams, mask: Mask) -> tuple[dict[str, str], bytes | None]:
    headers = scalar_texts(mask.reveal(params.headers))
    given = {name.lower() for name in headers}
    body: bytes | None = None
    kind = ""
    if params.json is not msgspec.UNSET:
        body, kind = encode_json(mask.reveal(params.json)), "application/json"
    elif params.body is not msgspec.UNSET:
        body, kind = mask.reveal(params.body).encode(), "text/plain; charset=utf-8"
    elif params.form is not msgspec.UNSET:
        body, kind = urlencode(_pairs(mask.reveal(params.form))).encode(), "application/x-www-form-urlencoded"
    if kind and "content-type" not in given:
        headers["Content-Type"] = kind
    if "idempotency-key" not in given:
        headers["Idempotency-Key"] = ctx.idempotency_key
    if params.auth is not None:
        if "authorization" in given:
            raise ValueError("takes `auth` or the header Authorization, not both")
        headers["Authorization"] = _authorization(params.auth, mask)
    return headers, body


def _authorization(auth: Auth, mask: Mask) -> str:
    if auth.basic is None:
        return f"Bearer {mask.reveal(auth.bearer)}"
    user, password = mask.reveal(auth.basic.user), mask.reveal(auth.basic.password)
    if ":" in user:
        raise ValueError("the user name of basic auth holds a colon, which HTTP cannot send")
    credential = base64.b64encode(f"{user}:{password}".encode()).decode()
    mask.add(credential, "[credential]")
    return f"Basic {credential}"


def _url(url: str, query: dict[str, Json]) -> str:
    if not query:
        return url
    base = url.partition("#")[0]
    return f"{base}{'&' if '?' in base else '?'}{urlencode(_pairs(query))}"


def _pairs(fields: dict[str, Json]) -> list[tuple[str, str]]:
    """Names and values as a URL or form holds them: a list repeats its name, null is left out, the rest is JSON."""
    return [
        (name, scalar_text(item))
        for name, value in fields.items()
        for item in (value if isinstance(value, list) else [value])
        if item is not None
    ]


def _outcome(ctx: Context, params: HttpParams, shown: str, answer: Response, mask: Mask) -> Outcome:
    status = answer.status
    if 200 <= status < 300 or status in params.ok_status:
        if answer.truncated:
            return Fail(f"{shown}: the body is longer than max_bytes: {params.max_bytes}", kind="too_large")
        try:
            body, read_as = read_body(answer, max_bytes=params.max_bytes, mask=mask)
        except InvalidValue as error:
            return Fail(mask.hide(f"{shown}: the answer says that it is JSON, but: {error}"), kind="invalid_answer")
        return Done({"status": status, "headers": mask.hide(dict(answer.headers)), "body": body, "format": read_as})
    told = " ".join(mask.hide(answer.body.decode(errors="replace")).split())[:QUOTED]
    message = f"{shown}: {status}{_phrase(status)}{': ' if told else ''}{told}"
    if status in _RETRIED or status >= 500:
        return Retry(message, after=retry_after(answer.headers.get("retry-after"), ctx.now), kind=f"http_{status}")
    return Fail(message, kind=f"http_{status}")


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""


HTTP = NodeType(
    name="http",
    description=(
        "Sends an HTTP request. The output is {status, headers, body, format}: the body is JSON data, text or base64, "
        "as its Content-Type says, and `format` tells which. A status of 200 to 299, or one in `ok_status`, is "
        "success; 408, 425, 429, 500 and above, a broken connection and a timeout are tried again as `retry` allows, "
        "not before the server's Retry-After (an hour at most); any other status fails, with `errors.<id>.kind` such "
        "as http_404. Without a `timeout` of the node it takes 30 s at most, redirects and body included. Every "
        "attempt carries the same `Idempotency-Key`."
    ),
    params=HttpParams,
    run=run,
    effect=Effect.AT_LEAST_ONCE,
    example="""\
name: alert
params:
  url: {type: string, default: "http://127.0.0.1:8080/alerts"}
nodes:
  alert:
    type: http
    method: POST
    url: "{{ params.url }}"
    query: {site: berlin}
    json: {text: fridge-7 is warm, celsius: 9.5}
    timeout: 10s
    retry: {max: 3, delay: 1s}
outputs: {status: "{{ nodes.alert.status }}"}
""",
)
