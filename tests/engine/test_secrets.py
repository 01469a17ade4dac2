"""Secrets stand as markers until the moment of use."""

import copy
import json

import pytest

from engine.secrets import SecretName, SecretText, UnknownSecret, reveal
from engine.values import encode_json


def marker() -> SecretText:
    return SecretText("Bearer ", SecretName("KEY"))


def test_marker_shows_its_mask_wherever_it_is_shown():
    text = marker()

    assert text == "Bearer [secret KEY]"
    assert f"{text}" == str(text) == "Bearer [secret KEY]"
    assert json.dumps(text) == '"Bearer [secret KEY]"'
    assert encode_json({"a": [text]}) == b'{"a":["Bearer [secret KEY]"]}'
    assert "canary" not in repr(copy.copy(text))


def test_marker_is_revealed_with_its_literal_text(secrets):
    assert reveal(marker(), secrets) == "Bearer canary-5f3a9c"


def test_markers_can_be_put_together(secrets):
    both = SecretText(marker(), " and ", SecretName("LONG"))

    assert both == "Bearer [secret KEY] and [secret LONG]"
    assert reveal(both, secrets) == "Bearer canary-5f3a9c and canary-5f3a9c-and-more"


def test_text_that_looks_like_a_mask_reveals_nothing(secrets):
    assert reveal("[secret KEY]", secrets) == "[secret KEY]"
    assert reveal(SecretText("[secret KEY]"), secrets) == "[secret KEY]"


def test_unknown_secret_says_where_to_put_it(secrets):
    with pytest.raises(UnknownSecret, match=r"no secret named NONE: put it into .*secrets/NONE .* or set GANGLION_SEC"):
        reveal(SecretText(SecretName("NONE")), secrets)
