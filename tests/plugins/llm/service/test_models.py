"""The service over real models: chains, silence, native code that hangs, and what it tells of itself."""

import asyncio
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from plugins.llm.conversation import Message, Prompt, Role, Tool
from plugins.llm.errors import ModelError, Trouble
from plugins.llm.service.models import Models
from plugins.llm.spec import ModelSpec, Source

GONE = ModelSpec(name="gone", file="/nowhere/gone.gguf")


async def refusal(models: Models, names: list[str], prompt: Prompt, asker: Any) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await models.generate(names, prompt, asker)
    return caught.value


def checksum(spec: ModelSpec) -> str:
    return hashlib.sha256(Path(spec.file).read_bytes()).hexdigest()


def lengthen(spec: ModelSpec) -> None:
    with Path(spec.file).open("ab") as file:
        file.write(b"\0")


@contextmanager
def hung(models: Models, name: str = "tiny") -> Iterator[threading.Event]:
    """The model's thread is in a call that comes back when the event is set."""
    back = threading.Event()
    resident = models._residency.get(name)
    assert resident is not None
    resident.provider._worker._jobs.put(back.wait)
    try:
        yield back
    finally:
        back.set()


async def test_first_of_a_chain_that_can_answers_and_tells_who_was_passed_over(
    open_models: Any, spec: Any, report: Prompt, asking: Any
) -> None:
    async with open_models(GONE, spec()) as models:
        asker = asking()
        answer = await models.generate(["nobody", "gone", "tiny"], report, asker)
        assert answer.model == "tiny"
        assert [(name, error.trouble) for name, error in answer.passed_over] == [
            ("nobody", Trouble.UNKNOWN),
            ("gone", Trouble.MISSING),
        ]
        assert asker.restarts == 0
        assert "".join(asker.texts) == answer.reply.text


async def test_chain_of_which_all_fail_tells_each(open_models: Any, report: Prompt, asking: Any) -> None:
    async with open_models(GONE) as models:
        error = await refusal(models, ["nobody", "gone"], report, asking())
    assert error.trouble is Trouble.MISSING
    assert str(error).startswith("none of 2 models could: nobody (unknown_model): there is no model nobody; known here")
    assert "; gone (model_missing): model gone: there is no file /nowhere/gone.gguf" in str(error)


async def test_cancelled_asker_is_not_handed_to_the_next_model(
    open_models: Any, spec: Any, report: Prompt, asking: Any
) -> None:
    async with open_models(spec("a"), spec("b")) as models:
        asker = asking()
        asker.stopped = True
        error = await refusal(models, ["a", "b"], report, asker)
        assert error.trouble is Trouble.STOPPED
        assert "cancelled while it was loaded" in str(error)
        assert "b" not in models.resident


async def test_wrong_checksum_is_found_before_the_file_is_loaded(
    open_models: Any, spec: Any, report: Prompt, asking: Any
) -> None:
    right = checksum(spec())
    async with open_models(spec("right", sha256=right), spec("wrong", sha256="0" * 64)) as models:
        assert (await refusal(models, ["wrong"], report, asking())).trouble is Trouble.DAMAGED
        await models.generate(["right"], report, asking())
        assert models.resident == ("right",)


async def test_tools_are_told_in_words_to_a_model_that_has_none(open_models: Any, spec: Any, asking: Any) -> None:
    prompt = Prompt(
        messages=(Message(role=Role.USER, content="what does fridge-07 read?"),),
        tools=(
            Tool(
                name="read_sensor",
                parameters={"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
            ),
        ),
        max_tokens=60,
    )
    async with open_models(spec()) as models:
        assert await models.count(["tiny"], prompt) > await models.count(
            ["tiny"], msgspec.structs.replace(prompt, tools=())
        )
        answer = await models.generate(["tiny"], prompt, asking())
        assert all(call.name == "read_sensor" for call in answer.reply.calls)


async def test_hanging_native_code_stalls_its_asker_and_leaves_the_model_unusable(
    open_models: Any, spec: Any, report: Prompt, asking: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plugins.llm.service.liveness.PATIENCE_SECONDS", 0.05)
    async with open_models(spec(), spec("other")) as models:
        await models.generate(["tiny"], report, asking())
        with hung(models):
            asked = asyncio.create_task(refusal(models, ["tiny"], report, asking(stall=30.0)))
            second = asyncio.create_task(refusal(models, ["tiny"], report, asking("e2")))
            while not models.states()[1].running:  # noqa: ASYNC110 - a few turns of the loop
                await asyncio.sleep(0)
            clock.seconds += 31.0
            error = await asked
            assert error.trouble is Trouble.STALLED
            assert "nothing was heard of it for 30 s" in str(error)

            unusable = await second
            assert unusable.trouble is Trouble.FAILED
            assert "its native code hangs since an earlier generation; restart the agent" in str(unusable)
            [state] = [state for state in models.states() if state.name == "tiny"]
            assert (state.state, state.problem) == ("stuck", str(unusable))
            assert (await models.generate(["tiny", "other"], report, asking())).model == "other"
            await asyncio.wait_for(models.aclose(), 5)


async def test_model_that_hangs_is_left_behind_at_the_end(
    open_models: Any, spec: Any, report: Prompt, asking: Any, monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr("plugins.llm.service.loading.PATIENCE_SECONDS", 0.05)
    async with open_models(spec()) as models:
        await models.generate(["tiny"], report, asking())
        with hung(models):
            await asyncio.wait_for(models.aclose(), 5)
    assert models.resident == ()
    assert "model tiny can't be unloaded: its native code hangs" in caplog.text


async def test_states_name_every_model_with_what_is_wrong(open_models: Any, spec: Any, folder: Path) -> None:
    (folder / "bad.json").write_text("{")
    remote = ModelSpec(name="cloud", provider=Source.OPENAI, url="http://127.0.0.1:1")
    async with open_models(spec(), GONE, remote) as models:
        states = {state.name: state for state in models.states()}
    assert {name: state.state for name, state in states.items()} == {
        "bad": "damaged",
        "cloud": "remote",
        "gone": "idle",
        "tiny": "idle",
    }
    assert states["gone"].problem == "there is no file /nowhere/gone.gguf"
    assert states["tiny"].problem == ""


async def test_identity_changes_with_the_file_and_the_settings_that_matter(open_models: Any, spec: Any) -> None:
    async with open_models(spec("a"), spec("b", sha256="0" * 64), spec("c", context=128, sha256="0" * 64)) as models:
        ids = [models.identity([name]) for name in ("a", "b", "c")]
        before = models.identity(["a"])
        lengthen(spec("a"))
        assert models.identity(["a"]) != before
    assert len(set(ids)) == 3
    assert models.identity(["a", "b"]) != models.identity(["b", "a"])


async def test_counting_loads_nothing_and_is_exact_for_a_model_in_memory(
    open_models: Any, spec: Any, report: Prompt, asking: Any
) -> None:
    async with open_models(spec()) as models:
        guess = await models.count(["tiny", "nobody"], report)
        schema = {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(100)}}
        assert await models.count(["tiny"], msgspec.structs.replace(report, schema=schema)) == guess
        assert models.resident == ()
        answer = await models.generate(["tiny"], report, asking())
        assert await models.count(["tiny"], report) == answer.reply.usage.input
        assert guess >= answer.reply.usage.input
