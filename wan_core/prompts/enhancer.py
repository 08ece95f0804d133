"""Writing a prompt out: by whom the settings say, one at a time, and never used unasked."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

from wan_core.prompts.endpoint import ask_endpoint
from wan_core.prompts.enhancer_settings import EnhancerSettings, KeptEnhancer
from wan_core.prompts.instructions import messages_for, tidy_answer
from wan_core.prompts.local_model import ask_local, find_folder
from wan_core.schema import EnhancementFailed

STOPPED = "Stopped; the prompt stays as it is."
OFF = "Nothing is set to write prompts out; choose a language model in Settings."


class Enhancer:
    """Writes prompts out for a home; safe to use from any thread.

    Attributes:
        kept: who writes.
    """

    def __init__(self, home: Path, hub_cache: Path | None = None) -> None:
        self.kept = KeptEnhancer(home)
        self.hub_cache = hub_cache
        self._busy = threading.Lock()
        self._stopped = False
        self._process: subprocess.Popen[str] | None = None

    def enhance(self, idea: str, has_picture: bool = False) -> str:
        """An idea written out.

        Args:
            idea: the prompt as it stands.
            has_picture: the clip begins with a picture that is given.

        Raises:
            EnhancementFailed: one sentence.
        """
        settings = self.kept.current
        if not settings.is_on:
            raise EnhancementFailed(OFF)
        messages = messages_for(idea, has_picture)
        if not self._busy.acquire(blocking=False):
            raise EnhancementFailed("A prompt is being written out already; wait for it, or stop it.")
        self._stopped = False
        try:
            text = tidy_answer(self._ask(settings, messages))
            if self._stopped:
                raise EnhancementFailed(STOPPED)
            return text
        except EnhancementFailed as error:
            raise (EnhancementFailed(STOPPED) if self._stopped else error) from error.__cause__
        finally:
            self._process = None
            self._busy.release()

    def stop(self) -> None:
        """End the language model's process, if there is one; an endpoint is left to answer in vain."""
        self._stopped, process = True, self._process
        if process is not None:
            process.kill()

    def _ask(self, settings: EnhancerSettings, messages: list[dict[str, str]]) -> str:
        if settings.kind == "endpoint":
            return ask_endpoint(settings, messages)
        folder = find_folder(settings.local_model, self.hub_cache)
        return ask_local(folder, messages, settings.seconds, self._take)

    def _take(self, process: subprocess.Popen[str]) -> None:
        self._process = process
