"""What loading takes that differs between the parts of a model: one row for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from wan_core.catalog import ModelSpec, Role
from wan_core.manager import loading
from wan_core.manager.recognise import Shapes
from wan_core.models.clip.checkpoint import select_used
from wan_core.models.dit.config import MotionConfig
from wan_core.models.dit.model import WanDiT
from wan_core.models.dit.motion import MotionController


@dataclass(frozen=True)
class PartKind:
    """One kind of part.

    Attributes:
        load: one of ``loading``'s.
        sizes: the sizes that a model's part must have, of the class that ``load`` takes.
        keeps_fp32: which tensors stay in float32 whatever the precision, by their names.
        used: which tensors of the files are loaded.
    """

    load: Callable[..., nn.Module]
    sizes: Callable[[ModelSpec], object]
    keeps_fp32: Callable[[str], bool] = lambda name: False
    used: Callable[[Shapes], Shapes] = dict


PART_KINDS: dict[Role, PartKind] = {
    Role.TRANSFORMER: PartKind(
        loading.load_transformer, lambda spec: spec.dit, keeps_fp32=WanDiT.keep_in_fp32
    ),
    Role.TEXT_ENCODER: PartKind(loading.load_text_encoder, lambda spec: spec.text_encoder),
    Role.VAE: PartKind(loading.load_vae, lambda spec: spec.vae),
    Role.IMAGE_ENCODER: PartKind(
        loading.load_image_encoder, lambda spec: spec.image_encoder, used=select_used
    ),
    Role.MOTION_CONTROLLER: PartKind(
        loading.load_motion_controller,
        lambda spec: MotionConfig(spec.dit.dim),
        keeps_fp32=MotionController.keep_in_fp32,
    ),
}
