"""Wan Studio's web page: ``python app.py``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path

from ui.making.guess import guess_seconds
from ui.serving.access import Access, on_space, secured
from ui.serving.logs import begin_logging, keep_log
from wan_core.catalog import MODELS, find_model
from wan_core.confined.environment import forget_login
from wan_core.jobs.executors import Executor, ProcessExecutor
from wan_core.jobs.in_process import anywhere, in_process_executor, zero_gpu
from wan_core.jobs.public_rules import PublicRules
from wan_core.jobs.visitors import SharedExecutor
from wan_core.manager.errands import Errands
from wan_core.manager.kept_settings import KeptSettings
from wan_core.manager.weights import WeightStore
from wan_core.schema import GenerationRequest, Settings, StoreError
from wan_core.schema.settings import default_home

_ZERO_GPU = "NVIDIA RTX PRO 6000"
"""What ZeroGPU lends half of."""


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make videos with Wan2.1 in the browser.")
    host, port = os.environ.get("GRADIO_SERVER_NAME"), os.environ.get("GRADIO_SERVER_PORT")
    parser.add_argument("--host", default=host or "127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=port, help="default: the first free one from 7860")
    parser.add_argument("--listen", action="store_true", help="let other machines reach it, behind a login")
    parser.add_argument("--share", action="store_true", help="open a link for everywhere, behind a login")
    doors = parser.add_mutually_exclusive_group()
    login = os.environ.get("WAN_STUDIO_AUTH")
    doors.add_argument(
        "--auth",
        metavar="USER:PASS",
        type=_login,
        default=login and _login(login),
        help="ask for this login; also WAN_STUDIO_AUTH",
    )
    doors.add_argument(
        "--public", action="store_true", help="no login: everybody, with limits, each with jobs of their own"
    )
    parser.add_argument(
        "--name",
        action="append",
        default=os.environ.get("WAN_STUDIO_NAMES", "").split(),
        metavar="HOST",
        help="answer under this host name, too, such as a proxy's; several times, or in WAN_STUDIO_NAMES",
    )
    parser.add_argument(
        "--manage",
        action="store_true",
        help="show settings and manage models also where others can reach the page",
    )
    parser.add_argument(
        "--in-process", action="store_true", help="run jobs in this process, without a worker"
    )
    parser.add_argument("--home", type=Path, default=default_home(), help="folder for videos and models")
    parser.add_argument("--model", choices=list(MODELS), help="chosen when the page opens")
    options = parser.parse_args(arguments)
    if options.public and options.auth:
        parser.error("--public is without a login, so there can be none in WAN_STUDIO_AUTH")
    return options


def _login(text: str) -> tuple[str, str]:
    user, colon, password = text.partition(":")
    if not (user and colon and password):
        raise argparse.ArgumentTypeError("write it as USER:PASS, neither of them empty")
    return user, password


def main() -> int:
    """Serve the page until SIGINT or SIGTERM; returns the exit code."""
    options = parse_arguments()
    begin_logging()
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    kept = KeptSettings(Settings(home=options.home.expanduser().resolve()))
    try:
        executor, errands = executor_for(options, kept.current), Errands(WeightStore(kept.current))
        _keep_out_of_sight(kept.current.home)
        keep_log(kept.current.logs_dir, options.auth or ())
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


def executor_for(options: argparse.Namespace, settings: Settings) -> Executor:
    """What runs the jobs: a worker process, or this one where a GPU is lent to its forks."""
    zero = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
    if not (zero or options.in_process):
        return ProcessExecutor(settings)
    gpu = zero_gpu() if zero else anywhere

    def guess(request: GenerationRequest) -> float | None:
        return guess_seconds(request, find_model(request.model), _ZERO_GPU)

    return in_process_executor(settings, guess, gpu)


def serve(options: argparse.Namespace, kept: KeptSettings, executor: Executor, errands: Errands) -> None:
    """Open the page and say where it is.

    The worker starts once gradio is imported and the page is built, not sooner: it imports torch, which
    takes all cores, and the page would wait for it.
    """
    from ui.context import Context  # gradio takes seconds to import, so not before the arguments are known
    from ui.serving.server import launch, mcp_words
    from ui.studio import build, build_others

    access = access_of(options)
    owned = not access.public and (options.manage or not access.is_exposed)
    context = Context(executor, errands, kept, options.model, owned)
    if access.public:
        forget_login()  # nobody manages models here, and what is asked for is asked by strangers
        os.environ["GRADIO_TEMP_DIR"] = str(kept.current.home / "cache")  # only files of the home have names
        shared = SharedExecutor(executor, PublicRules(context.has))
        context = replace(context, executor=shared, reach="everybody")
    elif access.is_exposed:
        context = replace(context, reach="login")
    page, others = build(context), build_others(context)
    executor.start()
    address = launch(page, kept.current, access, others, executor.store)
    sys.stdout.write(f"Wan Studio is ready at {address}\n{mcp_words(access, address)}\n")
    sys.stdout.write(exposed_words(access))
    if access.login and not options.auth:
        sys.stdout.write("Log in as {} with the password {}\n".format(*access.login))
    sys.stdout.flush()


def access_of(options: argparse.Namespace) -> Access:
    """Where the page listens and who may see it; a Space is public, unless it has a login."""
    host = "0.0.0.0" if options.listen else options.host
    wanted = Access(
        host, options.port, options.share, options.auth, options.public, names=tuple(options.name)
    )
    return secured(on_space(wanted))


def exposed_words(access: Access) -> str:
    """A line about who can reach the page; empty where only this machine can."""
    if access.public:
        return "Everybody who can reach this address may use it, with limits and without a login.\n"
    if access.is_exposed:
        return "Others can reach this address; they need the login.\n"
    return ""


def _keep_out_of_sight(home: Path) -> None:
    """Work in an empty folder: gradio serves what lies in the one that it is started in."""
    sources = Path(__file__).resolve().parent
    known = os.environ.get("PYTHONPATH")  # processes that are started from here find the sources all the same
    os.environ["PYTHONPATH"] = os.pathsep.join([str(sources), *([known] if known else [])])
    empty = home / "empty"
    empty.mkdir(parents=True, exist_ok=True)
    os.chdir(empty)


if __name__ == "__main__":
    sys.exit(main())
