"""Every model the studio knows: one row each. Imports no torch."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from wan_core.models.dit.config import DiTConfig
from wan_core.models.umt5.config import UMT5Config
from wan_core.models.vae.config import VAEConfig
from wan_core.schema import GenerationRequest, InvalidRequest
from wan_core.schema.request import MAX_SEED, Task

DEMO_FOLDER = Path(__file__).resolve().parent.parent / "assets" / "demo"

OFFICIAL_NEGATIVE_PROMPT = (
    "色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品，画作，画面，静止，整体发灰，最差质量，低质量，"
    "JPEG压缩残留，丑陋的，残缺的，多余的手指，画得不好的手部，画得不好的脸部，畸形的，毁容的，形态畸形的肢体，"
    "手指融合，静止不动的画面，杂乱的背景，三条腿，背景人很多，倒着走"
)


class Role(StrEnum):
    """The parts of a model that are loaded, lent and swapped on their own."""

    TRANSFORMER = "transformer"
    TEXT_ENCODER = "text_encoder"
    VAE = "vae"


@dataclass(frozen=True)
class WeightFiles:
    """Where one part's files lie inside the model's folder or repository.

    ``files`` must all be present; a name ending in ``.index.json`` names the shards beside it.
    ``size`` is their total in bytes, as downloaded. ``sha256`` are the files' digests in the same
    order; where one is empty, the download is checked against the digest that the hub states.
    """

    files: tuple[str, ...]
    size: int
    sha256: tuple[str, ...] = ()

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


@dataclass(frozen=True)
class ModelSpec:
    """A model: what it is, where its files come from, how it is used best.

    ``sizes`` are the (width, height) pairs it was trained for, offered in the form;
    ``max_frames`` is the longest clip it is validated for. ``folder`` is set for built-in models.
    """

    id: str
    title: str
    tasks: tuple[Task, ...]
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
    size_multiple: int = 16
    folder: Path | None = None
    note: str = ""

    @property
    def download_bytes(self) -> int:
        return sum(part.size for part in self.weights.values()) + self.tokenizer.size


_TOKENIZER = WeightFiles(
    (
        "google/umt5-xxl/tokenizer.json",
        "google/umt5-xxl/tokenizer_config.json",
        "google/umt5-xxl/special_tokens_map.json",
        "google/umt5-xxl/spiece.model",
    ),
    16_837_417 + 61_728 + 6_623 + 4_548_313,
    (
        "6e197b4d3dbd71da14b4eb255f4fa91c9c1f2068b20a2de2472967ca3d22602b",
        "",
        "",
        "e3909a67b780650b35cf529ac782ad2b6b26e6d1f849d3fbb6a872905f452458",
    ),
)
_UMT5 = WeightFiles(
    ("models_t5_umt5-xxl-enc-bf16.pth",),
    11_361_920_418,
    ("7cace0da2b446bbbbc57d031ab6cf163a3d59b366da94e5afe36745b746fd81d",),
)
_VAE = WeightFiles(
    ("Wan2.1_VAE.pth",),
    507_609_880,
    ("38071ab59bd94681c686fa51d75a1968f64e470262043be31f7a094e442fd981",),
)

_SIZES_480P = ((832, 480), (480, 832), (624, 624), (704, 544), (544, 704))
_SIZES_720P = ((1280, 720), (720, 1280), (960, 960), (1088, 832), (832, 1088))

_ROWS = (
    ModelSpec(
        id="demo",
        title="Demo (built in)",
        tasks=("t2v",),
        repo="",
        revision="",
        licence="Apache-2.0",
        dit=DiTConfig(dim=256, ffn_dim=512, num_heads=8, num_layers=5, text_dim=128, text_len=64),
        vae=VAEConfig(dim=16, num_res_blocks=1),
        text_encoder=UMT5Config(
            vocab_size=512, dim=128, dim_attn=128, dim_ffn=256, num_heads=4, num_layers=2
        ),
        weights={
            Role.TRANSFORMER: WeightFiles(("diffusion_pytorch_model.safetensors",), 0),
            Role.TEXT_ENCODER: WeightFiles(_UMT5.files, 0),
            Role.VAE: WeightFiles(_VAE.files, 0),
        },
        tokenizer=WeightFiles(_TOKENIZER.files, 0),
        defaults=SamplingDefaults(
            width=64,
            height=64,
            num_frames=17,
            num_inference_steps=20,
            guidance_scale=4.0,
            shift=3.0,
            fps=8,
            negative_prompt="",
        ),
        sizes=((64, 64),),
        max_frames=25,
        folder=DEMO_FOLDER,
    ),
    ModelSpec(
        id="wan2.1-t2v-1.3b",
        title="Wan2.1 T2V 1.3B",
        tasks=("t2v",),
        repo="Wan-AI/Wan2.1-T2V-1.3B",
        revision="37ec512624d61f7aa208f7ea8140a131f93afc9a",
        licence="Apache-2.0",
        dit=DiTConfig(dim=1536, ffn_dim=8960, num_heads=12, num_layers=30),
        vae=VAEConfig(),
        text_encoder=UMT5Config(),
        weights={
            Role.TRANSFORMER: WeightFiles(
                ("diffusion_pytorch_model.safetensors",),
                5_676_070_424,
                ("96b6b242ca1c2f24e9d02cd6596066fab6d310e2d7538f33ae267cb18d957e8f",),
            ),
            Role.TEXT_ENCODER: _UMT5,
            Role.VAE: _VAE,
        },
        tokenizer=_TOKENIZER,
        defaults=SamplingDefaults(width=832, height=480, guidance_scale=6.0, shift=8.0),
        sizes=_SIZES_480P,
        max_frames=257,
    ),
    ModelSpec(
        id="wan2.1-t2v-14b",
        title="Wan2.1 T2V 14B",
        tasks=("t2v",),
        repo="Wan-AI/Wan2.1-T2V-14B",
        revision="a064a6c71f5be440641209c07bf2a5ce7a2ff5e4",
        licence="Apache-2.0",
        dit=DiTConfig(dim=5120, ffn_dim=13824, num_heads=40, num_layers=40),
        vae=VAEConfig(),
        text_encoder=UMT5Config(),
        weights={
            Role.TRANSFORMER: WeightFiles(
                ("diffusion_pytorch_model.safetensors.index.json",), 57_154_174_197
            ),
            Role.TEXT_ENCODER: _UMT5,
            Role.VAE: _VAE,
        },
        tokenizer=_TOKENIZER,
        defaults=SamplingDefaults(width=832, height=480),
        sizes=_SIZES_480P + _SIZES_720P,
        max_frames=257,
    ),
)

MODELS: dict[str, ModelSpec] = {row.id: row for row in _ROWS}


def find_model(model_id: str) -> ModelSpec:
    """The row of ``model_id``.

    Raises:
        InvalidRequest: naming the known models.
    """
    if model_id not in MODELS:
        raise InvalidRequest(
            "model", f"{model_id!r} is not a model of this studio", f"Choose one of {', '.join(MODELS)}."
        )
    return MODELS[model_id]


def resolve(request: GenerationRequest) -> GenerationRequest:
    """Fill in the model's defaults and draw the seed; the result decides the video completely."""
    defaults = find_model(request.model).defaults
    filled = {
        name: getattr(defaults, name)
        for name in SamplingDefaults.__dataclass_fields__
        if getattr(request, name) is None
    }
    if request.seed == -1:
        filled["seed"] = secrets.randbelow(MAX_SEED + 1)
    return request.model_copy(update=filled)


