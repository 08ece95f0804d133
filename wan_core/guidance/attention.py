"""Methods that change how tokens attend: NAG, Enhance-A-Video and RIFLEx."""

from __future__ import annotations

from typing import Any

from wan_core.acceleration.step_cache import Branch
from wan_core.guidance.method import Method, Moment
from wan_core.models.dit.adjusting import Nag
from wan_core.schema.guidance import within


class NagAttention(Method):
    """The passes that read the prompt are led away from the negative one, in attention."""

    def adjust(self, moment: Moment, branch: Branch) -> dict[str, Any]:
        options = moment.options
        if not options.reads_negative or moment.negative is None or branch not in ("prompt", "weak"):
            return {}
        return {"nag": Nag(moment.negative, options.nag_scale, options.nag_tau, options.nag_alpha)}


class EnhanceVideo(Method):
    """All passes, in a part of the steps."""

    def adjust(self, moment: Moment, branch: Branch) -> dict[str, Any]:
        options = moment.options
        part = (options.enhance_start, options.enhance_end)
        return {"enhance": options.enhance_video} if within(part, moment.step, moment.total) else {}


class Riflex(Method):
    """All passes, in all steps."""

    def adjust(self, moment: Moment, branch: Branch) -> dict[str, Any]:
        return {"riflex": moment.options.riflex}
