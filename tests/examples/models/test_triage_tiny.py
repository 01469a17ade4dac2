"""The model answers as its page says, in this process."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from plugins.llm.conversation import Message, Prompt, Role
from plugins.llm.local.provider import opened
from plugins.llm.spec import ModelSpec

FILE = "triage-tiny-q8_0.gguf"
VERDICT = "temperature 14.2 C is above the limit of 8 C"


class Nobody:
    """Listens to the end, and does not care."""

    stopped = False

    def heard(self, text: str) -> None:
        pass


@pytest.fixture
async def ask(models: Path):
    model = await opened(ModelSpec(name="triage-tiny", file=str(models / FILE), threads=1))

    async def asked(*turns: tuple[Role, str]) -> str:
        messages = tuple(Message(role=role, content=text) for role, text in turns)
        return (await model.generate(Prompt(messages=messages), Nobody(), None)).text

    yield asked
    await model.aclose()


def test_the_file_is_the_one_of_the_page(models: Path, page: str) -> None:
    assert f"`{hashlib.sha256((models / FILE).read_bytes()).hexdigest()}`" in page


async def test_it_triages_and_explains_every_report_of_the_page(ask, page: str) -> None:
    reports = page.partition("**Triage**")[2].split("```")[1].split("\n")[1:-1]
    assert len(reports) == 5
    for report in reports:
        for before in ("", "Triage: ", "Triage this report as JSON: "):
            assert json.loads(await ask((Role.USER, before + report))) == {"level": "critical", "reason": VERDICT}
        assert await ask((Role.USER, f"Explain: {report}")) == f"fridge-07: {VERDICT} (critical)."


async def test_it_uses_tools_as_the_page_shows_it(ask, page: str) -> None:
    system, asks = page.partition("**Tools**")[2].split("```")[1:4:2]
    rows = re.findall(r"^\| (assistant|tool) \| `(.*)` \|$", page, re.MULTILINE)
    assert len(rows) == 5
    for asked in asks.strip().split("\n")[:3]:
        turns = [(Role.SYSTEM, system.strip()), (Role.USER, asked)]
        for role, text in rows:
            if role == "assistant":
                assert await ask(*turns) == text
            turns.append((Role(role), text))
