"""Wan Studio's web page: ``python app.py``."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from wan_core.catalog import MODELS
from wan_core.jobs.executors import ProcessExecutor
from wan_core.manager.errands import Errands
from wan_core.manager.kept_settings import KeptSettings
from wan_core.manager.weights import WeightStore
from wan_core.schema import Settings, StoreError
from wan_core.schema.settings import default_home


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make videos with Wan2.1 in the browser.")
    host, port = os.environ.get("GRADIO_SERVER_NAME"), os.environ.get("GRADIO_SERVER_PORT")
    parser.add_argument("--host", default=host or "127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=port, help="default: the first free one from 7860")
    parser.add_argument("--share", action="store_true", help="open a public link, behind a login")
    parser.add_argument("--auth", metavar="USER:PASS", type=_login, help="ask for this login")
    parser.add_argument(
        "--manage",
        action="store_true",
        help="show settings and manage models also where others can reach the page",
    )
    parser.add_argument("--home", type=Path, default=default_home(), help="folder for videos and models")
    parser.add_argument("--model", choices=list(MODELS), help="chosen when the page opens")
    return parser.parse_args(arguments)


def _login(text: str) -> tuple[str, str]:
    user, colon, password = text.partition(":")
    if not (user and colon and password):
        raise argparse.ArgumentTypeError("write it as USER:PASS, neither of them empty")
    return user, password


def main() -> int:
    """Serve the page until SIGINT or SIGTERM; returns the exit code."""
    options = parse_arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    kept = KeptSettings(Settings(home=options.home.expanduser().resolve()))
    try:
        executor, errands = ProcessExecutor(kept.current), Errands(WeightStore(kept.current))
        try:
            serve(options, kept, executor, errands)
            ended.wait()
        finally:
            errands.stop()
            executor.stop()
    except (StoreError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def serve(
    options: argparse.Namespace, kept: KeptSettings, executor: ProcessExecutor, errands: Errands
) -> None:
    """Open the page and say where it is.

    The worker starts once gradio is imported and the page is built, not sooner: it imports torch, which
    takes all cores, and the page would wait for it.
    """
    from ui.context import Context  # gradio takes seconds to import, so not before the arguments are known
    from ui.serving.server import Access, launch, mcp_words, secured
    from ui.studio import build, build_others

    access = secured(Access(options.host, options.port, options.share, options.auth))
    owned = options.manage or not access.is_exposed
    context = Context(executor, errands, kept, options.model, owned)
    page, others = build(context), build_others(context)
    executor.start()
    address = launch(page, kept.current, access, others)
    sys.stdout.write(f"Wan Studio is ready at {address}\n{mcp_words(access, address)}\n")
    if access.login and not options.auth:
        sys.stdout.write("Log in as {} with the password {}\n".format(*access.login))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
