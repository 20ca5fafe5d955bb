"""Calls of a sampler at another size than the picture's: in tiles and with regions, as the picture's own.

In reForge "Euler Dy" also takes a step on every second pixel of the latent, "Euler SMEA Dy" one on an enlarged latent,
and "DPM++ 2S Ancestral CFG++ Intern" goes half of its way on one of half the size. Regions lie at the same shares of
each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guides.bootstrap import BootstrapPull

from .denoiser import Tiling
from .hosts.port import Job
from .run import TITLE


def at_size(p: Job, tiling: Tiling, canvas: Extent) -> Tiling | None:
    """The present step of a sampling, for a call on a canvas of another size; None: the host draws that whole.

    What belongs to the picture's own size is left out there, and that is said.

    Raises:
        TiledError: the settings do not fit that canvas.
    """
    step = tiling.step
    assert step is not None
    if tiling.controls is not None:
        p.comment(f"{TITLE}: this sampler also draws at other sizes, for ControlNet without tiles and regions")
        return None
    left_out = ", ".join(_left_out(tiling))
    if left_out:
        p.comment(f"{TITLE}: this sampler also draws at other sizes, there without {left_out}")
    planner = replace(tiling.planner, canvas=canvas)
    own = replace(step, plan=planner.plan(step.number, step.progress), drawn={})
    return replace(tiling, planner=planner, step=own, pulls=(), prompts=None, terms=(), sketches=None)


def _left_out(tiling: Tiling) -> Iterator[str]:
    sketched = [pull for pull in tiling.pulls if isinstance(pull, BootstrapPull)]
    if sketched or tiling.sketches is not None:
        yield "bootstrapping"
    if len(sketched) < len(tiling.pulls):
        yield "kept pictures"
    if tiling.prompts is not None:
        yield "prompts of tiles"
    if tiling.terms:
        yield "dilated views and the skip residual"
