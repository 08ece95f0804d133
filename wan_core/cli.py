"""``python -m wan_core generate | decode | export | models | lora | queue | presets | enhance | worker ...``.

Torch is imported only by the commands that need it.
"""

from __future__ import annotations

import argparse
import logging
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from wan_core.catalog import MODELS, ModelSpec, Role, find_model, validate
from wan_core.cli_export import add_export
from wan_core.cli_loras import add_lora_options, run_lora
from wan_core.cli_prompts import (
    add_enhance_options,
    add_presets_options,
    add_prompt_options,
    preset_values,
    run_enhance,
    run_presets,
    styled,
)
from wan_core.cli_queue import add_queue_options, run_queue
from wan_core.cli_request import add_request_options, read_request, require_suffix
from wan_core.manager.kept_settings import KeptSettings, changed
from wan_core.manager.weights import Part, WeightStore, model_parts
from wan_core.media.inputs import InputStore
from wan_core.schema import (
    GenerationResult,
    InvalidRequest,
    OutOfMemory,
    ProgressEvent,
    Settings,
    Stage,
    WanStudioError,
)
from wan_core.schema.settings import setting_knobs

EXIT_FAILED, EXIT_BAD_INPUT, EXIT_INTERRUPTED = 1, 2, 130

_STUDIO_ONLY = ("idle_unload_minutes",)
"""Settings that mean nothing to a command that ends by itself."""

_BAR_WIDTH = 28
_REDRAW_SECONDS = 0.1
_BYTE_STAGES = (Stage.DOWNLOAD, Stage.LOAD)


