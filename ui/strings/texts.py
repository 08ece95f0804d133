"""The sentences of the page, as a type: a language that forgets one does not construct."""

from __future__ import annotations

from dataclasses import dataclass

from ui.strings.cropping import CroppingTexts
from ui.strings.enlarging import EnlargingTexts
from ui.strings.guidance import GuidanceTexts
from ui.strings.history import HistoryTexts
from ui.strings.loras import LoraTexts
from ui.strings.machine import ModelsTexts, SettingsTexts
from ui.strings.naming import Named
from ui.strings.panel import PanelTexts
from ui.strings.prompting import PromptingTexts
from ui.strings.queue_file import QueueFileTexts
from ui.strings.recipes import RecipeTexts
from ui.strings.sentences import Pattern, said
from ui.strings.timeline import TimelineTexts
from wan_core.catalog import find_model, is_known


@dataclass(frozen=True)
class Texts:
    """Every text that the page shows.

    Names in braces are filled in with ``str.format``. ``names`` are those of the request's fields, ``titles``
    those of the words that fields can be; ``patterns`` say what the engine words in English.
    """

    language: str
    other_language: str
    other_title: str
    title: str
    names: dict[str, Named]
    titles: dict[str, str]
    patterns: tuple[Pattern, ...]
    title_absent: str
    sentence: str
    tabs: dict[str, str]
    tab_history: str
    tab_models: str
    tab_settings: str

    models: ModelsTexts
    settings: SettingsTexts

    model_absent: str
    model_starting: str
    model_idle: str
    model_ready: str
    model_loading: str
    model_busy: str
    memory: str
    queue_empty: str
    seen_by_login: str
    seen_by_all: str
    queue_running: str
    queue_waiting: str
    unload: str

    prompt_placeholder: str
    examples: str
    resolution: str
    aspect: str
    match_input: str
    time_units: tuple[str, str, str]
    duration: str
    duration_of: str
    duration_picture: str
    picture_help: str
    quality: str
    quality_draft: str
    quality_balanced: str
    quality_best: str
    dice: str
    generate: str
    stop: str
    sampling: str
    speed: str
    output: str
    reset_negative: str
    videos: str
    videos_help: str
    lines: str
    lines_help: str
    demo_world: str

    folds: dict[str, str]
    loras: LoraTexts
    enlarging: EnlargingTexts
    guidance: GuidanceTexts
    prompting: PromptingTexts
    history: HistoryTexts
    panel: PanelTexts
    queue_file: QueueFileTexts
    timeline: TimelineTexts
    cropping: CroppingTexts
    recipes: RecipeTexts
    sides: dict[str, str]
    sides_help: str
    join: str
    join_help: str
    draw_mask: str
    draw_mask_help: str
    swap: str
    seen_as: str
    seen_whole: str
    changes: dict[str, str]
    seen_references: str
    picture: str

    clip: str
    videos_count: str
    takes: str
    takes_guess: str
    takes_unknown: str
    to_download: str
    other_size: str
    beyond_training: str

    nothing_yet: str
    nothing_yet_hint: str
    waiting: str
    waiting_behind: str
    starting: str
    queued_notice: str
    stages: dict[str, str]
    step_of: str
    per_step: str
    time_left: str
    stopping: str
    cancelled: str
    failed: str
    took: str
    seed: str
    take_seed: str
    file_gone: str
    no_video: str
    remedies: dict[str, str]
    reuse: str
    download: str
    delete: str
    no_tab: str
    send_last_frame: str
    send_picture: str

    statuses: dict[str, str]
    queue_title: str
    history_title: str
    history_empty: str
    queue_nothing: str
    cancel_job: str
    show_more: str

    just_now: str
    minutes_ago: str
    hours_ago: str

    def model_title(self, model: str) -> str:
        """What a model is called; one that this studio does not know, by its id."""
        known = find_model(model).title if is_known(model) else model
        return self.titles.get(f"model:{model}", known)

    @property
    def model_titles(self) -> dict[str, str]:
        """Id of a model -> its title, of those that are called otherwise in this language."""
        titles = ((name.partition(":"), title) for name, title in self.titles.items())
        return {model: title for (kind, _, model), title in titles if kind == "model" and model}

    def said(self, words: str) -> str:
        """A sentence of the engine in this language, see ``ui.strings.sentences``."""
        return said(words, self.patterns)
