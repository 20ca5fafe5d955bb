"""Remembers how long the WebUI's jobs took, for the panel's line of costs."""

from __future__ import annotations

import time

import torch

from tiled_diffusion.engine.describe import describe
from tiled_diffusion.ui.last_jobs import FinishedJob, LastJobs
from tiled_diffusion.ui.routes import kind_of

from .hosts import host
from .hosts.port import Job
from .run import Run

LAST_JOBS = LastJobs()
"""Of this process."""


def remember(p: Job, run: Run) -> None:
    """Remembers a job that is done, with the mean time of a picture; none of two passes, and none that was stopped."""
    if run.hold or host.jobs.has_hires(p) or host.jobs.stop_wanted():
        return
    size = (p.width, p.height)
    plan = describe(run.job.tiling, *size, host.sampling.model_size(), cfg_scale=p.cfg_scale)
    peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
    seconds = (time.monotonic() - run.started) / max(1, len(p.all_prompts))
    LAST_JOBS.add(FinishedJob(kind_of(plan, size), p.steps, seconds, peak))
