"""What triage-tiny learned from stays what it was: its page tells how often it is right about exactly that."""

import hashlib
import json
from types import ModuleType

import pytest

FIRST_THOUSAND = "8c0b2aaa21970fe49b6ccfa3f0edf771079ea554ca0b974f0296198c0d1dab14"


@pytest.fixture
def made_up(models, monkeypatch) -> ModuleType:
    monkeypatch.syspath_prepend(models)
    from triage_tiny import conversations

    return conversations


def test_the_same_seed_gives_the_same_conversations(made_up) -> None:
    source = made_up.Conversations("test")
    conversations = json.dumps([source.any() for _ in range(1000)])
    assert hashlib.sha256(conversations.encode()).hexdigest() == FIRST_THOUSAND


def test_the_page_shows_what_the_model_learned(made_up, page) -> None:
    assert made_up.TOOLS in page
    assert all(f"`{asked}`" in page for asked in (*filter(None, made_up.TRIAGE), *made_up.EXPLAIN))
    assert all(f"{noun}" in page for noun in made_up.NOUNS)
