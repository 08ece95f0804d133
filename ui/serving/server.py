"""Opening the page to a browser, and to nobody else unless asked to."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware

from ui import theme
from ui.result.exports import exports_dir
from ui.serving import languages
from ui.serving.access import Access
from ui.serving.calls import listeners, watch
from ui.serving.gate import Gate
from ui.serving.house import House
from ui.serving.light import lighten
from ui.serving.limits import Limits
from ui.serving.probes import Probes
from wan_core.jobs.store import JobStore
from wan_core.schema import Settings


def serves_mcp(access: Access) -> bool:
    """Whether the endpoints are also tools for MCP clients: gradio lists those without asking for the login,
    so only where none is needed, and its package has to be there.
    """
    return access.mode == "local" and find_spec("mcp") is not None


def mcp_words(access: Access, address: str) -> str:
    """One sentence about it."""
    if access.public:
        return "MCP and the HTTP API are off, as the page is public."
    if access.login is not None:
        return "MCP is off, as a login is set."
    if find_spec("mcp") is None:
        return "MCP is off: its package is not installed (pip install 'mcp<2')."
    return f"MCP clients find the tools at {address.rstrip('/')}/gradio_api/mcp/"


def launch(
    blocks: gr.Blocks,
    settings: Settings,
    access: Access,
    others: Mapping[str, gr.Blocks] | None = None,
    store: JobStore | None = None,
    limits: Limits | None = None,
) -> str:
    """Serve the page from threads of this process and return its address.

    Args:
        others: the page in other languages, see ``ui.serving.languages``.
        store: all jobs, for ``/health`` and ``/metrics``; without one neither is there.
        limits: of the gate; None are those of the mode.

    Raises:
        OSError: the port is taken or the address is not this machine's.
    """
    served = [settings.outputs_dir, settings.previews_dir, settings.inputs_dir, exports_dir(settings)]
    for folder in served:
        folder.mkdir(parents=True, exist_ok=True)
    gr.set_static_paths(served)
    house = House(access, settings.home, Path(get_upload_folder()), limits)
    _furnish(house, {"": blocks, **(others or {})}, store)
    lighten([blocks, *(others or {}).values()])
    by_language, lifespan = languages.below(others or {}, partial(_shown, house))
    try:
        _, local, shared = blocks.launch(
            server_name=access.host,
            server_port=access.port,
            share=access.share,
            prevent_thread_lock=True,
            mcp_server=serves_mcp(access),
            strict_cors=True,
            state_session_capacity=200,
            quiet=True,
            favicon_path=theme.ICON,
            app_kwargs={"middleware": [Middleware(Gate, house=house), by_language], "lifespan": lifespan},
            **_shown(house, "en"),
        )
    except OSError as error:
        raise OSError(
            f"{access.host}, port {access.port or '7860 to 7959'}, cannot be listened on; "
            "choose another --port, or end what uses this one."
        ) from error
    house.names.add(shared or "")
    return shared or local


def _furnish(house: House, pages: Mapping[str, gr.Blocks], store: JobStore | None) -> None:
    """Tell the gate which listeners and which addresses of our own there are."""
    house.functions.update({language: listeners(page) for language, page in pages.items()})
    for page in pages.values():
        watch(page)
    if store is not None:
        probes = Probes(house.access, store, house.answered)
        house.probes.update({"/health": probes.health, "/metrics": probes.metrics})


def _shown(house: House, language: str) -> dict[str, Any]:
    """What a page in any language is served with."""
    access = house.access
    return {
        "auth": access.login,
        "show_error": False,
        "footer_links": [] if access.public else ["api"],
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "max_file_size": house.limits.upload,
        **theme.look(language, ("public",) if access.public else ()),
    }
