"""What a model wrote under a schema, as data that fits it."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Final
from uuid import UUID

from engine.values import InvalidValue, Json, decode_json
from plugins.llm.conversation import Finish, Reply
from plugins.llm.errors import ModelError, Trouble

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

__all__ = ["FORMATS", "misfit", "read_answer"]

MAX_BYTES: Final = 1024 * 1024
MAX_DEPTH: Final = 32
QUOTED: Final = 80
"""Characters of an answer that stand in an error."""


def read_answer(reply: Reply, schema: Mapping[str, Json], *, max_tokens: int) -> Json:
    """The data that a model wrote. Raises ModelError (invalid_output) if it does not fit, with what to do."""
    try:
        value = decode_json(reply.text.encode(errors="surrogatepass"), max_bytes=MAX_BYTES, max_depth=MAX_DEPTH)
    except InvalidValue as error:
        if reply.finish is Finish.LENGTH:
            raise ModelError(Trouble.INVALID, _cut_off(reply.usage.output, max_tokens)) from None
        raise ModelError(Trouble.INVALID, f'the answer is no JSON: {error}: "{reply.text[:QUOTED]}"') from None
    wrong = misfit(value, schema)
    if wrong:
        raise ModelError(
            Trouble.INVALID,
            f"the answer does not fit the schema: {wrong}; "
            "say in the prompt what is wanted, loosen the schema, or take a larger model",
        )
    return value


def misfit(value: Json, schema: Mapping[str, Json]) -> str:
    """The first thing that does not fit a schema, where and what; empty if all does."""
    for wrong in _validator(schema).iter_errors(value):
        place = ".".join(map(str, wrong.absolute_path))
        return f"{place}: {wrong.message[:300]}" if place else wrong.message[:300]
    return ""


def _cut_off(written: int, max_tokens: int) -> str:
    bound = "or bound the answer with maxLength and maxItems in the schema"
    if 0 < written < max_tokens:
        return (
            f"the model's context was full after {written} tokens of the answer, inside its JSON: shorten the prompt, "
            f"give the model a larger context, {bound}"
        )
    return f"the answer was cut off inside its JSON: raise max_tokens (now {max_tokens}), {bound}"


def _validator(schema: Mapping[str, Json]) -> "Validator":
    """Follows no reference out of the schema."""
    from jsonschema import FormatChecker
    from jsonschema.validators import Draft202012Validator
    from referencing import Registry

    formats = FormatChecker(formats=())
    for name, read in FORMATS.items():
        formats.checks(name, raises=ValueError)(lambda value, read=read: not isinstance(value, str) or read(value))
    return Draft202012Validator(schema, registry=Registry(), format_checker=formats)


def _is_date(text: str) -> bool:
    return date.fromisoformat(text) is not None


def _is_time(text: str) -> bool:
    return time.fromisoformat(text) is not None


def _is_moment(text: str) -> bool:
    return datetime.fromisoformat(text) is not None


def _is_uuid(text: str) -> bool:
    return str(UUID(text)) == text.lower()


FORMATS: Final[Mapping[str, Callable[[str], bool]]] = {
    "date": _is_date,
    "time": _is_time,
    "date-time": _is_moment,
    "uuid": _is_uuid,
}
