import json
from pathlib import Path

import pytest

from engine.clock import SystemClock
from plugins.llm.files.adding import Added, Wish, add, begun_files, remove
from plugins.llm.files.download import TRIES, Progress
from plugins.llm.files.errors import FileTrouble
from plugins.llm.files.part import held
from plugins.llm.service.catalogue import Catalogue
from plugins.llm.service.checksums import Checksums
from tests.plugins.llm.files.conftest import MODEL, FileServer, Plan

SHA256 = "473286c9bd7bf0de5b72bcbdfb8cb79f7e71d0c9a4312df7c9cb73452e571856"


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".checksums.json")


def wish(source: object, **more: object) -> Wish:
    return Wish(source=str(source), **more)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def truncated(tmp_path: Path) -> Path:
    path = tmp_path / "short.gguf"
    path.write_bytes(MODEL.read_bytes()[:900_000])
    return path


def refused(wish: Wish, folder: Path) -> FileTrouble:
    with pytest.raises(FileTrouble) as caught:
        add(wish, folder, pause=lambda _: None)
    return caught.value


def test_a_file_is_copied_pinned_and_found(folder: Path) -> None:
    told: list[Progress] = []
    added = add(wish(MODEL, name="triage", context=512), folder, told=told.append)
    assert added == Added(
        name="triage", file=str(folder / "triage.gguf"), bytes=MODEL.stat().st_size, sha256=SHA256,
        architecture="llama", parameters=1_016_960, quantisation="Q8_0", context=1024,
    )  # fmt: skip
    assert files(folder) == ["triage.gguf", "triage.json"]
    assert json.loads((folder / "triage.json").read_text()) == {
        "file": "triage.gguf", "sha256": SHA256, "context": 512,
    }  # fmt: skip
    spec = Catalogue((), folder, SystemClock()).get("triage")
    assert (spec.file, spec.sha256, spec.context) == (str(folder / "triage.gguf"), SHA256, 512)
    assert Checksums(folder).known(folder / "triage.gguf") == SHA256, "nobody needs to read it again"
    assert {one.doing for one in told} == {"copying", "checking"}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_url_is_downloaded_and_leaves_nothing_of_itself(server: FileServer, folder: Path) -> None:
    url = server.url.replace("://", "://anna:geheim@") + f"?token=abc#sha256={SHA256}"
    assert add(wish(url), folder).name == "triage-tiny"
    assert files(folder) == ["triage-tiny.gguf", "triage-tiny.json"]
    assert (folder / "triage-tiny.gguf").read_bytes() == server.content
    manifest = (folder / "triage-tiny.json").read_text()
    assert not [word for word in ("geheim", "abc", "127.0.0.1") if word in manifest]


def test_what_an_interruption_left_is_told_and_gone_on_with(server: FileServer, folder: Path) -> None:
    server.plans = [Plan(cut=300_000)] + [Plan(status=500)] * TRIES
    assert not refused(wish(server.url + "?token=geheim"), folder).is_wrong
    assert files(folder) == ["triage-tiny.gguf.part", "triage-tiny.gguf.part.from"]
    assert b"geheim" not in (folder / "triage-tiny.gguf.part.from").read_bytes()
    begun = begun_files(folder)["triage-tiny"]
    assert (begun.saved, begun.total) == (300_000, len(server.content))
    add(wish(server.url + "?token=geheim"), folder)
    assert server.ranges[-1] == "bytes=300000-"
    assert begun_files(folder) == {}


@pytest.mark.parametrize("pin", ["sha256", "url"])
def test_another_checksum_is_refused_and_nothing_stays(server: FileServer, folder: Path, pin: str) -> None:
    other = "0" * 64
    one = wish(server.url, sha256=other) if pin == "sha256" else wish(f"{server.url}#sha256={other}")
    error = refused(one, folder)
    assert f"the checksum is {SHA256}, expected {other}" in str(error)
    assert files(folder) == []


def test_a_file_that_is_cut_off_is_refused(server: FileServer, folder: Path, truncated: Path) -> None:
    assert str(refused(wish(truncated), folder)).startswith(f"{truncated} is cut off: expected 1,1")
    server.content = truncated.read_bytes()
    assert str(refused(wish(server.url), folder)).startswith(f"{server.url} is cut off: expected 1,1")
    assert files(folder) == []


