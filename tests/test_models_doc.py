"""What docs/models.md says is so: its commands are run, its settings and kinds of trouble are those of the code."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from agent.cli.root import run
from agent.config.load import load_config
from agent.config.models import Model
from agent.config.sources import extra
from agent.node_types import node_types
from engine.definition import load_workflow
from engine.store.cache import MAX_ENTRIES
from plugins.llm.errors import ModelError, Trouble
from plugins.llm.files.part import SPARE
from plugins.llm.node.remembering import _SECONDS as REMEMBERED_SECONDS
from plugins.llm.service.quarantine import DEATHS
from plugins.llm.service.residency import SPARE_BYTES, SPARE_SHARE
from tests.plugins.llm.files.conftest import FileServer

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs/models.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)


def blocks(language: str) -> list[str]:
    return [block for kind, block in BLOCKS if kind == language]


COMMANDS = [line for block in blocks("sh") for line in block.splitlines()]


@pytest.fixture
def server() -> Iterator[FileServer]:
    server = FileServer()
    yield server
    server.close()


def test_every_command_does_what_it_should(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One after the other, as they stand; the web is a server on this machine."""
    web = server.url.partition("/some/")[0]
    monkeypatch.setenv("GANGLION_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("GANGLION_CONFIG", str(tmp_path / "none.toml"))
    (tmp_path / "none.toml").touch()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "is-it-warm.yaml").write_text(blocks("yaml")[0])
    for command in COMMANDS:
        words = shlex.split(command.replace("https://models.example.com", web), comments=True)
        assert words[0] == "ganglion"
        monkeypatch.setattr("sys.argv", words)
        assert run() == 0, f"{command}\n{capsys.readouterr().err}"
        if words[1] == "run":
            assert '"level":"critical"' in capsys.readouterr().out.replace(" ", "")
    assert sorted(path.name for path in (tmp_path / "data/models").glob("[a-z]*.json")) == ["triage-tiny.json"]


def test_settings_are_those_of_the_configuration() -> None:
    table = TEXT.partition("| key | default | |\n|---|---|---|\n")[2].partition("\n\n")[0].splitlines()
    assert table == [row(field) for field in msgspec.structs.fields(Model)]


def row(field: msgspec.structs.FieldInfo) -> str:
    """The table's line for a key, from its description."""
    show = extra(field.type).get("show")
    default = show(field.default) if show else field.default
    info = msgspec.inspect.type_info(field.type)
    assert isinstance(info, msgspec.inspect.Metadata)
    about = " ".join((info.extra_json_schema or {})["description"].split())
    return f"| `{field.name}` | {f'`{default}`' if default != '' else ''} | {about} |"


def test_kinds_of_trouble_are_those_of_the_node() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| (yes|no) \|", TEXT.partition("## Trouble")[2], re.MULTILINE))
    assert told == {kind.value: "yes" if ModelError(kind, "").passing else "no" for kind in Trouble}


@pytest.mark.parametrize("block", blocks("toml"))
def test_a_configuration_is_valid(block: str, tmp_path: Path) -> None:
    file = tmp_path / "ganglion.toml"
    file.write_text(block)
    settings, _ = load_config(file, environ={"HOME": str(tmp_path)})
    assert list(settings.models) == list(tomllib.loads(block)["models"])


def test_the_workflow_is_valid() -> None:
    [block, line] = blocks("yaml")
    load_workflow(block.encode(), types=node_types(allow_shell=False), filename="models.md.yaml")
    chained = block.replace("    model: triage-tiny\n", f"    {line}")
    assert chained != block
    load_workflow(chained.encode(), types=node_types(allow_shell=False), filename="models.md.yaml")


def test_figures_are_those_of_the_code() -> None:
    assert f"{SPARE // 2**20} MiB of the disk stay free" in TEXT
    assert f"{SPARE_SHARE * 100:.0f} % of the memory, and {SPARE_BYTES // 2**20} MiB at least, stay free" in TEXT
    assert f"the {MAX_ENTRIES:,} answers that were used last" in TEXT
    assert REMEMBERED_SECONDS == 3600
    assert DEATHS == 2


def test_the_checksum_is_that_of_the_model_that_is_shipped(server: FileServer) -> None:
    from hashlib import sha256

    assert f'sha256 = "{sha256(server.content).hexdigest()}"' in TEXT


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)", TEXT):
        assert (ROOT / "docs" / target).exists(), target
