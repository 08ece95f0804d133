"""What to tell of a request's guidance where something that it asks for could do nothing."""

from __future__ import annotations

from wan_core.catalog import ModelSpec
from wan_core.models.vae.config import latent_frames
from wan_core.ops.rope import longest_unslowed
from wan_core.schema import GenerationRequest


def guidance_notes(request: GenerationRequest, spec: ModelSpec) -> tuple[str, ...]:
    """Sentences on a settled request, with what would help."""
    notes: list[str] = []
    if not request.guides(request.guidance_scale):
        notes += [
            f"{title} changed nothing, as there is no negative pass at guidance scale 1."
            for title, is_asked in _of_negative_pass(request).items()
            if is_asked
        ]
    seen = latent_frames(request.num_frames)
    if request.windows is not None:
        seen = min(seen, request.windows.latent_size)
    if request.riflex:
        longest = longest_unslowed(request.riflex, spec.dit.head_dim)
        if seen <= longest:
            notes.append(f"RIFLEx changed nothing: it is for clips longer than {4 * longest - 3} frames.")
    if request.enhance_video and seen == 1:
        notes.append("Enhance-A-Video changed nothing: a single frame has no others to attend to.")
    return tuple(notes)


def _of_negative_pass(request: GenerationRequest) -> dict[str, bool]:
    return {
        "CFG-Zero*": request.cfg_zero,
        "Skipping layers": bool(request.skip_blocks) and request.skip_mode == "negative",
        "FreSca": (request.fresca_low, request.fresca_high) != (1, 1),
    }
