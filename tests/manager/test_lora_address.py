"""Addresses of LoRAs: what they name, and what is refused before anything is asked."""

from __future__ import annotations

import pytest

from wan_core.manager.lora_address import HubFile, WebFile, key_of, read_address
from wan_core.schema import InvalidRequest

FILE = HubFile("Owner/Repo.x", "main", "sub/a file.safetensors")


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("https://huggingface.co/Owner/Repo.x/blob/main/sub/a%20file.safetensors", FILE),
        ("https://huggingface.co/Owner/Repo.x/resolve/main/sub/a%20file.safetensors?download=true", FILE),
        ("https://hf.co/Owner/Repo.x/blob/main/sub/a%20file.safetensors#top", FILE),
        ("http://127.0.0.1:99/Owner/Repo.x/resolve/main/sub/a%20file.safetensors", FILE),
        (" a/b/c.safetensors ", HubFile("a/b", "main", "c.safetensors")),
        ("a/b/d/c.safetensors", HubFile("a/b", "main", "d/c.safetensors")),
        (
            "https://huggingface.co/a/b/resolve/refs%2Fpr%2F1/c.safetensors",
            HubFile("a/b", "refs/pr/1", "c.safetensors"),
        ),
        (
            "https://civitai.com/models/1/name?modelVersionId=22&x=1",
            WebFile("https://civitai.com/api/download/models/22"),
        ),
        (
            "https://civitai.com/api/download/models/22?token=secret",
            WebFile("https://civitai.com/api/download/models/22?token=secret"),
        ),
        ("https://example.org/x.safetensors#y", WebFile("https://example.org/x.safetensors")),
    ],
)
def test_addresses_lead_to_files(text: str, source: HubFile | WebFile) -> None:
    assert read_address(text, "http://127.0.0.1:99") == source


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "this is no address"),
        ("https://a b.org/x", "this is no address"),
        ("https://example.org/\nx", "this is no address"),
        ("https://" + "x" * 3000, "this is no address"),
        ("https://example.org:port/x", "this is no address"),
        ("https://[::1/x", "this is no address"),
        ("http://example.org/x.safetensors", "'http' is not https"),
        ("file:///etc/passwd", "'file' is not https"),
        ("ftp://example.org/x.safetensors", "'ftp' is not https"),
        ("http://huggingface.co/a/b/blob/main/c.safetensors", "'http' is not https"),
        ("https://user:word@example.org/x.safetensors", "holds a login"),
        ("owner/repo", "names no .safetensors file"),
        ("owner/repo/file.pth", "names no .safetensors file"),
        ("owner/repo/../../x.safetensors", "names no .safetensors file"),
        ("https://huggingface.co/a/b", "is no .safetensors file of the hub"),
        ("https://huggingface.co/a/b/blob/main/%2e%2e/x.safetensors", "is no .safetensors file of the hub"),
        ("https://huggingface.co/a/b/blob/%2e%2e/x.safetensors", "is no .safetensors file of the hub"),
        ("https://huggingface.co/datasets/a/b/blob/main/x.safetensors", "is no .safetensors file of the hub"),
        ("https://civitai.com/models/1/name", "is a page, not a file"),
    ],
)
def test_what_is_no_address_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_address(text)
    assert problem in refused.value.problem
    assert "word" not in str(refused.value)


def test_keys_of_an_address_are_never_shown() -> None:
    source = read_address("https://civitai.com/api/download/models/22?token=secret")
    assert source.shown == "civitai.com/api/download/models/22"
    assert "secret" not in key_of(source)
    assert key_of(source) != key_of(read_address("https://civitai.com/api/download/models/22?token=other"))
