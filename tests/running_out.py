"""How engines that are pretended run out of memory."""

from __future__ import annotations

from wan_core.jobs.job import Job
from wan_core.schema import OutOfMemory, Settings


def while_denoising(job: Job) -> None:
    """Fails, unless the job has a profile of its own."""
    if job.profile is None:
        raise OutOfMemory("The device ran out of memory while denoising.", "blocks")


def while_decoding(settings: Settings, job: Job) -> None:
    """Fails once, with the latents kept."""
    latents = settings.latents_dir / f"{job.id}.safetensors"
    if not latents.exists():
        latents.parent.mkdir(exist_ok=True)
        latents.write_bytes(b"latents")
        raise OutOfMemory("Memory ran out while decoding; the latents are kept.")
