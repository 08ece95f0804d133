"""Who may reach the page, and how much of it: on this machine, behind a login, or open to everybody."""

from __future__ import annotations

import ipaddress
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

USER = "wan"
"""The name to log in with when the password was made here."""

Mode = Literal["local", "auth", "public"]


@dataclass(frozen=True)
class Access:
    """Where the page listens and who may see it. ``port`` None is the first free one from 7860.

    ``public``: everybody, with limits and without a login. ``space``: it stands in a page of Hugging Face,
    whose proxy tells who asks. ``names``: host names besides this machine's own under which it is reached.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    share: bool = False
    login: tuple[str, str] | None = None
    public: bool = False
    space: bool = False
    names: tuple[str, ...] = ()

    @property
    def is_exposed(self) -> bool:
        """Whether other machines can reach the page."""
        return self.share or self.space or not is_loopback(self.host)

    @property
    def mode(self) -> Mode:
        """Which of the three ways of being reached this is."""
        if self.public:
            return "public"
        return "auth" if self.login else "local"


def secured(access: Access) -> Access:
    """The same access; with a login and a fresh password if it is exposed, has none, and is not public."""
    if access.login or access.public or not access.is_exposed:
        return access
    return replace(access, login=(USER, secrets.token_urlsafe(12)))


def on_space(access: Access, environment: Mapping[str, str] = os.environ) -> Access:
    """The same access; where this is a Hugging Face Space it is public, unless it has a login."""
    if "SPACE_ID" not in environment:
        return access
    host = environment.get("SPACE_HOST", "")
    names = (*access.names, *((host,) if host else ()))
    return replace(
        access,
        host=environment.get("GRADIO_SERVER_NAME", "0.0.0.0"),
        port=access.port or 7860,
        share=False,
        public=access.login is None,
        space=True,
        names=names,
    )


class Names:
    """The host names that the page answers to; a share link's is known once it is open.

    An address in figures is always answered where the page is exposed: a name that leads here without our
    leave is what a foreign page needs, and an address is no name.
    """

    def __init__(self, access: Access) -> None:
        self._exposed = access.is_exposed
        own = (socket.gethostname(), socket.getfqdn()) if self._exposed else ()
        self._own = {name.casefold() for name in (*own, access.host)}
        self._told = {name.casefold() for name in access.names}

    def add(self, address: str) -> None:
        """Answer to the host of an address, too."""
        if host := urlsplit(address).hostname:
            self._told.add(host)

    def knows(self, host: str) -> bool:
        """Whether a Host header, with or without a port, is one of ours."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if is_loopback(name) or name in self._own | self._told:
            return True
        return self._exposed and _is_address(name)

    def is_own(self, origin: str, host: str) -> bool:
        """Whether an Origin header is of the page that was asked for under ``host``.

        A proxy may ask under another name than the browser did, so names that were told to us are enough.
        This machine's own are not: other programs have pages at other ports of it.
        """
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return bool(parts.netloc) and (parts.netloc == host or parts.hostname in self._told)


def is_loopback(host: str) -> bool:
    """Whether a host name or address, without a port, means this very machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
