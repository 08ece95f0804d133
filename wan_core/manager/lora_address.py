"""What a person may give as the address of a LoRA, and where it leads. Imports no torch."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from huggingface_hub import constants

from wan_core.schema import InvalidRequest
from wan_core.schema.file_name import is_file_name

_HUB_HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co")
_CIVITAI_HOSTS = ("civitai.com", "www.civitai.com", "civitai.red", "www.civitai.red")
_SUFFIX = (".safetensors",)
_REPO = r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}"
_HUB_PATH = re.compile(rf"/({_REPO})/(?:blob|resolve|raw)/([^/]+)/(.+)")
_SHORT = re.compile(rf"({_REPO})/(.+)")
_LONGEST = 2000
_EXAMPLE = "https://huggingface.co/owner/repo/blob/main/file.safetensors"


@dataclass(frozen=True)
class HubFile:
    """A file of a Hugging Face repository."""

    repo: str
    revision: str
    path: str

    @property
    def shown(self) -> str:
        return f"{self.repo}/{self.path}"


@dataclass(frozen=True)
class WebFile:
    """Any other address; what follows its question mark may be a key, and is never shown."""

    url: str

    @property
    def shown(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.hostname}{parts.path}"[:120]


def read_address(text: str, endpoint: str | None = None) -> HubFile | WebFile:
    """The file that an address names: of the hub, Civitai, or any server with https.

    Args:
        text: what was given; ``owner/repo/file.safetensors`` is of the hub, too.
        endpoint: the hub; None is ``$HF_ENDPOINT``, else huggingface.co.

    Raises:
        InvalidRequest: it is no address, or none of a LoRA; nothing behind a question mark is repeated.
    """
    text = text.strip()
    if not text or len(text) > _LONGEST or any(char.isspace() or not char.isprintable() for char in text):
        raise InvalidRequest("loras", "this is no address", f"Give one such as {_EXAMPLE}.")
    if "://" not in text:
        return _short(text)
    try:
        parts = urlsplit(text)
        host, own_hub = (parts.hostname or "").lower(), urlsplit(endpoint or constants.ENDPOINT)
        is_endpoint = (parts.scheme, parts.netloc) == (own_hub.scheme, own_hub.netloc)
        parts.port  # noqa: B018 - raises for one that is no number
    except ValueError as error:
        raise InvalidRequest("loras", "this is no address", f"Give one such as {_EXAMPLE}.") from error
    if parts.username or parts.password:
        raise InvalidRequest("loras", f"the address of {host} holds a login", "Give it without one.")
    if is_endpoint or (host in _HUB_HOSTS and parts.scheme == "https"):
        return _of_hub(parts.path)
    if parts.scheme != "https" or not host:
        raise InvalidRequest("loras", f"{parts.scheme[:20]!r} is not https", "Only https is downloaded from.")
    if host in _CIVITAI_HOSTS and parts.path.startswith("/models/"):
        return _of_civitai(host, parse_qs(parts.query))
    return WebFile(parts._replace(fragment="").geturl())


def key_of(source: HubFile | WebFile) -> str:
    """A name for a download that tells nothing of its address."""
    return hashlib.sha256(repr(source).encode()).hexdigest()[:16]


def _short(text: str) -> HubFile:
    match = _SHORT.fullmatch(text)
    if match is None or not is_file_name(match[2], _SUFFIX):
        raise InvalidRequest(
            "loras",
            f"{text[:80]!r} names no .safetensors file of a repository",
            f"Write owner/repo/file.safetensors, or an address such as {_EXAMPLE}.",
        )
    return HubFile(match[1], "main", match[2])


def _of_hub(path: str) -> HubFile:
    match = _HUB_PATH.fullmatch(path)
    name = unquote(match[3]) if match else ""
    revision = unquote(match[2]) if match else ""
    if match is None or not is_file_name(name, _SUFFIX) or ".." in revision:
        raise InvalidRequest(
            "loras",
            f"{path[:80]!r} is no .safetensors file of the hub",
            f"Open the file on its page and copy that address, such as {_EXAMPLE}.",
        )
    return HubFile(match[1], revision, name)


def _of_civitai(host: str, query: dict[str, list[str]]) -> WebFile:
    """A model's page leads to its file if it says which version."""
    version = query.get("modelVersionId", [""])[0]
    if not version.isdecimal():
        raise InvalidRequest(
            "loras",
            f"this address of {host} is a page, not a file",
            "Copy the address of the page's Download button.",
        )
    return WebFile(f"https://{host}/api/download/models/{version}")