def main(argv: list[str]) -> int:
    """Run one command; returns the exit code: 0, 1 (failed), 2 (bad input) or 130 (interrupted)."""
    try:
        if argv[:1] == ["train"]:  # it and bench have options of their own
            return _train(argv[1:])
        if argv[:1] == ["bench"]:
            return _bench(argv[1:])
        options = _parser().parse_args(argv)
        logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
        return options.run(options)
    except InvalidRequest as error:
        return _complain(error, EXIT_BAD_INPUT)
    except WanStudioError as error:
        return _complain(error, EXIT_FAILED)
    except KeyboardInterrupt:
        return _complain("Interrupted.", EXIT_INTERRUPTED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="wan_core", description="Make videos with Wan models.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    generate = _command(commands, "generate", "make a video from a prompt", _generate)
    add_request_options(generate)
    add_prompt_options(generate)
    _add_output(generate)

    decode = _command(commands, "decode", "make the video of latents that an earlier job saved", _decode)
    decode.add_argument("latents", type=Path, help="a file of the latents folder")
    _add_output(decode)

    add_export(commands, TerminalProgress)

    models = _command(commands, "models", "list the models, or download one", _models)
    models.add_argument("action", nargs="?", choices=("list", "download"), default="list")
    models.add_argument("model", nargs="?", metavar="model", help="which model to download")

    add_lora_options(_command(commands, "lora", "list the LoRAs, or download one by its address", _lora))
    text = "list what waits in the studio, save it to a ZIP or add the jobs of one"
    add_queue_options(_command(commands, "queue", text, _queue))
    add_presets_options(_command(commands, "presets", "list, export or import presets and styles", _presets))
    add_enhance_options(_command(commands, "enhance", "have a prompt written out", _enhance))

    _command(commands, "worker", "run the jobs of the store until standard input closes", _worker)
    commands.add_parser("train", help="train the demo model", add_help=False)
    commands.add_parser("bench", help="measure how fast this machine is", add_help=False)
    return parser


def _command(
    commands: argparse._SubParsersAction, name: str, text: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(run=run)
    group = parser.add_argument_group("machine")
    group.add_argument("--home", type=Path, help="folder of models and outputs (default: ~/.wan-studio)")
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    group.add_argument("--offline", action="store_true", help="never use the network")
    for setting, knob in setting_knobs().items():
        if setting not in _STUDIO_ONLY:
            option = f"--{setting.replace('_', '-')}"
            group.add_argument(option, default=argparse.SUPPRESS, help=knob.help, **_values_of(setting))
    return parser


def _values_of(setting: str) -> dict[str, Any]:
    """How argparse takes the option of a setting."""
    annotation = Settings.model_fields[setting].annotation
    if get_origin(annotation) is Literal:
        return {"choices": get_args(annotation)}
    if get_origin(annotation) is tuple:
        return {"nargs": "*", "type": Path, "metavar": "FOLDER"}
    return {"metavar": setting.rsplit("_", 1)[-1].upper()}


def _add_output(parser: argparse.ArgumentParser) -> None:
    text = (
        "the file of the video or picture, replaced if it exists (default: a new one in the outputs folder)"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help=text)


def _settings(options: argparse.Namespace) -> Settings:
    """What is kept in the home, with what the command line says instead."""
    values = {"device": options.device, "offline": options.offline}
    if options.home:
        values["home"] = options.home
    kept = KeptSettings(Settings(**values))
    if kept.notice:
        sys.stderr.write(f"{kept.notice}\n")
    given = vars(options)
    return changed(kept.current, {name: given[name] for name in setting_knobs() if name in given})


def _generate(options: argparse.Namespace) -> int:
    settings = _settings(options)
    inputs, preset = InputStore(settings.inputs_dir), preset_values(options, settings)
    request = styled(read_request(options, inputs, preset), options, settings)
    validate(request)
    require_suffix(options.output, request)
    return _run(options, lambda engine, emit, job, output: engine.generate(request, emit, job, output))


def _decode(options: argparse.Namespace) -> int:
    from wan_core.pipelines.latents import load_latents

    latents = options.latents
    require_suffix(options.output, load_latents(latents)[1])
    return _run(options, lambda engine, emit, job, output: engine.decode(latents, emit, job, output))


def _run(options: argparse.Namespace, work: Callable[..., GenerationResult]) -> int:
    output = options.output
    from wan_core.engine import Engine

    engine, job_id, progress = Engine(_settings(options)), secrets.token_hex(6), TerminalProgress()
    try:
        result = work(engine, progress, job_id, output)
    except (WanStudioError, KeyboardInterrupt) as error:
        progress.close()
        _tell_how_to_go_on(error, engine.latents_path(job_id))
        raise
    finally:
        progress.close()
    for warning in result.warnings:
        sys.stderr.write(f"{warning}\n")
    stages = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in result.seconds.items())
    for part, use in result.parts.items():
        memory = f"peak {use.peak_bytes / 2**30:6.2f} GiB"
        sys.stderr.write(f"{part.replace('_', ' '):<12}  load {use.load_seconds:6.1f} s  {memory}\n")
    sys.stderr.write(f"seed {result.request.seed}; {stages}; peak {result.peak_bytes / 2**30:.2f} GiB\n")
    sys.stdout.write(f"{result.video}\n")
    return 0


def _tell_how_to_go_on(error: BaseException, latents: Path) -> None:
    """What a click does in the studio: decode finished latents, or try with less memory."""
    if latents.is_file():
        sys.stderr.write(f"The finished latents are kept: python -m wan_core decode {latents}\n")
    elif isinstance(error, OutOfMemory) and error.lower:
        sys.stderr.write(f"For less memory: --profile {error.lower}\n")


def _models(options: argparse.Namespace) -> int:
    store = WeightStore(_settings(options))
    if options.action == "download":
        if options.model is None:
            raise InvalidRequest("model", "no model is named", f"Choose one of {', '.join(MODELS)}.")
        progress = TerminalProgress()
        try:
            folder = store.fetch(find_model(options.model), progress)
        finally:
            progress.close()
        sys.stdout.write(f"{folder}\n")
        return 0
    for spec in (*MODELS.values(), *store.local_models()):
        try:
            line = _model_line(store, spec)
        except WanStudioError as error:  # the others are of use all the same
            line = f"{spec.id:<18} {spec.title:<18} {error}"
        sys.stdout.write(f"{line}\n")
    return 0


def _model_line(store: WeightStore, spec: ModelSpec) -> str:
    """One row of the list: id, title, size, what is missing, and where the rest is."""
    missing = store.missing(spec)
    here = store.as_found(spec)
    found = {_place(store, here, part) for part in model_parts(here)} - {None}
    places = ", ".join(sorted(str(path) for path in found)) or "not on this machine"
    if spec.weights[Role.TRANSFORMER].is_local:
        size, state = "own file", f"{sum(missing.values()) / 1e9:.1f} GB to download" if missing else "ready"
    elif spec.folder:
        size, state = "built in", "incomplete" if missing else "ready"
    else:
        size = f"{spec.download_bytes / 1e9:.1f} GB"
        state = f"{sum(missing.values()) / 1e9:.1f} GB to download" if missing else "ready"
    return f"{spec.id:<18} {spec.title:<18} {size:>9}  {state:<22} {places}"


def _place(store: WeightStore, spec: ModelSpec, part: Part) -> Path | None:
    """The folder of a part, or where a person's own file for it is."""
    files = model_parts(spec)[part]
    return Path(files.files[0]).parent if files.are_own else store.locate(spec, part)


def _queue(options: argparse.Namespace) -> int:
    return run_queue(options, _settings(options))


def _lora(options: argparse.Namespace) -> int:
    return run_lora(options, _settings(options), TerminalProgress)


def _presets(options: argparse.Namespace) -> int:
    return run_presets(options, _settings(options))


def _enhance(options: argparse.Namespace) -> int:
    return run_enhance(options, _settings(options))


def _worker(options: argparse.Namespace) -> int:
    from wan_core.jobs.worker import main as serve

    logging.getLogger().setLevel(logging.INFO)
    serve(_settings(options))
    return 0


def _train(argv: list[str]) -> int:
    from wan_core.training.cli import main as train

    return train(argv)


def _bench(argv: list[str]) -> int:
    from wan_core.bench.cli import main as measure

    return measure(argv)


class TerminalProgress:
    """Progress on standard error: a bar that moves on a terminal, a line per stage elsewhere."""

    def __init__(self) -> None:
        self._moving = sys.stderr.isatty()
        self._stage: Stage | None = None
        self._drawn = 0.0
        self._open = False

    def __call__(self, event: ProgressEvent) -> None:
        """Show one event; a bar is redrawn at most every ``_REDRAW_SECONDS``."""
        is_new = event.stage is not self._stage
        self._stage = event.stage
        if not self._moving:
            if is_new:
                sys.stderr.write(f"{event.stage}\n")
            return
        if is_new:
            self.close()
        now = time.monotonic()
        if is_new or event.step == event.total or now - self._drawn >= _REDRAW_SECONDS:
            sys.stderr.write(f"\r{progress_line(event)}\x1b[K")
            sys.stderr.flush()
            self._drawn, self._open = now, True

    def close(self) -> None:
        """Leave the bar's line."""
        if self._open:
            sys.stderr.write("\n")
            self._open = False


def progress_line(event: ProgressEvent) -> str:
    """``denoise  ███████·······  5/10  3.2 s``, in MB where a stage counts bytes."""
    share = event.step / event.total if event.total else 0.0
    full = round(share * _BAR_WIDTH)
    unit, divisor = (" MB", 1_000_000) if event.stage in _BYTE_STAGES else ("", 1)
    counts = f"{event.step // divisor}/{event.total // divisor}{unit}"
    bar = "█" * full + "·" * (_BAR_WIDTH - full)
    return f"{event.stage:<8} {bar} {counts:>9} {event.seconds:6.1f} s  {event.message}".rstrip()


def _complain(problem: object, code: int) -> int:
    sys.stderr.write(f"{problem}\n")
    return code
