"""Models come into memory when they are asked for, and leave it."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from plugins.llm.conversation import Prompt
from plugins.llm.errors import ModelError, Trouble
from plugins.llm.service.models import Models
from plugins.llm.service.residency import SPARE_BYTES, spare
from plugins.llm.spec import ModelSpec

NOBODY = lambda name: False  # noqa: E731 - nobody waits


async def ask(models: Models, prompt: Prompt, name: str = "tiny", asker: Any = None) -> str:
    assert asker is not None
    return (await models.generate([name], prompt, asker)).reply.text


async def look(models: Models) -> None:
    await models._residency.look(NOBODY)


async def loading(models: Models) -> None:
    """Until the model is on its way."""
    while not models._residency.is_loading("tiny"):  # noqa: ASYNC110 - a few turns of the loop
        await asyncio.sleep(0)


async def test_model_is_loaded_by_the_first_question_and_once_for_many(
    open_models: Any, spec: Any, report: Prompt, asking: Any
) -> None:
    changes: list[str] = []
    async with open_models(spec(), ModelSpec(name="gone", file="/nowhere")) as models:
        models.followers.append(lambda: changes.append(",".join(models.resident)))
        assert [state.state for state in models.states()] == ["idle", "idle"]
        with pytest.raises(ModelError):
            await ask(models, report, "gone", asking())
        askers = [asking(f"e{number}") for number in range(3)]
        texts = await asyncio.gather(*(ask(models, report, asker=asker) for asker in askers))
        assert all('"critical"' in text for text in texts)
        assert askers[0].reasons == ["model tiny, being loaded"]
        state = models.states()[1]
        assert (state.state, state.generations, models.resident) == ("resident", 3, ("tiny",))
        assert state.memory_bytes > 1_000_000
    assert models.resident == ()
    assert changes == ["tiny", ""]


async def test_idle_model_is_unloaded_after_its_keep_alive(
    open_models: Any, spec: Any, report: Prompt, asking: Any, clock: Any
) -> None:
    async with open_models(spec("a", keep_alive=60.0), spec("b", keep_alive=-1.0)) as models:
        await ask(models, report, "a", asking())
        await ask(models, report, "b", asking())
        clock.seconds += 59.0
        await look(models)
        assert models.resident == ("a", "b")
        clock.seconds += 1.0
        await look(models)
        assert models.resident == ("b",)
        clock.seconds += 1e6
        await look(models)
        assert models.resident == ("b",)
        assert '"critical"' in await ask(models, report, "a", asking())


async def test_model_without_keep_alive_goes_as_soon_as_nobody_waits_for_it(
    open_models: Any, spec: Any, report: Prompt, asking: Any
) -> None:
    gone = asyncio.Event()
    async with open_models(spec(keep_alive=0.0)) as models:
        models.followers.append(lambda: models.resident or gone.set())
        running = asyncio.create_task(models.run())
        texts = await asyncio.gather(*(ask(models, report, asker=asking(f"e{n}")) for n in range(3)))
        assert len(texts) == 3
        await asyncio.wait_for(gone.wait(), 10)
        running.cancel()


async def test_model_that_needs_more_than_it_may_have_is_refused(
    open_models: Any, spec: Any, report: Prompt, asking: Any
) -> None:
    async with open_models(spec(max_ram=1_000_000)) as models:
        with pytest.raises(ModelError, match=r"needs [0-9,]+ MiB, and may have 1 MiB; raise its `max_ram`") as caught:
            await ask(models, report, asker=asking())
    assert caught.value.trouble is Trouble.MEMORY


async def test_model_that_does_not_fit_is_refused_with_how_much_is_there(
    open_models: Any, spec: Any, report: Prompt, asking: Any, memory: Any
) -> None:
    memory.total, memory.free = 2**30, SPARE_BYTES + 2**20
    async with open_models(spec()) as models:
        with pytest.raises(ModelError, match=r"needs [0-9,]+ MiB, and of 65 MiB of free memory 64 MiB are") as caught:
            await ask(models, report, asker=asking())
        assert caught.value.trouble is Trouble.MEMORY
        assert caught.value.passing
        memory.free = 2**30
        assert '"critical"' in await ask(models, report, asker=asking())


async def test_idle_models_make_room_the_one_that_waits_longest_first(
    open_models: Any, spec: Any, report: Prompt, asking: Any, memory: Any, clock: Any
) -> None:
    def room() -> Any:
        free = memory.free - sum(state.memory_bytes for state in models.states() if state.state == "resident")
        return type(memory())(memory.total, free)

    async with open_models(spec("a"), spec("b"), spec("c"), room=room) as models:
        for name in ("a", "b"):
            await ask(models, report, name, asking())
            clock.seconds += 1.0
        await ask(models, report, "a", asking())
        size = max(state.memory_bytes for state in models.states())
        memory.free = spare(memory()) + 5 * size // 2
        await ask(models, report, "c", asking())
        assert models.resident == ("a", "c")


async def test_model_in_use_makes_room_after_its_generation(
    open_models: Any, spec: Any, report: Prompt, asking: Any, memory: Any
) -> None:
    def room() -> Any:
        free = memory.free - sum(state.memory_bytes for state in models.states() if state.state == "resident")
        return type(memory())(memory.total, free)

    async with open_models(spec("a"), spec("b"), room=room) as models:
        await ask(models, report, "a", asking())
        [size] = [state.memory_bytes for state in models.states() if state.name == "a"]
        memory.free = spare(memory()) + 3 * size // 2
        both = [ask(models, report, name, asking(f"{name}{n}")) for n in range(3) for name in ("a", "b")]
        assert len(await asyncio.gather(*both)) == 6
        assert len(models.resident) == 1


async def test_memory_that_gets_short_takes_idle_models_one_at_a_look(
    open_models: Any, spec: Any, report: Prompt, asking: Any, memory: Any, clock: Any
) -> None:
    async with open_models(spec("a", keep_alive=-1.0), spec("b")) as models:
        await ask(models, report, "a", asking())
        await ask(models, report, "b", asking())
        memory.free = spare(memory()) - 1
        clock.seconds += 1.0
        await look(models)
        assert models.resident == ("a",)
        clock.seconds += 1.0
        await look(models)
        assert models.resident == ()


async def test_model_in_use_is_never_unloaded(
    open_models: Any, spec: Any, asking: Any, memory: Any, clock: Any
) -> None:
    async with open_models(spec(keep_alive=0.0)) as models, models._residency.lent(spec(keep_alive=0.0), asking()):
        memory.free = 0
        clock.seconds += 1e6
        await look(models)
        assert models.resident == ("tiny",)


async def test_changed_settings_load_the_model_anew(
    open_models: Any, spec: Callable[..., Any], report: Prompt, asking: Any
) -> None:
    async with open_models() as models:
        async with models._residency.lent(spec(), asking()) as first:
            pass
        async with models._residency.lent(spec(context=128), asking()) as second:
            assert second is not first
            assert models.resident == ("tiny",)


async def test_load_goes_on_when_its_asker_is_cancelled(
    open_models: Any, spec: Any, report: Prompt, asking: Any
) -> None:
    async with open_models(spec()) as models:
        task = asyncio.create_task(ask(models, report, asker=asking()))
        await loading(models)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [state.state for state in models.states()] == ["loading"]
        second = asking()
        assert '"critical"' in await ask(models, report, asker=second)
        assert models.states()[0].generations == 1


async def test_load_that_takes_too_long_is_given_up(
    open_models: Any, spec: Any, report: Prompt, asking: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_models(spec()) as models:
        with monkeypatch.context() as patch:
            patch.setattr("plugins.llm.service.loading.LOAD_SECONDS", 0.0)
            with pytest.raises(ModelError, match=r"was not loaded within 0 s; is .*tiny.gguf on a disk") as caught:
                await ask(models, report, asker=asking())
        assert caught.value.trouble is Trouble.FAILED
        assert models.resident == ()
        assert '"critical"' in await ask(models, report, asker=asking())


async def test_stop_during_a_load_ends_it(open_models: Any, spec: Any, report: Prompt, asking: Any) -> None:
    async with open_models(spec()) as models:
        task = asyncio.create_task(ask(models, report, asker=asking()))
        await loading(models)
    with pytest.raises(ModelError) as caught:
        await task
    assert caught.value.trouble is Trouble.STOPPED
