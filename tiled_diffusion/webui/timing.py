"""Remembers how long the WebUI's jobs took, for the panel's line of costs."""

from __future__ import annotations

import time

import torch

from tiled_diffusion.engine.describe import describe
from tiled_diffusion.ui.last_jobs import FinishedJob, LastJobs
from tiled_diffusion.ui.routes import HIRES, kind_of, panel_ways

from .hosts import host
from .hosts.port import Job
from .run import Run

LAST_JOBS = LastJobs()
"""Of this process."""


def begin() -> None:
    """A job begins: the most memory that it holds is its own, and none of a job before."""
    card = _card()
    if card is not None:
        torch.cuda.reset_peak_memory_stats(card)


def remember(p: Job, run: Run, *, img2img: bool) -> None:
    """Remembers a job that is done, with the mean time of a picture; none that was stopped or resumed.

    Args:
        p: the job.
        run: what it kept.
        img2img: whether it began with a picture.
    """
    if run.hold or run.resumed or host.jobs.stop_wanted():
        return
    way = "img2img" if img2img else HIRES if host.jobs.has_hires(p) else ""
    size, card = host.jobs.final_size(p), _card()
    plan = describe(run.job.tiling, *size, host.sampling.model_size(), cfg_scale=p.cfg_scale)
    peak = None if card is None else torch.cuda.max_memory_allocated(card)
    seconds = (time.monotonic() - run.started) / max(1, len(p.all_prompts))
    LAST_JOBS.add(FinishedJob(kind_of(plan, size, panel_ways(run.job, way)), p.steps, seconds, peak))


def _card() -> torch.device | None:
    """The graphics card that draws, if one does."""
    device = host.vae.device()
    return device if device.type == "cuda" else None
