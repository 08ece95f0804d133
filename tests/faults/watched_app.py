"""The studio, watched: ``python -m tests.faults.watched_app REPORT ARGUMENTS...`` is ``app.py ARGUMENTS...``.

Every look-up of a name and every connection that its web process tries is a line of REPORT, and refused,
unless it is to the studio itself. Figures that would take minutes to reach are made small.
"""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

BODY_SECONDS, ROOM = 1.5, 4_000_000


def watch(report: Path, port: int) -> None:
    """Write down and refuse what leaves this process."""
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def refuse(what: str) -> None:
        with report.open("a") as file:
            file.write(f"{what}\n")
        raise OSError("the studio is watched")

    def connected(self: socket.socket, address: Any) -> None:
        if self.family == socket.AF_UNIX or address[:2] in (("127.0.0.1", port), ("::1", port)):
            return connect(self, address)
        return refuse(f"connect {address}")

    def looked_up(host: Any, *arguments: Any, **named: Any) -> Any:
        if host in (None, "", "localhost", "127.0.0.1", "0.0.0.0", "::1", socket.gethostname()):
            return look_up(host, *arguments, **named)
        return refuse(f"look up {host}")

    socket.socket.connect, socket.getaddrinfo = connected, looked_up


def main() -> int:
    """Run the studio with the arguments that are left."""
    report, sys.argv = Path(sys.argv[1]), ["app.py", *sys.argv[2:]]
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.pop("GRADIO_TEMP_DIR", None)  # of a studio that the tests themselves have served
    import app
    from ui.serving.limits import LIMITS

    for mode, limits in LIMITS.items():
        LIMITS[mode] = replace(limits, body_seconds=BODY_SECONDS, room=ROOM, posts=None, all_posts=None)
    watch(report, app.parse_arguments().port)
    return app.main()


if __name__ == "__main__":
    sys.exit(main())
