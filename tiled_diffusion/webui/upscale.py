"""The picture's size: a larger one than the sliders allow, and img2img's enlarged input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tiled_diffusion.errors import SettingsError
from tiled_diffusion.recipes.printing import enlargement, print_notes
from tiled_diffusion.recipes.upscale import SCALE, dpi_of
from tiled_diffusion.settings.panel import NO_UPSCALER, PanelSettings

from .dpi import write_dpi
from .hosts import host
from .hosts.port import Job

UNIT_PX = 8
CHANGED = "_tiled_diffusion_changed"
"""Where a job keeps, by name, (what its attribute was, what we made of it)."""
DPI = "_tiled_diffusion_dpi"
"""Where a job keeps the DPI, across and down, that its files are to have."""


def set_size(p: Job, job: PanelSettings) -> None:
    """txt2img: the panel's size in place of the sliders'."""
    _change(p, width=job.width or p.width, height=job.height or p.height)


def enlarge_input(p: Job, job: PanelSettings) -> None:
    """img2img: the input pictures enlarged, and the canvas with them.

    With a mask of "only masked" the canvas stays what it is: it is the masked part that is drawn at that size.

    Raises:
        SettingsError: there is no such upscaler.
    """
    known = [NO_UPSCALER, *host.jobs.upscalers()]
    if job.upscaler not in known:
        raise SettingsError(f"upscaler: got {job.upscaler!r}, allowed is one of {', '.join(dict.fromkeys(known))}")
    if not p.init_images or host.jobs.draws_masked_part(p):
        return
    first = p.init_images[0]
    base = first.size if job.keep_size else (p.width, p.height)
    factor = _factor(p, job, base)
    if job.keep_size or factor != 1.0:
        width, height = (rounded(side * factor) for side in base)
        _change(p, width=width, height=height)
    if factor != 1.0:
        _change(p, init_images=[_enlarged(image, job.upscaler, factor) for image in p.init_images])
        host.jobs.note(p, "Tiled upscaler", job.upscaler)
        host.jobs.note(p, "Tiled upscale", f"{factor:g}")
    dpi = (job.print_dpi, job.print_dpi) if job.print_size else dpi_of(first).get("dpi")
    if dpi is not None and p.__dict__.get(CHANGED):
        p.__dict__[DPI] = dpi


def _factor(p: Any, job: PanelSettings, size: tuple[int, int]) -> float:
    """How many times as wide and high a picture of this size becomes.

    Raises:
        SettingsError: a print would take more than the largest scale factor that there is.
    """
    sheet = job.print_of(size)
    if sheet is None:
        return 1.0 if job.upscaler == NO_UPSCALER else job.upscale_factor
    factor = enlargement(size, sheet)
    if factor > SCALE.high:
        raise SettingsError(
            f"print_size: {sheet.to_text()} is {factor:.1f} times the picture of {size[0]}x{size[1]}; allowed is up to "
            f"{SCALE.high:g} times: take fewer DPI, or a larger picture"
        )
    for line in print_notes(size, sheet):
        p.comment(f"Tiled Diffusion: {line}")
    return max(1.0, factor)


def restore(p: Job) -> None:
    """Before a job is run again: what we changed is as it was, unless somebody has changed it since.

    Folders of pictures and loops run one and the same job for every picture.
    """
    p.__dict__.pop(DPI, None)
    for name, (before, ours) in p.__dict__.pop(CHANGED, {}).items():
        if getattr(p, name) is ours or (name != "init_images" and getattr(p, name) == ours):
            setattr(p, name, before)


def keep_dpi(p: Any, file: Path) -> None:
    """Called with each file of a job: it has the DPI of the picture that was enlarged, or of the print."""
    dpi = getattr(p, "__dict__", {}).get(DPI)
    if dpi is not None:
        write_dpi(file, *dpi)


def _change(p: Job, **values: Any) -> None:
    changed = dict(p.__dict__.get(CHANGED, {}))
    for name, value in values.items():
        changed[name] = (getattr(p, name), value)
        setattr(p, name, value)
    p.__dict__[CHANGED] = changed


def _enlarged(image: Any, upscaler: str, factor: float) -> Any:
    return host.jobs.enlarged(image, upscaler, round(image.width * factor), round(image.height * factor))


def rounded(side: float) -> int:
    """To the nearest multiple of 8, at least 8."""
    return max(UNIT_PX, round(side / UNIT_PX) * UNIT_PX)
