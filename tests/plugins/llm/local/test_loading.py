import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from plugins.llm.errors import ModelError, Trouble
from plugins.llm.local.provider import opened
from tests.plugins.llm.local.conftest import TRAINED, TRIAGE, answered, asked, spec

ROOT = Path(__file__).parents[4]


def python(code: str, **more: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-c", code, str(TRIAGE)], env=environment, cwd="/", capture_output=True,
                          text=True, timeout=60, check=False, **more)  # type: ignore[call-overload,no-any-return] # fmt: skip


OPEN = """
import asyncio, sys
from plugins.llm.errors import ModelError
from plugins.llm.local.provider import opened
from plugins.llm.spec import ModelSpec

async def main(**more):
    try:
        model = await opened(ModelSpec(name="m", file=sys.argv[1], **more))
    except ModelError as error:
        print(error.trouble.value, error)
    else:
        print("opened")
        await model.aclose()
"""


async def test_a_damaged_file_is_not_shown_to_native_code(tmp_path):
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(TRIAGE.read_bytes()[:500_000])
    with pytest.raises(
        ModelError, match="is cut off: expected 1,102,112 bytes, got 500,000; download it again"
    ) as caught:
        await opened(spec(file=str(cut)))
    assert caught.value.trouble is Trouble.DAMAGED


async def test_what_llama_cpp_says_of_a_file_that_it_refuses_is_in_the_message(tmp_path):
    other = tmp_path / "other.gguf"
    other.write_bytes(
        TRIAGE.read_bytes().replace(b"\x05\x00\x00\x00\x00\x00\x00\x00llama", b"\x05\x00\x00\x00\x00\x00\x00\x00lamma")
    )
    with pytest.raises(ModelError, match=r"llama.cpp can't load .*: .*unknown model architecture: 'lamma'") as caught:
        await opened(spec(file=str(other)))
    assert caught.value.trouble is Trouble.FAILED


async def test_an_unknown_format_is_refused_with_those_that_are_known():
    with pytest.raises(ModelError, match=r"chat_format: 'chatlm' is unknown; known are .*chatml.*, plain") as caught:
        await opened(spec(chat_format="chatlm"))
    assert caught.value.trouble is Trouble.REFUSED


async def test_a_template_that_llama_cpp_does_not_know_is_never_run(tmp_path):
    other = tmp_path / "other.gguf"
    template = TRIAGE.read_bytes()
    assert template.count(b"<|im_start|>{{") == 1
    other.write_bytes(
        template.replace(b"<|im_start|>{{", b"<|im_xxxxx|>{{").replace(
            b"<|im_start|>assistant", b"<|im_xxxxx|>assistant"
        )
    )
    with pytest.raises(ModelError, match="does not know the chat template in its file; set chat_format to the one"):
        await opened(spec(file=str(other)))
    model = await opened(spec(file=str(other), chat_format="chatml"))
    assert (await answered(model, asked())).text == TRAINED
    await model.aclose()


def test_without_memory_it_says_so():
    code = OPEN + (
        "import resource; import llama_cpp\n"
        "resource.setrlimit(resource.RLIMIT_AS, (3_000_000_000, 3_000_000_000))\n"
        "asyncio.run(main(context=2_000_000, threads=1))"
    )
    done = python(code)
    assert done.stdout.startswith("model_memory llama.cpp can't make a context of 2000000 tokens for m: "), done
    assert "free memory, or set a smaller context" in done.stdout


def test_without_the_library_it_says_what_to_install():
    done = python("import sys; sys.modules['llama_cpp'] = None\n" + OPEN + "asyncio.run(main())")
    assert done.stdout.startswith("model_missing local models need llama-cpp-python ("), done
    assert "; pip install 'ganglion[llm]'" in done.stdout


def test_loading_prints_nothing_and_ends():
    done = python(OPEN + "asyncio.run(main())\nasyncio.run(main(chat_format='x'))")
    assert done.stderr == ""
    assert done.stdout.startswith("opened\nmodel_refused")


def test_a_process_that_forgets_a_model_ends_all_the_same():
    done = python(
        OPEN + "async def forget(): await opened(ModelSpec(name='m', file=sys.argv[1]))\nasyncio.run(forget())"
    )
    assert done.returncode == 0, done


def test_importing_the_provider_loads_no_native_code():
    done = python("import plugins.llm.local.provider, sys; print({'llama_cpp', 'numpy', 'jinja2'} & set(sys.modules))")
    assert done.stdout == "set()\n"


async def test_a_load_that_is_cancelled_leaves_no_thread():
    before = threading.active_count()
    task = asyncio.create_task(opened(spec()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert threading.active_count() == before


async def test_loaded_and_unloaded_fifty_times_it_leaves_nothing():
    process = psutil.Process()

    async def once():
        model = await opened(spec())
        assert (await answered(model, asked())).text == TRAINED
        await model.aclose()

    for _ in range(5):
        await once()
    memory, threads = process.memory_info().rss, set(threading.enumerate())
    for _ in range(45):
        await once()
    assert set(threading.enumerate()) <= threads
    assert process.memory_info().rss - memory < 8 * 2**20


async def test_unloaded_it_refuses_and_guesses():
    model = await opened(spec())
    await model.aclose()
    await model.aclose()
    assert model.count(asked()) > 22
    with pytest.raises(ModelError, match="model triage-tiny was unloaded; ask again"):
        await answered(model, asked())
