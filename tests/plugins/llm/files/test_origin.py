import pytest

from plugins.llm.files.errors import FileTrouble
from plugins.llm.files.origin import is_url, model_name, read_link, read_sha256

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("Qwen2.5-0.5B-Instruct-Q4_K_M.gguf", "qwen2.5-0.5b-instruct-q4_k_m"),
        ("triage tiny (copy).GGUF", "triage-tiny-copy"),
        ("model.bin", "model"),
        ("_x.gguf", "x"),
        ("模型.gguf", ""),
        ("a" * 100, "a" * 63),
    ],
)
def test_a_file_s_name_makes_a_model_s_name(file: str, name: str) -> None:
    assert model_name(file) == name


def test_a_url_is_shown_without_what_may_be_a_credential() -> None:
    link = read_link(f"https://anna:geheim@host.example:8443/a/b%20c.gguf?token=x#sha256={HEX.upper()}")
    assert link.shown == "https://host.example:8443/a/b%20c.gguf"
    assert link.url == "https://anna:geheim@host.example:8443/a/b%20c.gguf?token=x"
    assert (link.name, link.sha256) == ("b c.gguf", HEX)
    assert read_link("http://[::1]:80/x").shown == "http://[::1]:80/x"


@pytest.mark.parametrize("text", ["ftp://host/x.gguf", "https:///x.gguf", "https://host:port/x", "hf://a/b"])
def test_another_kind_of_url_is_refused(text: str) -> None:
    assert is_url(text)
    with pytest.raises(FileTrouble) as caught:
        read_link(text)
    assert caught.value.is_wrong


def test_a_checksum_is_64_hex_digits() -> None:
    assert read_sha256(f" {HEX.upper()} ", "--sha256 ") == HEX
    assert read_sha256(f"sha256:{HEX}", "") == HEX
    with pytest.raises(FileTrouble, match="--sha256 12: expected 64 hex digits"):
        read_sha256("12", "--sha256 ")
