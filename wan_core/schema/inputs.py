"""The fields of a request that say what a video is made from besides its prompt.

Media are named, not placed: a name is the digest of a file's content and its kind, as
``wan_core.media.inputs`` gives it when it takes the file in. So a request is plain JSON, means the same
tomorrow, and cannot point at other files.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints

from wan_core.schema.crops import CropBox, Crops, or_none, read_crops
from wan_core.schema.knob import Knob, knob_field

InputName = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}\.[a-z0-9]{2,5}$")]

Fit = Literal["crop", "fit", "stretch"]
StrengthMode = Literal["sigma", "steps"]
Preprocess = Literal["none", "as-is", "grey", "canny", "soft-edge", "depth", "pose", "flow"]
MaskBuilder = Literal["none", "region", "outpaint", "frames", "before", "after"]
CameraMotion = Literal[
    "left", "right", "up", "down", "left-up", "left-down", "right-up", "right-down", "in", "out"
]
CameraPath = Literal[
    "pan-right",
    "pan-left",
    "tilt-up",
    "tilt-down",
    "zoom-in",
    "zoom-out",
    "translate-up",
    "translate-down",
    "arc-left",
    "arc-right",
]
Share = Annotated[float, knob_field(..., Knob("Share", "A part of a side.", low=0.0, high=4.0))]

MEDIA_FIELDS = frozenset(("image", "last_image", "references", "video", "mask", "camera_poses", "continues"))
"""The fields that name files; the others hold numbers and choices."""


class Given(NamedTuple):
    """A kept file, and the part of its picture that is used, in shares of its sides; None is all of it."""

    name: InputName
    part: CropBox | None = None


class MediaInputs(BaseModel):
    """What is given: names of kept pictures and videos, and how they are cut to size and length."""

    model_config = ConfigDict(frozen=True)

    image: InputName | None = knob_field(
        None, Knob("Image", "The first frame; the video sets it in motion.", "media")
    )
    last_image: InputName | None = knob_field(
        None, Knob("Last image", "The last frame; the motion arrives at it.", "media")
    )
    references: tuple[InputName, ...] = knob_field(
        (),
        Knob(
            "References",
            "Pictures of who or what is to appear in the scene that the prompt tells of.",
            "media",
        ),
    )
    video: InputName | None = knob_field(
        None, Knob("Video", "The video to change, to follow or to go on from.", "media")
    )
    mask: InputName | None = knob_field(
        None, Knob("Mask", "A picture or video: white is made anew, black is kept.", "media")
    )
    camera_poses: InputName | None = knob_field(
        None,
        Knob(
            "Camera poses",
            "A text file with one camera pose per line: the view moves along it. It replaces the "
            "camera motion.",
            "media",
        ),
    )
    continues: InputName | None = knob_field(
        None, Knob("Continues", "A video that the new one goes on from and is joined to.", "media")
    )
    video_start: float = knob_field(
        0.0,
        Knob(
            "From",
            "Where in the video to begin, in seconds; what comes before is not seen.",
            "media",
            0.0,
            86_400.0,
            0.1,
        ),
    )
    video_end: float | None = knob_field(
        None,
        Knob(
            "To",
            "Where in the video to end, in seconds; what comes after is not seen. Empty is its end.",
            "media",
            0.0,
            86_400.0,
            0.1,
        ),
    )
    fit: Fit = knob_field(
        "crop",
        Knob(
            "Fit",
            "What of another shape becomes: crop cuts its edges, fit adds borders, stretch distorts.",
            "media",
        ),
    )
    match_input: bool = knob_field(
        True,
        Knob(
            "Match input",
            "Take the shape of the picture or video, so that nothing of it is cut off; the area "
            "stays that of the resolution.",
            "media",
        ),
    )

    crops: Annotated[Crops | None, BeforeValidator(read_crops), AfterValidator(or_none)] = knob_field(
        None,
        Knob(
            "Crop",
            "The part of each picture or video that is used: its left, top, right and bottom edge in shares "
            "of the width and height, such as image=0.1,0,0.9,1. Empty is all of it.",
            "media",
        ),
    )

    def crop_of(self, field: str) -> CropBox | None:
        """The part that is used of the input in ``field``; a mask is cut as the video or picture below it."""
        if field == "mask":
            field = "video" if self.video else "image"
        return getattr(self.crops, field, None)

    def given(self, field: str) -> Given | None:
        """What the field of one file names, and the part of it that is used; None where it names none."""
        name = getattr(self, field)
        return None if name is None else Given(name, self.crop_of(field))

    def named_files(self) -> set[InputName]:
        """The kept files that are named."""
        values = [getattr(self, name) for name in MEDIA_FIELDS - {"references"}]
        return {name for name in (*values, *self.references) if name is not None}


class Steering(BaseModel):
    """How strongly and when what is given steers the video, and helpers that build masks and cameras."""

    model_config = ConfigDict(frozen=True)

    strength: float = knob_field(
        0.7,
        Knob(
            "Strength",
            "How far the picture moves away from the video: low keeps its shapes and motion, high "
            "keeps little; 0 returns it.",
            "steering",
            0.0,
            1.0,
            0.05,
        ),
    )
    strength_mode: StrengthMode = knob_field(
        "sigma",
        Knob(
            "Strength means",
            "sigma runs all steps over a shortened noise range, which is finer; steps leaves out "
            "the first steps, which is faster.",
            "steering",
        ),
    )
    preprocess: Preprocess = knob_field(
        "none",
        Knob(
            "Make control from video",
            "What of the video is followed: canny and soft edge keep outlines, depth the space, "
            "pose people, flow the motion, grey all but the colours; as-is: all of it, even under "
            "a mask. A layout of boxes cannot be drawn here: give it as the video, as-is.",
            "steering",
        ),
    )
    mask_builder: MaskBuilder = knob_field(
        "none",
        Knob(
            "Build mask",
            "What is made anew, by numbers instead of a drawn mask: a box, new picture at the "
            "sides, the frames between, or what comes before or after.",
            "steering",
        ),
    )
    region: tuple[Share, Share, Share, Share] | None = knob_field(
        None,
        Knob(
            "Region",
            "The box that is made anew while the rest stays: left, top, right, bottom, as parts "
            "of the sides.",
            "steering",
        ),
    )
    outpaint: tuple[Share, Share, Share, Share] | None = knob_field(
        None,
        Knob(
            "Outpaint",
            "How much new picture is drawn left, above, right, below, as parts of the sides.",
            "steering",
        ),
    )
    kept_frames: tuple[int, ...] = knob_field(
        (),
        Knob(
            "Kept frames",
            "Frames that stay as they are while the others are made anew, from 0; -1 is the last. "
            "Before and after: how many.",
            "steering",
        ),
    )
    keep_exact: bool = knob_field(
        True,
        Knob(
            "Keep exactly",
            "Put what the mask keeps back pixel by pixel; otherwise the model draws it again.",
            "steering",
        ),
    )
    control_scale: float = knob_field(
        1.0,
        Knob(
            "Control scale",
            "How closely the picture follows the control: low leaves more to the prompt, high "
            "keeps to every line; 0 ignores it.",
            "steering",
            0.0,
            10.0,
            0.05,
        ),
    )
    control_start: float = knob_field(
        0.0,
        Knob(
            "Control from",
            "Part of the steps after which the control begins; later leaves the layout to the prompt.",
            "steering",
            0,
            1,
            0.05,
        ),
    )
    control_end: float = knob_field(
        1.0,
        Knob(
            "Control to",
            "Part of the steps after which the control ends; sooner leaves the details to the prompt.",
            "steering",
            0,
            1,
            0.05,
        ),
    )
    camera_motion: CameraMotion | None = knob_field(
        None, Knob("Camera motion", "Where the camera moves, so that the whole view shifts.", "steering")
    )
    camera_speed: float = knob_field(
        1 / 54,
        Knob(
            "Camera speed",
            "How far the camera moves from frame to frame: low drifts, high sweeps.",
            "steering",
            0.0,
            1.0,
            0.001,
        ),
    )
    camera_rotation: bool = knob_field(
        False,
        Knob(
            "As DiffSynth",
            "Shear the view as DiffSynth-Studio does instead of moving the camera.",
            "steering",
        ),
    )
    camera_path: CameraPath | None = knob_field(
        None,
        Knob(
            "New camera path",
            "How the camera moves around the same scene when it is rendered again.",
            "steering",
        ),
    )
    motion_bucket: int | None = knob_field(
        None,
        Knob(
            "Motion",
            "How much moves in the picture: 0 is nearly still, 100 is lively.",
            "steering",
            0,
            100,
            1,
        ),
    )
    reference_guidance_scale: float | None = knob_field(
        None,
        Knob(
            "Reference guidance",
            "How strictly the references are followed: higher looks more like them and leaves "
            "less to the prompt.",
            "steering",
            1.0,
            20.0,
            0.1,
        ),
    )
