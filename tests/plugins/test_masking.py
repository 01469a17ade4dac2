import base64

import pytest

from engine.secrets import SecretName, SecretText, UnknownSecret
from plugins.masking import Mask

TOKEN = SecretText("Bearer ", SecretName("TOKEN"))


@pytest.fixture
def mask(ctx) -> Mask:
    ctx.secrets.values = {"TOKEN": 'to ken/"é', "EMPTY": ""}
    return Mask(ctx)


def test_markers_are_revealed_wherever_they_stand(mask) -> None:
    revealed = mask.reveal({"a": [TOKEN, 1, None], "b": {"c": SecretText(SecretName("TOKEN"))}, "d": "text"})
    assert revealed == {"a": ['Bearer to ken/"é', 1, None], "b": {"c": 'to ken/"é'}, "d": "text"}


def test_what_was_revealed_is_hidden_in_every_spelling(mask) -> None:
    mask.reveal(TOKEN)
    encoded = base64.b64encode('to ken/"é'.encode()).decode()
    spellings = [
        'to ken/"é',
        "to%20ken%2F%22%C3%A9",
        "to+ken%2F%22%C3%A9",
        "to%20ken/%22%C3%A9",
        'to ken/\\"\\u00e9',
        'to ken\\/\\"\\u00E9',
        "to%20ken/%22%c3%a9",
        encoded,
    ]
    for spelling in spellings:
        assert mask.hide(f"<{spelling}>") == "<[secret TOKEN]>"
    assert mask.hide({'to ken/"é': ["x", 'to ken/"é', 1]}) == {"[secret TOKEN]": ["x", "[secret TOKEN]", 1]}
    assert mask.hide_bytes(b"\xff" + 'to ken/"é'.encode()) == b"\xff[secret TOKEN]"


def test_a_longer_secret_is_hidden_before_one_that_it_contains(mask) -> None:
    mask.add("abc", "[short]")
    mask.add("abcdef", "[long]")
    assert mask.hide("abcdef abc") == "[long] [short]"


def test_an_empty_secret_hides_nothing(mask) -> None:
    mask.reveal(SecretText(SecretName("EMPTY")))
    assert mask.hide("text") == "text"


def test_without_secrets_a_value_stays_the_same_object(mask) -> None:
    value = {"a": [1]}
    assert mask.hide(value) is value


def test_an_unknown_secret_says_where_to_put_it(mask) -> None:
    with pytest.raises(UnknownSecret, match="GANGLION_SECRET_NOPE"):
        mask.reveal(SecretText(SecretName("NOPE")))
