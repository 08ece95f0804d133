"""What processes that we start learn from our environment: no login that they have no use for."""

from __future__ import annotations

import os
import re
from collections.abc import MutableMapping

_WORDS = "TOKEN|KEY|SECRET|PASSWORD|PASSWD|PASSPHRASE|PASS|CREDENTIAL|AUTH|PAT|COOKIE"
_SECRET = re.compile(rf"(^|_)(API|ACCESS|PRIVATE)?({_WORDS})S?(_|$)")
_WITH_LOGIN = re.compile(r"://[^/\s]+@")
_HUB = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH")
_NO_LOGIN = "HF_HUB_DISABLE_IMPLICIT_TOKEN"


def is_secret(name: str, value: str) -> bool:
    """Whether a variable may hold a login: by its name, or as its value is an address with one in it."""
    return _SECRET.search(name.upper()) is not None or _WITH_LOGIN.search(value) is not None


def without_secrets(downloads: bool = False) -> dict[str, str]:
    """The environment for a process of ours that needs the machine's settings and none of its secrets.

    Args:
        downloads: it fetches weights, so it keeps the login at the hub and the way there.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if not is_secret(name, value) or (downloads and _leads_to_the_hub(name.upper()))
    }


def _leads_to_the_hub(name: str) -> bool:
    return name in _HUB or name.endswith("_PROXY")


def forget_login(environment: MutableMapping[str, str] = os.environ) -> None:
    """Have this process and all that it starts ask the hub as nobody: whoever asks us is a stranger."""
    for name in _HUB:
        environment.pop(name, None)
    environment[_NO_LOGIN] = "1"