def test_a_length_that_is_too_small_gives_a_file_that_is_refused(server: FileServer, folder: Path) -> None:
    server.plans = [Plan(length=900_000)]
    refused(wish(server.url), folder)
    assert files(folder) == []


@pytest.mark.parametrize(
    ("content", "says"), [(b"", "no GGUF file"), (b"GGUF", "cut off"), (b"PK\x03\x04" + bytes(5000), "no GGUF file")]
)
def test_what_is_no_model_is_refused(folder: Path, tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "no.gguf"
    path.write_bytes(content)
    assert says in str(refused(wish(path), folder))
    assert files(folder) == []


def test_a_linked_file_stays_where_it_is(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "elsewhere.gguf"
    path.write_bytes(MODEL.read_bytes())
    add(wish(path, is_linked=True), folder)
    assert (folder / "elsewhere.gguf").readlink() == path
    assert files(folder) == ["elsewhere.gguf", "elsewhere.json"]
    assert remove("elsewhere", folder) == 0
    assert path.exists()
    assert files(folder) == []


def test_a_file_that_lies_in_the_folder_already_is_taken_as_it_is(folder: Path) -> None:
    folder.mkdir()
    (folder / "mine.gguf").write_bytes(MODEL.read_bytes())
    before = (folder / "mine.gguf").stat().st_ino
    add(wish(folder / "mine.gguf"), folder)
    assert (folder / "mine.gguf").stat().st_ino == before
    assert not (folder / "mine.gguf").is_symlink()
    assert files(folder) == ["mine.gguf", "mine.json"]


def test_a_name_is_given_once_and_the_same_file_is_no_mistake(server: FileServer, folder: Path) -> None:
    add(wish(MODEL, name="triage-tiny"), folder)
    error = refused(wish(server.url), folder)
    assert "there is a model triage-tiny already: `ganglion models remove triage-tiny` first" in str(error)
    assert error.is_wrong
    again = add(wish(server.url, sha256=SHA256), folder)
    assert (again.is_new, again.sha256) == (False, SHA256)
    assert server.asked == [], "nothing was downloaded"


def test_a_damaged_manifest_keeps_its_name(folder: Path) -> None:
    folder.mkdir()
    (folder / "triage.json").write_text("{")
    assert "there is a model triage already" in str(refused(wish(MODEL, name="triage"), folder))
    remove("triage", folder)
    assert add(wish(MODEL, name="triage"), folder).is_new


def test_two_at_once_are_refused(folder: Path) -> None:
    folder.mkdir()
    with held(folder, "triage"):
        assert "being added by another process" in str(refused(wish(MODEL, name="triage"), folder))


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (wish(MODEL, name="../x"), "--name ../x: expected up to 64 lower-case letters"),
        (wish(MODEL, sha256="12"), "expected 64 hex digits"),
        (wish("/nowhere/x.gguf"), "/nowhere/x.gguf: there is no such file"),
        (wish("huggingface.co/a/x.gguf"), "did you mean https://huggingface.co/a/x.gguf?"),
        (wish("big-00001-of-00003.gguf", name="big"), "big-00001-of-00003.gguf is one of several pieces: merge"),
        (wish("/tmp"), "/tmp is not a file"),
        (wish("https://host/模型.gguf"), "add --name NAME"),
        (wish("https://host/x.gguf", is_linked=True), "--link is for files of this machine"),
        (wish(f"https://host/x.gguf#sha256={'0' * 64}", sha256="1" * 64), "differ"),
    ],
)
def test_a_wish_that_can_t_be_right_is_refused(folder: Path, one: Wish, says: str) -> None:
    error = refused(one, folder)
    assert says in str(error)
    assert error.is_wrong


def test_remove_takes_what_was_begun(server: FileServer, folder: Path) -> None:
    server.plans = [Plan(cut=300_000)] + [Plan(status=500)] * TRIES
    refused(wish(server.url), folder)
    assert remove("triage-tiny", folder) == 300_000
    assert files(folder) == []
