"""What servers of the tests have in common: they answer on 127.0.0.1 until their block ends."""

from __future__ import annotations

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Loopback:
    """A server in a thread; ``woken`` lets answers go on that stall on purpose."""

    woken: threading.Event

    def listen(self, handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None = None) -> int:
        """Answer from now on, with TLS if a context is given; returns the port."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self._server.server_port

    def __exit__(self, *error: object) -> None:
        self.woken.set()
        self._server.shutdown()
        self._server.server_close()
