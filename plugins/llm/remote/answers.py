"""What a provider's no means: try again, when, or never; and what to do about it."""

import re
from collections.abc import Mapping

import msgspec

from engine.secrets import UnknownSecret
from engine.values import Json
from plugins.llm.errors import ModelError, Trouble
from plugins.llm.remote.again import seconds_to_wait
from plugins.llm.spec import ModelSpec, Source

__all__ = ["Fault", "Refusal", "StreamFault", "read_fault", "refusal", "status_of"]

QUOTED = 300
"""How much of a provider's own words stands in an error, in characters."""

_TOO_LONG = re.compile(
    r"context[ _-]?(length|window|size|limit)|maximum context|exceed_context|prompt (is )?too long|prompt_too_long"
    r"|(input|request|prompt) (tokens? )?(length )?(is )?too (long|large)|request_too_large"
    r"|too many (input |prompt )?tokens|exceeds? (the )?(model's )?(max|context|limit)",
    re.IGNORECASE,
)
_USED_UP = re.compile(
    r"insufficient_quota|insufficient (balance|credits|funds)|spend(ing)?[_ ]limit|billing|credit balance|payment",
    re.IGNORECASE,
)
_STATUS_OF = {
    "invalid_request_error": 400, "authentication_error": 401, "invalid_api_key": 401, "billing_error": 402,
    "permission_error": 403, "not_found_error": 404, "model_not_found": 404, "timeout_error": 504,
    "conflict_error": 409, "request_too_large": 413, "rate_limit_error": 429, "rate_limit_exceeded": 429,
    "insufficient_quota": 429, "requests": 429, "tokens": 429, "api_error": 500, "server_error": 500,
    "exceed_context_size_error": 400, "context_length_exceeded": 400, "overloaded_error": 529,
    "unavailable_error": 503,
}  # fmt: skip
"""The status that an error in the middle of a stream would have had, by its type or code."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """An error as a provider words it."""

    message: str = ""
    kind: str = ""
    """Its `type`, such as overloaded_error."""
    code: str = ""
    field: str = ""
    """The field of the request that it is about (OpenAI's `param`)."""

    @property
    def text(self) -> str:
        """All of it, to search in."""
        return f"{self.message} {self.kind} {self.code} {self.field}"


class Refusal(ModelError):
    """The provider's own no, with what it said."""

    def __init__(self, trouble: Trouble, message: str, *, status: int, fault: Fault, after: float = 0.0) -> None:
        super().__init__(trouble, message, after=after)
        self.status = status
        self.fault = fault


class StreamFault(Exception):
    """A reader found an error in a stream; it becomes the Refusal of the status that it would have had."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def read_fault(body: Json) -> Fault | None:
    """The error in an answer's body or in an event; None if there is none.

    Shapes: {"error": {"message", "type", "code", "param"}} (OpenAI, Anthropic, llama.cpp), {"error": "…"} (Ollama),
    {"object": "error", "message": "…"} (vLLM), {"detail": …} (FastAPI), any of them in a list (Gemini).
    """
    if isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return None
    error = body.get("error")
    if error is None and body.get("object") == "error":
        error = body
    if error is None:
        error = body.get("detail")
    if not error:
        return None
    if not isinstance(error, dict):
        return Fault(message=_text(error))
    details = error.get("details")
    inner = details.get("error_code", "") if isinstance(details, dict) else ""
    return Fault(
        message=_text(error.get("message", "")), kind=_text(error.get("type", "")), field=_text(error.get("param", "")),
        code=" ".join(filter(None, (_text(error.get("code", "")), _text(inner)))),
    )  # fmt: skip


def status_of(fault: Fault) -> int:
    """Of an error that came in the middle of a stream; what is not known has failed."""
    for name in (fault.kind, *fault.code.split()):
        if name in _STATUS_OF:
            return _STATUS_OF[name]
        if name.isascii() and name.isdigit() and 400 <= int(name[:4]) < 600:
            return int(name)
    return 500


def refusal(status: int, headers: Mapping[str, str], fault: Fault, spec: ModelSpec, now: int) -> Refusal:
    """The error for a status that is no success."""
    trouble, what = _judge(status, fault, spec)
    told = " ".join("".join(char if char.isprintable() else " " for char in fault.message).split())
    said = f": {told[:QUOTED]}{'…' if len(told) > QUOTED else ''}" if told else ""
    after = 0.0 if trouble in (Trouble.REFUSED, Trouble.TOO_LONG) else seconds_to_wait(headers, now)
    return Refusal(trouble, f"{what}{said}", status=status, fault=fault, after=after)


def _judge(status: int, fault: Fault, spec: ModelSpec) -> tuple[Trouble, str]:
    section = f"[models.{spec.name}]"
    model = spec.model or spec.name
    if status == 413 or (status in (400, 422, 500) and _TOO_LONG.search(fault.text)):
        return Trouble.TOO_LONG, f"the prompt is too long for {model} ({status}): say less, or take another model"
    if status == 402 or (400 <= status < 500 and _USED_UP.search(fault.text)):
        return Trouble.REFUSED, f"the account's money or quota is used up ({status}): see the provider's billing page"
    if status == 401:
        return Trouble.REFUSED, _key_trouble(spec, section)
    if status == 403:
        whose = f"the key in the secret {spec.key}" if spec.key else "somebody without a key"
        return Trouble.REFUSED, f"the provider does not let {whose} use {model} (403)"
    if status == 404:
        return Trouble.REFUSED, _not_found(fault, spec, section, model)
    if status == 429:
        return Trouble.RATE_LIMITED, "the provider has had too many requests (429): ask again later"
    if status in (408, 409, 425):
        return Trouble.UNREACHABLE, f"the provider could not take the request now ({status}): ask again"
    if status in (503, 529):
        return Trouble.FAILED, f"the provider is overloaded ({status}): ask again later"
    if status >= 500:
        return Trouble.FAILED, f"the provider failed ({status}): ask again"
    if 300 <= status < 400:
        return Trouble.REFUSED, f"the provider sends elsewhere ({status}): set `url` in {section} to where it leads"
    return Trouble.REFUSED, f"the provider refuses the request ({status})"


def _key_trouble(spec: ModelSpec, section: str) -> str:
    if not spec.key:
        return f"the provider wants a key (401): put it into a secret, and the secret's name as `key` into {section}"
    where = str(UnknownSecret(spec.key)).partition(": ")[2]
    return (
        f"the provider does not take the key in the secret {spec.key} (401): {where.replace('put it', 'put another')}"
    )


def _not_found(fault: Fault, spec: ModelSpec, section: str, model: str) -> str:
    if not re.search(rf"\bmodel|{re.escape(model)}", fault.text, re.IGNORECASE):
        return f"there is nothing at that address (404): check `url` in {section}"
    pull = f", or pull it there: ollama pull {model}" if spec.provider is Source.OLLAMA else ""
    return f"the provider knows no model {model} (404): set `model` in {section}{pull}"


def _text(value: Json) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()
