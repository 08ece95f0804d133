"""About guidance, in English."""

from ui.strings.guidance import GuidanceTexts

GUIDANCE_TEXTS = GuidanceTexts(
    fold="Guidance and noise levels",
    sections={
        "course": "Course of guidance",
        "cfg_zero": "CFG-Zero*: steady at high guidance",
        "nag": "NAG: the negative prompt in attention",
        "skipping": "Skipped layers: firmer shapes",
        "enhancing": "Enhance-A-Video: steadier frames",
        "fresca": "FreSca: coarse and fine guidance",
        "riflex": "RIFLEx: long clips",
        "steps": "Noise levels and steps",
    },
    changed="{count} set",
    reset="Back to none of this",
)
