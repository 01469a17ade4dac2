"""What an answer must be to fit a schema."""

import pytest

from plugins.llm.answers import read_answer
from plugins.llm.conversation import Finish, Reply, Usage
from plugins.llm.errors import ModelError, Trouble

NESTED = {
    "type": "object",
    "$defs": {"sensor": {"type": "object", "properties": {"id": {"type": "string", "maxLength": 20}}}},
    "properties": {
        "day": {"type": "string", "format": "date"},
        "sensors": {"type": "array", "items": {"$ref": "#/$defs/sensor"}, "minItems": 1, "maxItems": 3},
        "level": {"anyOf": [{"type": "null"}, {"enum": ["low", "high"], "description": "how it is"}]},
        "count": {"type": "integer", "minimum": 0, "maximum": 9},
        "seen": {"type": ["boolean", "null"]},
        "more": {"type": "object", "additionalProperties": {"type": "number"}},
    },
    "required": ["day", "sensors"],
    "additionalProperties": False,
}


def test_an_answer_that_fits_is_data() -> None:
    text = '{"day": "2026-11-22", "sensors": [{"id": "a"}], "count": 3, "level": null, "more": {"x": 1.5}}'
    assert read_answer(Reply(text=text), NESTED, max_tokens=9)["more"] == {"x": 1.5}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("It is warm.", "the answer is no JSON: not valid JSON"),
        ('{"sensors": [{}]}', "'day' is a required property"),
        ('{"day": "2026-02-31", "sensors": [{}]}', "day: '2026-02-31' is not a 'date'"),
        ('{"day": "2026-02-01", "sensors": []}', "sensors: [] should be non-empty"),
        ('{"day": "2026-02-01", "sensors": [{"id": 3}]}', "sensors.0.id: 3 is not of type 'string'"),
        ('{"day": "2026-02-01", "sensors": [{}], "count": 12}', "count: 12 is greater than the maximum of 9"),
        ("[" * 40 + "]" * 40, "the answer is no JSON"),
    ],
)
def test_an_answer_that_does_not_fit_is_invalid_output_with_its_place(text, said) -> None:
    with pytest.raises(ModelError) as caught:
        read_answer(Reply(text=text), NESTED, max_tokens=9)
    assert caught.value.trouble is Trouble.INVALID
    assert caught.value.passing
    assert said in str(caught.value)


def test_an_answer_that_was_cut_off_says_how_to_get_the_rest() -> None:
    reply = Reply(text='{"day": "2026', finish=Finish.LENGTH, usage=Usage(output=7))
    with pytest.raises(ModelError, match=r"cut off inside its JSON: raise max_tokens \(now 7\).*maxLength"):
        read_answer(reply, NESTED, max_tokens=7)
    with pytest.raises(ModelError, match=r"context was full after 7 tokens.*shorten the prompt"):
        read_answer(reply, NESTED, max_tokens=9)


@pytest.mark.parametrize(
    ("named", "text", "fits"),
    [
        ("date-time", "2026-11-22T08:00:00Z", True),
        ("date-time", "soon", False),
        ("time", "08:00:00", True),
        ("uuid", "01890a5d-ac96-774b-bcce-b302099a8057", True),
        ("uuid", "x", False),
    ],
)
def test_formats_are_held(named, text, fits) -> None:
    schema = {"type": "string", "format": named}
    if fits:
        assert read_answer(Reply(text=f'"{text}"'), schema, max_tokens=9) == text
    else:
        with pytest.raises(ModelError):
            read_answer(Reply(text=f'"{text}"'), schema, max_tokens=9)
