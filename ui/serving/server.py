"""Opening the page to a browser, and to nobody else unless asked to."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from ui import theme
from ui.result.exports import exports_dir
from ui.serving import languages
from ui.serving.gate import MAX_UPLOAD, Gate, is_loopback
from wan_core.schema import Settings

USER = "wan"
"""The name to log in with when the password was made here."""


@dataclass(frozen=True)
class Access:
    """Where the page listens and who may see it. ``port`` None is the first free one from 7860."""

    host: str = "127.0.0.1"
    port: int | None = None
    share: bool = False
    login: tuple[str, str] | None = None

    @property
    def is_exposed(self) -> bool:
        """Whether other machines can reach the page."""
        return self.share or not is_loopback(self.host)


def secured(access: Access) -> Access:
    """The same access; with a login and a fresh password if it is exposed and has none."""
    if access.login or not access.is_exposed:
        return access
    return Access(access.host, access.port, access.share, (USER, secrets.token_urlsafe(12)))


def serves_mcp(access: Access) -> bool:
    """Whether the endpoints are also tools for MCP clients: gradio lists those without asking for the login,
    so never where there is one, and its package has to be there.
    """
    return access.login is None and find_spec("mcp") is not None


def mcp_words(access: Access, address: str) -> str:
    """One sentence about it."""
    if access.login is not None:
        return "MCP is off, as a login is set."
    if find_spec("mcp") is None:
        return "MCP is off: its package is not installed (pip install 'mcp<2')."
    return f"MCP clients find the tools at {address.rstrip('/')}/gradio_api/mcp/"


def launch(
    blocks: gr.Blocks, settings: Settings, access: Access, others: Mapping[str, gr.Blocks] | None = None
) -> str:
    """Serve the page from threads of this process and return its address; ``others`` by language, see
    ``ui.serving.languages``.

    Raises:
        OSError: the port is taken or the address is not this machine's.
    """
    served = [settings.outputs_dir, settings.previews_dir, settings.inputs_dir, exports_dir(settings)]
    for folder in served:
        folder.mkdir(parents=True, exist_ok=True)
    gr.set_static_paths(served)
    gate = Middleware(Gate, local=not access.is_exposed)
    by_language, lifespan = languages.below(others or {}, gate, partial(_shown, access))
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
            app_kwargs={"middleware": [by_language, gate], "lifespan": lifespan},
            **_shown(access, "en"),
        )
    except OSError as error:
        raise OSError(
            f"{access.host}, port {access.port or '7860 to 7959'}, cannot be listened on; "
            "choose another --port, or end what uses this one."
        ) from error
    return shared or local


def _shown(access: Access, language: str) -> dict[str, Any]:
    """What a page in any language is served with."""
    return {
        "auth": access.login,
        "show_error": False,
        "footer_links": ["api"],
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "max_file_size": MAX_UPLOAD,
        **theme.look(language),
    }
