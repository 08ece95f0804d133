"""What the catalog says of a model. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from wan_core.models.clip.config import CLIPConfig
from wan_core.models.dit.config import DiTConfig
from wan_core.models.umt5.config import UMT5Config
from wan_core.models.vae.config import VAEConfig
from wan_core.schema.request import SchedulerName, Task

OFFICIAL_NEGATIVE_PROMPT = (
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，"
    "JPEG压缩残留，丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，"
    "手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走"
)

_AREA_480P = 832 * 480


class Role(StrEnum):
    """The parts of a model that are loaded, lent and swapped on their own."""

    TRANSFORMER = "transformer"
    TEXT_ENCODER = "text_encoder"
    VAE = "vae"
    IMAGE_ENCODER = "image_encoder"
    MOTION_CONTROLLER = "motion_controller"


@dataclass(frozen=True)
class WeightFiles:
    """Where one part's files lie inside the model's folder or repository.

    ``files`` must all be present; a name ending in ``.index.json`` names the shards beside it.
    ``size`` is their total in bytes, as downloaded. ``sha256`` are the files' digests in the same
    order; where one is empty, the download is checked against the digest that the hub states.
    ``repo`` and ``revision`` are set where a part comes from another repository than its model's.
    ``is_local``: the files are a person's own, named as ``wan_core.manager.library`` names them; they are
    no paths. Where a row tells what is really there, files of the library have their full paths.
    ``scheme`` is how the weights are kept, an id of ``SCHEMES``; empty where the official files are meant.
    """

    files: tuple[str, ...]
    size: int
    sha256: tuple[str, ...] = ()
    repo: str = ""
    revision: str = ""
    is_local: bool = False
    scheme: str = ""

    @property
    def are_own(self) -> bool:
        """Whether they are a person's own files, which nothing downloads, verifies or deletes."""
        return self.is_local or any(Path(name).is_absolute() for name in self.files)

    def digests(self) -> dict[str, str]:
        """File name -> its SHA-256 in hexadecimal, empty where the catalog knows none."""
        return dict(zip(self.files, self.sha256 or ("",) * len(self.files), strict=True))


@dataclass(frozen=True)
class SamplingDefaults:
    """What a request leaves open is filled in from here (spec 6, and the model's README)."""

    width: int
    height: int
    num_frames: int = 81
    num_inference_steps: int = 50
    guidance_scale: float = 5.0
    shift: float = 5.0
    fps: int = 16
    negative_prompt: str = OFFICIAL_NEGATIVE_PROMPT
    scheduler: SchedulerName = "unipc"
    sigmas: tuple[float, ...] | None = None


@dataclass(frozen=True)
class TaskInputs:
    """What a model takes for a task besides the prompt.

    ``conditioner`` names the row of ``wan_core.pipelines.conditioning`` that turns it into what the
    transformer reads. ``required`` and ``optional`` are request fields of the groups ``media`` and
    ``steering``; every other field of these groups is refused. ``max_references`` is how many pictures
    ``references`` may name; 0 is any number.
    """

    conditioner: str = "text"
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    max_references: int = 0

    @property
    def taken(self) -> tuple[str, ...]:
        return (*self.required, *self.optional)


@dataclass(frozen=True)
class ModelSpec:
    """A model: what it is, where its files come from, how it is used best.

    ``sizes`` are the (width, height) pairs it was trained for, offered in the form;
    ``max_frames`` is the longest clip it is validated for. ``folder`` is set for built-in models.
    ``shift_480p`` is set where small sizes have another default shift than ``defaults``.
    """

    id: str
    title: str
    inputs: Mapping[Task, TaskInputs]
    repo: str
    revision: str
    licence: str
    dit: DiTConfig
    vae: VAEConfig
    text_encoder: UMT5Config
    weights: dict[Role, WeightFiles]
    tokenizer: WeightFiles
    defaults: SamplingDefaults
    sizes: tuple[tuple[int, int], ...]
    max_frames: int
    shift_480p: float | None = None
    size_multiple: int = 16
    image_encoder: CLIPConfig | None = None
    folder: Path | None = None
    note: str = ""

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What the model does, in the order of its ``inputs``."""
        return tuple(self.inputs)

    def shift_at(self, width: int, height: int) -> float:
        """The shift where nothing is said, at a size in pixels (spec 6)."""
        if self.shift_480p is None or width * height > _AREA_480P:
            return self.defaults.shift
        return self.shift_480p

    @property
    def download_bytes(self) -> int:
        return sum(part.size for part in self.weights.values()) + self.tokenizer.size
