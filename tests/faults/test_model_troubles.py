"""Everything that can be wrong with a model, asked for in one running agent: a clear error each time, with what to do
next, and the agent lives on."""

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.running import CONFIG, Running

pytestmark = [pytest.mark.nats, pytest.mark.crash]

MODEL = Path(__file__).parents[2] / "examples" / "models" / "triage-tiny-q8_0.gguf"
REPORT = "fridge-07 temperature 14.2 C, limit 8 C"
NODE = {"type": "llm", "prompt": REPORT, "max_tokens": 60, "retry": {"max": 0}, "on_error": "continue"}
TROUBLED = ("gooood", "gone", "short", "prose", "other", "large", "garbled", "mute", "nobody")
WORKFLOW: dict[str, Any] = {
    "name": "ask-everybody",
    "nodes": {
        **{model: NODE | {"model": model} for model in TROUBLED},
        "narrow": NODE | {"model": "narrow", "prompt": " ".join([REPORT] * 20)},
        "wordless": NODE | {"model": "good", "stop": ["{"]},
        "afterwards": NODE | {"model": "good", "needs": [*TROUBLED, "narrow", "wordless"], "run_if": "always"},
    },
}


class Provider(BaseHTTPRequestHandler):
    """A remote model that talks nonsense, or not at all."""

    silence = threading.Event()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        if self.path.startswith("/mute"):
            self.wfile.flush()
            self.silence.wait(30)
            return
        self.wfile.write(b'data: {"choices":[{"index":0,"delta":{"content":"\xff\xfe"}}]}\n\ndata: [DONE]\n\n')

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on standard error."""


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    Provider.silence.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    serving = threading.Thread(target=server.serve_forever, name="provider")
    serving.start()
    yield f"http://127.0.0.1:{server.server_port}"
    Provider.silence.set()
    server.shutdown()
    serving.join()
    server.server_close()


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory, provider: str) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("models")
    shutil.copy(MODEL, folder / "good.gguf")
    (folder / "short.gguf").write_bytes(MODEL.read_bytes()[:700_000])
    (folder / "prose.gguf").write_text("Once upon a time\n" * 1000)
    config = (
        CONFIG
        + f"""
[models.good]
file = "good.gguf"
[models.gone]
file = "nowhere.gguf"
[models.short]
file = "short.gguf"
[models.prose]
file = "prose.gguf"
[models.other]
file = "good.gguf"
sha256 = "{"0" * 64}"
[models.large]
file = "good.gguf"
max_ram = "1MB"
[models.narrow]
file = "good.gguf"
context = 64
[models.garbled]
provider = "openai"
url = "{provider}/garbled/v1"
model = "any"
[models.mute]
provider = "openai"
url = "{provider}/mute/v1"
model = "any"
stall = "300ms"
[models.nobody]
provider = "ollama"
url = "http://127.0.0.1:9"
model = "any"
"""
    )
    running = Running(folder, config)
    running.start()
    running.deploy(json.dumps(WORKFLOW))
    yield running
    assert running.end() == 0


@pytest.fixture(scope="module")
def nodes(agent: Running) -> dict[str, Any]:
    """What became of each node of the one execution that asks them all."""
    shown = json.loads(agent("trigger", "ask-everybody", "--wait", "--json"))
    assert shown["info"]["status"] == "completed"
    return {node["path"]: node for node in shown["nodes"]}


@pytest.mark.parametrize(
    ("node", "kind", "said", "remedy"),
    [
        ("gooood", "unknown_model", "gooood", "did you mean good"),
        ("gone", "model_missing", "nowhere.gguf", "ganglion models add"),
        ("short", "model_damaged", "expected", "ganglion models add"),
        ("prose", "model_damaged", "GGUF", "name one"),
        ("other", "model_damaged", "sha256", "sha256"),
        ("large", "model_memory", "max_ram", "raise"),
        ("garbled", "invalid_output", "UTF-8", "garbled"),
        ("mute", "stalled", "0.3", "stall"),
        ("nobody", "unreachable", "refused", "url"),
        ("narrow", "prompt_too_long", "64", "context"),
        ("wordless", "empty_output", "stop", "stop"),
    ],
)
def test_the_error_says_what_is_wrong_and_what_to_do(
    nodes: dict[str, Any], node: str, kind: str, said: str, remedy: str
) -> None:
    error = nodes[node]["error"]
    assert error["kind"] == kind
    assert said in error["message"]
    assert remedy in error["message"]


def test_the_agent_lives_on_and_a_good_model_answers(agent: Running, nodes: dict[str, Any]) -> None:
    assert nodes["afterwards"]["status"] == "completed"
    assert agent.process is not None
    assert agent.process.poll() is None
