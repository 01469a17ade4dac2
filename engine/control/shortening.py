"""Values cut to what people read and an answer may hold: still JSON, with an ellipsis where something was left out."""

from engine.values import Json, encode_json

_STEPS = ((4000, 200), (1000, 50), (200, 20), (80, 8), (40, 3), (16, 1))
"""Characters of a text and members of a list or object that stay, tried one after the other."""


def shortened(value: Json, limit: int) -> tuple[Json, bool]:
    """The value in at most about `limit` bytes of JSON, and whether something was left out."""
    if value is None or len(encode_json(value)) <= limit:
        return value, False
    cut: Json = value
    for characters, members in _STEPS:
        cut = _cut(value, characters, members)
        if len(encode_json(cut)) <= limit:
            return cut, True
    text = encode_json(cut).decode()
    return f"{text[: max(8, limit - 40)]}… ({len(encode_json(value)):,} bytes)", True


def _cut(value: Json, characters: int, members: int) -> Json:
    if isinstance(value, str):
        if len(value) <= characters + 20:
            return str(value)
        return f"{value[:characters]}… ({len(value):,} characters)"
    if isinstance(value, list):
        items = [_cut(item, characters, members) for item in value[:members]]
        return items if len(value) <= members else [*items, f"… ({len(value) - members:,} more)"]
    if isinstance(value, dict):
        kept = {str(key)[:characters]: _cut(item, characters, members) for key, item in list(value.items())[:members]}
        if len(value) > members:
            kept["…"] = f"{len(value) - members:,} more"
        return kept
    return value
