import random
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from hashlib import sha256
from pathlib import Path

import pytest
import trustme

from plugins.llm.files import download
from plugins.llm.files import part as part_file
from plugins.llm.files.download import FIRST_TRIES, TRIES, Download, Progress
from plugins.llm.files.errors import FileTrouble
from plugins.llm.files.origin import read_link
from plugins.llm.files.part import Begun, Part, held, read_begun
from tests.plugins.llm.files.conftest import FileServer, Plan


class Downloads:
    """Downloads into one folder, and what was told and waited for meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: list[Progress] = []
        self.pauses: list[float] = []

    @property
    def part(self) -> Path:
        return self.folder / "model.gguf.part"

    @property
    def begun(self) -> Begun:
        return read_begun(self.part)

    def run(self, url: str, *, is_pinned: bool = False, is_insecure: bool = False) -> bytes:
        """The bytes that the part has at the end."""
        with held(self.folder, "model") as part:
            self.into(part, url, is_pinned=is_pinned, is_insecure=is_insecure)
            return part.path.read_bytes()

    def discard(self) -> None:
        with held(self.folder, "model") as part:
            part.discard()

    def into(self, part: Part, url: str, *, is_pinned: bool = False, is_insecure: bool = False) -> None:
        Download(
            read_link(url), part, is_pinned=is_pinned, is_insecure=is_insecure, told=self.told.append,
            pause=self.pauses.append,
        ).run()  # fmt: skip

    def fail(self, url: str, **flags: bool) -> FileTrouble:
        with pytest.raises(FileTrouble) as caught:
            self.run(url, **flags)
        return caught.value


@pytest.fixture
def downloads(tmp_path: Path) -> Downloads:
    return Downloads(tmp_path)


def test_a_file_comes_whole_and_tells_how_far_it_is(server: FileServer, downloads: Downloads) -> None:
    assert downloads.run(server.url) == server.content
    size = len(server.content)
    assert downloads.told[-1] == Progress("downloading", size, size)
    assert server.asked[0]["accept-encoding"] == "identity"
    assert downloads.pauses == []


def test_a_cut_connection_goes_on_where_it_broke(server: FileServer, downloads: Downloads) -> None:
    server.plans = [Plan(cut=300_000), Plan(cut=200_000)]
    assert downloads.run(server.url) == server.content
    assert server.ranges == [None, "bytes=300000-", "bytes=500000-"]
    assert [headers.get("if-range") for headers in server.asked] == [None, '"one"', '"one"']
    assert downloads.pauses == [0.5, 0.5], "what brings bytes does not count as failing again"


def test_a_server_without_ranges_sends_all_anew(server: FileServer, downloads: Downloads) -> None:
    server.has_ranges = False
    server.plans = [Plan(cut=300_000)]
    assert downloads.run(server.url) == server.content
    assert server.ranges == [None, "bytes=300000-"]


def test_a_file_that_changed_is_begun_anew(server: FileServer, downloads: Downloads) -> None:
    server.plans = [Plan(cut=300_000)] + [Plan(status=500)] * TRIES
    downloads.fail(server.url)
    server.content, server.etag, server.plans = server.content[:-5] + b"other", '"two"', []
    assert downloads.run(server.url) == server.content
    assert server.ranges[-1] == "bytes=300000-", "one answer, which is whole"


def test_a_rest_of_another_file_is_not_taken(server: FileServer, downloads: Downloads) -> None:
    """A server that gives the rest without looking at If-Range."""
    begin = server.content
    server.plans = [Plan(cut=300_000), Plan(status=206, headers={"Content-Range": f"bytes 300000-{len(begin)}/999"})]
    assert downloads.run(server.url) == server.content
    assert server.ranges == [None, "bytes=300000-", None]


def test_a_part_that_is_longer_than_the_file_is_begun_anew(server: FileServer, downloads: Downloads) -> None:
    server.plans = [Plan(cut=300_000), Plan(status=416)]
    assert downloads.run(server.url) == server.content
    assert server.ranges == [None, "bytes=300000-", None]


def test_without_etag_and_time_only_a_pinned_file_goes_on(server: FileServer, downloads: Downloads) -> None:
    server.etag = ""
    server.plans = [Plan(cut=300_000)]
    assert downloads.run(server.url) == server.content
    server.plans = [Plan(cut=300_000)]
    assert downloads.run(server.url + "?pinned", is_pinned=True) == server.content
    assert server.ranges == [None, None, None, "bytes=300000-"]


def test_a_weak_etag_does_not_tell_bytes_apart(server: FileServer, downloads: Downloads) -> None:
    server.etag = 'W/"one"'
    server.plans = [Plan(cut=300_000, headers={"Last-Modified": "Sat, 21 Nov 2026 10:00:00 GMT"})]
    assert downloads.run(server.url) == server.content
    assert server.asked[1]["if-range"] == "Sat, 21 Nov 2026 10:00:00 GMT"


def test_an_answer_without_length_is_whole_when_it_ends(server: FileServer, downloads: Downloads) -> None:
    server.is_chunked = True
    server.plans = [Plan(cut=300_000)]
    assert downloads.run(server.url) == server.content
    assert downloads.told[0].total == 0


def test_a_length_that_is_too_large_is_a_break(server: FileServer, downloads: Downloads) -> None:
    server.plans = [Plan(length=len(server.content) + 10)]
    assert downloads.run(server.url) == server.content, "the second answer says another length, and all comes anew"


@pytest.mark.parametrize("seed", range(12))
def test_however_it_is_cut_the_bytes_are_those_of_the_file(server: FileServer, downloads: Downloads, seed: int) -> None:
    """Cuts, refusals, a file that changes, servers with and without ranges and lengths, and new processes."""
    chance = random.Random(seed)
    server.has_ranges = chance.random() < 0.8
    server.is_chunked = chance.random() < 0.3
    server.etag = chance.choice(['"one"', ""])
    for plans in (7, 7, 7, 7, 0):
        server.plans = [
            chance.choice([Plan(cut=chance.randrange(len(server.content))), Plan(status=503), Plan(cut=0)])
            for _ in range(chance.randint(0, plans))
        ]
        with suppress(FileTrouble) if plans else nullcontext():
            assert downloads.run(server.url) == server.content
            downloads.discard()  # as it is when the file has its name
        if plans and chance.random() < 0.5:  # the first bytes stay: they are those of a GGUF
            middle = chance.randrange(100, len(server.content) - 50)
            server.content = server.content[:middle] + chance.randbytes(50) + server.content[middle + 50 :]
            server.etag = f'"{chance.random()}"' if server.etag else ""


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_that_has_no_time_is_asked_again(server: FileServer, downloads: Downloads, status: int) -> None:
    server.plans = [Plan(status=status), Plan(status=status, headers={"Retry-After": "7"})]
    assert downloads.run(server.url) == server.content
    assert downloads.pauses == [0.5, 7.0]
    assert downloads.told[0].doing == f"the server says {status} {_phrase(status)}; again in 0.5 s"


def _phrase(status: int) -> str:
    return {500: "Internal Server Error", 503: "Service Unavailable", 429: "Too Many Requests"}[status]


def test_after_some_tries_without_a_byte_it_is_given_up_and_kept(server: FileServer, downloads: Downloads) -> None:
    server.plans = [Plan(cut=300_000)] + [Plan(status=500)] * TRIES
    error = downloads.fail(server.url + "?token=abc")
    assert "/some/Triage-Tiny.gguf: the server says 500 Internal Server Error, 8 times in a row" in str(error)
    assert not error.is_wrong
    assert "abc" not in str(error)
    assert len(server.asked) == TRIES
    assert downloads.pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0]
    assert downloads.begun.saved == 300_000
    assert downloads.part.stat().st_size == 300_000


def test_the_next_process_goes_on(server: FileServer, downloads: Downloads) -> None:
    server.plans = [Plan(cut=300_000)] + [Plan(status=500)] * TRIES
    downloads.fail(server.url)
    server.asked.clear()
    server.plans = []
    assert downloads.run(server.url) == server.content
    assert server.ranges == ["bytes=300000-"]


def test_another_url_does_not_go_on(server: FileServer, downloads: Downloads) -> None:
    server.plans = [Plan(cut=300_000)] + [Plan(status=500)] * TRIES
    downloads.fail(server.url)
    server.asked.clear()
    server.plans = []
    assert downloads.run(server.url + "?other") == server.content
    assert server.ranges == [None]


def test_what_was_not_on_the_disk_for_certain_comes_again(server: FileServer, downloads: Downloads) -> None:
    """As after a power cut: the file has its length, and zeros at the end."""
    server.plans = [Plan(cut=300_000)] + [Plan(status=500)] * TRIES
    downloads.fail(server.url)
    with downloads.part.open("ab") as file:
        file.write(bytes(50_000))
    server.asked.clear()
    server.plans = []
    assert downloads.run(server.url) == server.content
    assert server.ranges == ["bytes=300000-"]


def test_a_part_without_its_note_is_worth_nothing(server: FileServer, downloads: Downloads) -> None:
    downloads.part.write_bytes(b"GGUF" + bytes(100))
    assert downloads.run(server.url) == server.content
    assert server.ranges == [None]


def test_a_whole_part_needs_no_network(server: FileServer, downloads: Downloads) -> None:
    assert downloads.run(server.url) == server.content
    assert downloads.run(server.url) == server.content
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("status", "says"),
    [(404, "404 Not Found: there is no such file"), (401, "401 Unauthorized: it wants a login"), (418, "418")],
)
def test_a_refusal_is_not_asked_again(server: FileServer, downloads: Downloads, status: int, says: str) -> None:
    server.plans = [Plan(status=status)]
    assert says in str(downloads.fail(server.url))
    assert len(server.asked) == 1
    assert not downloads.part.exists()


def test_a_web_page_is_found_out_at_its_first_bytes(server: FileServer, downloads: Downloads) -> None:
    server.plans = [Plan(body=b"<!doctype html>" + bytes(100_000), headers={"Content-Type": "text/html; charset=x"})]
    error = downloads.fail(server.url)
    assert "no GGUF file (a web page: the download button" in str(error)
    assert not downloads.part.exists()


def test_a_compressed_answer_is_refused(server: FileServer, downloads: Downloads) -> None:
    server.plans = [Plan(headers={"Content-Encoding": "gzip"})]
    assert "compresses the file" in str(downloads.fail(server.url))


def test_redirects_are_followed_and_not_forever(server: FileServer, downloads: Downloads) -> None:
    server.plans = [Plan(status=302, headers={"Location": "/elsewhere?signature=x"})]
    assert downloads.run(server.url) == server.content
    assert [headers[":path"] for headers in server.asked] == ["/some/Triage-Tiny.gguf", "/elsewhere?signature=x"]
    server.plans = [Plan(status=302, headers={"Location": "/round"})] * 20
    assert "more than 10 redirects" in str(downloads.fail(server.url + "?2"))


def test_plain_http_beyond_this_machine_has_to_be_allowed(server: FileServer, downloads: Downloads) -> None:
    server.plans = [Plan(status=302, headers={"Location": "http://192.0.2.7/model.gguf"})]
    error = downloads.fail(server.url)
    assert "redirects to http://" in str(error)
    assert "--insecure" in str(error)
    assert "anybody between could change the file" in str(downloads.fail("http://192.0.2.7/model.gguf"))


def test_the_url_s_user_is_sent_and_never_shown(server: FileServer, downloads: Downloads) -> None:
    server.plans = [Plan(status=404)]
    error = downloads.fail(server.url.replace("://", "://anna:geheim@"))
    assert server.asked[0]["authorization"].startswith("Basic ")
    assert "geheim" not in str(error)


def test_nobody_at_that_address(downloads: Downloads) -> None:
    error = downloads.fail("http://127.0.0.1:1/model.gguf")
    assert "connection refused" in str(error)
    assert downloads.pauses == [0.5, 1.0, 2.0]
    assert len(downloads.pauses) == FIRST_TRIES - 1


def test_a_disk_without_room_is_not_begun_on(
    server: FileServer, downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_file, "SPARE", 2**60)
    error = downloads.fail(server.url)
    assert "free some space" in str(error)
    assert len(server.asked) == 1
    assert not downloads.part.exists()


def test_an_interrupt_keeps_what_came(server: FileServer, downloads: Downloads) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.done > 500_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), held(downloads.folder, "model") as part:
        Download(read_link(server.url), part, told=interrupt).run()
    assert downloads.begun.saved > 500_000
    assert downloads.run(server.url) == server.content
    assert server.ranges[-1] is not None


def test_certificates_that_can_t_be_read(downloads: Downloads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    download._trust.cache_clear()
    assert "SSL_CERT_FILE" in str(downloads.fail("https://127.0.0.1:1/model.gguf"))
    download._trust.cache_clear()


@pytest.fixture
def secure() -> Iterator[FileServer]:
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    server = FileServer(tls)
    with authority.cert_pem.tempfile() as file, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", file)
        download._trust.cache_clear()
        yield server
    download._trust.cache_clear()
    server.close()


def test_https_is_not_left_for_http(secure: FileServer, server: FileServer, downloads: Downloads) -> None:
    assert downloads.run(secure.url) == secure.content
    secure.plans = [Plan(status=302, headers={"Location": "http://192.0.2.7/model.gguf"})]
    assert "redirects to http://" in str(downloads.fail(secure.url + "?2"))
    secure.plans = [Plan(status=302, headers={"Location": secure.url + "?3"})]
    assert downloads.run(secure.url + "?4") == secure.content
    secure.plans = [Plan(status=302, headers={"Location": server.url})]
    assert downloads.run(secure.url + "?5", is_insecure=True) == server.content


def test_a_certificate_that_nobody_vouches_for_is_not_asked_again(secure: FileServer, downloads: Downloads) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SSL_CERT_FILE")
        download._trust.cache_clear()
        error = downloads.fail(secure.url)
    assert "the certificate is not trusted" in str(error)
    assert "SSL_CERT_FILE=ca.pem" in str(error)
    assert downloads.pauses == []


@pytest.fixture
def holding(tmp_path: Path) -> Iterator[Part]:
    with held(tmp_path, "model") as part:
        yield part


def test_two_at_once_are_refused(holding: Part, tmp_path: Path) -> None:
    with pytest.raises(FileTrouble, match="model is being added by another process"), held(tmp_path, "model"):
        pass
    with held(tmp_path, "other"):
        pass


def test_a_name_that_was_just_given_is_not_mistaken_for_a_part(tmp_path: Path) -> None:
    with held(tmp_path, "model") as part:
        part.begin()
        part.write(b"GGUF")
        part.finish(tmp_path / "model.gguf")
        with held(tmp_path, "model") as another:
            assert another.size == 0
    assert [path.name for path in tmp_path.iterdir()] == ["model.gguf"]


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf.part"
    code = f"import fcntl; file = open({str(path)!r}, 'w'); fcntl.flock(file, 2); print('held', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(FileTrouble), held(tmp_path, "model"):
            pass
        process.kill()
    with held(tmp_path, "model"):
        pass


def test_every_so_often_the_bytes_are_made_safe(
    server: FileServer, downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part_file, "SAVE_BYTES", 100_000)
    saved: list[int] = []
    downloads.told = _Watching(lambda: saved.append(downloads.begun.saved))
    assert sha256(downloads.run(server.url)).digest() == sha256(server.content).digest()
    assert len(set(saved)) > 5


class _Watching(list[Progress]):
    def __init__(self, look: object) -> None:
        super().__init__()
        self._look = look

    def append(self, progress: Progress) -> None:
        self._look()  # type: ignore[operator]
        super().append(progress)