def validate(request: GenerationRequest) -> ModelSpec:
    """Check a request against its model; fields left at ``None`` are the model's defaults and pass.

    Raises:
        InvalidRequest: naming the field, its value, and the nearest value that works.
    """
    spec = find_model(request.model)
    if request.task not in spec.tasks:
        raise InvalidRequest(
            "task", f"{spec.title} does not do {request.task!r}", f"It does {', '.join(spec.tasks)}."
        )
    if not request.prompt.strip():
        raise InvalidRequest("prompt", "the prompt is empty", "Describe what should be seen.")
    _validate_frames(request, spec)
    for name in ("width", "height"):
        size = getattr(request, name)
        if size is not None and size % spec.size_multiple:
            low = max(size // spec.size_multiple, 1) * spec.size_multiple
            raise InvalidRequest(
                name,
                f"{size} is not a multiple of {spec.size_multiple}",
                f"Try {low} or {low + spec.size_multiple}.",
            )
    return spec


def _validate_frames(request: GenerationRequest, spec: ModelSpec) -> None:
    frames = request.num_frames
    if frames is None:
        return
    if frames % 4 != 1:
        low = frames // 4 * 4 + 1 if frames % 4 else frames - 3
        raise InvalidRequest(
            "num_frames", f"{frames} is not 4n+1", f"Try {max(low, 1)} or {max(low, 1) + 4}."
        )
    if frames > spec.max_frames:
        raise InvalidRequest(
            "num_frames",
            f"{frames} is longer than {spec.title} can make",
            f"It goes up to {spec.max_frames}.",
        )
