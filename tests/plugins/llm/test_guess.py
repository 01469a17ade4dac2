import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.llm.conversation import Message, Prompt, Role, Tool
from plugins.llm.guess import guessed_text, guessed_tokens


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"])))
def test_a_guess_is_never_below_half_of_what_bytes_allow(text: str) -> None:
    assert guessed_text(text) * 2 >= len(text.encode())


def test_everything_that_is_read_counts() -> None:
    bare = Prompt(messages=(Message(role=Role.USER, content="x" * 100),))
    tool = Tool(name="read_sensor", description="y" * 100)
    more = Prompt(messages=bare.messages * 2, tools=(tool,), tools_text="z" * 50)
    assert guessed_tokens(bare) > 50
    assert guessed_tokens(more) > 2 * guessed_tokens(bare) + 50


@pytest.mark.parametrize("text", ["fridge-07 temperature 14.2 C, limit 8 C", "Der Kühlschrank ist zu warm: 14,2 °C."])
def test_plain_language_is_guessed_rather_too_high(text: str) -> None:
    assert guessed_text(text) >= len(text) / 2
