"""Connections to servers of the public internet, and to nothing else. Imports no torch.

An address that somebody has sent must not make the studio ask its own machine or network. So a name is looked
up here, what it stands for is judged, and the connection goes to the very address that was judged: a name
that means something else a moment later changes nothing.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from http.client import HTTPSConnection

from wan_core.schema import DownloadError

CONNECT_SECONDS = 10.0
READ_SECONDS = 20.0

_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""Addresses of IPv6 that a gateway turns into those of IPv4, their last four bytes."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet: not private, loopback, link-local or the like."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        within = found.ipv4_mapped or found.sixtofour
        if found in _TRANSLATED:
            within = ipaddress.IPv4Address(found.packed[-4:])
        if within is not None:
            return is_public(str(within))
        if found.teredo is not None or found.is_site_local:
            return False
    return found.is_global and not found.is_multicast and not found.is_reserved


def open_public(host: str, port: int) -> socket.socket:
    """A connection to a host, by the first of its public addresses that answers.

    Raises:
        DownloadError: it has none.
        OSError: none answers, or there is no such host.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    public = [(family, place) for family, _, _, _, place in found if is_public(str(place[0]))]
    if not public:
        raise DownloadError(
            f"{host} is at {found[0][4][0]}, within a private network, which nothing is downloaded from; "
            "copy the file to the LoRA folder yourself."
        )
    last: OSError = OSError("no address")
    for family, place in public:
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(CONNECT_SECONDS)
            connection.connect(place)
            connection.settimeout(READ_SECONDS)
            return connection
        except OSError as error:
            connection.close()
            last = error
    raise last


class PublicConnection(HTTPSConnection):
    """HTTPS to a public host; the certificate is for the name, not for the address.

    ``wire`` is its socket, also once an answer has taken it over.
    """

    wire: socket.socket | None = None

    def connect(self) -> None:
        """Raises as ``open_public``; also ``ssl.SSLError``, an ``OSError``."""
        plain = open_public(self.host, self.port)
        try:
            self.sock = self.wire = trusted().wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise


def trusted() -> ssl.SSLContext:
    """What certificates are judged by."""
    return ssl.create_default_context()
