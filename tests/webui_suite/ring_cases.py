"""Rings in the WebUI: the edge is a place like any other, with Tiled VAE's panel and without."""

from __future__ import annotations

import json

import numpy as np

from .client import Result, Webui, encoded, written
from .registry import case
from .tiling_cases import TILES, field

STEPS = 6
WIDE, HIGH = ({"width": w, "height": h, "steps": STEPS} for w, h in ((160, 128), (128, 160)))
PICTURES = 24
"""Judged together: the mean of so many ranks, each evenly spread over 0..1, lies within 0.4..0.6 in 9 of 10 cases; these are
always the same pictures."""
AXES = {"wrap_x": (1, WIDE), "wrap_y": (0, HIGH)}
EXACT = {"mode": "exact"}


def rank(picture: np.ndarray, axis: int) -> float:
    """Where the difference across the edge stands among those of all neighbouring lines: 0 smallest, 1 largest."""
    lines = np.moveaxis(picture.astype(float), axis, 0)
    inside = np.abs(np.diff(lines, axis=0)).mean(axis=(1, 2))
    edge = np.abs(lines[0] - lines[-1]).mean()
    return float((inside < edge).mean() + (inside == edge).mean() / 2)


def judged(name: str, pictures: list[np.ndarray], axis: int) -> str:
    """Refuses an edge that can be told from other places."""
    assert len(pictures) >= 12, len(pictures)
    mean = float(np.mean([rank(p, axis) for p in pictures]))
    assert 0.4 <= mean <= 0.6, f"{name}: mean rank {mean:.2f} of {len(pictures)} pictures"
    return f"{name} {mean:.2f}"


def own(result: Result) -> list[np.ndarray]:
    """The pictures of a job without the grid of all of them."""
    return [p for p in result.pictures if p.shape == result.pictures[-1].shape]


def drawn(w: Webui, pictures: int = PICTURES, **job) -> list[np.ndarray]:
    """So many pictures of txt2img jobs, twelve to a batch."""
    return [p for k in range(0, pictures, 12) for p in own(w.txt2img(**{**WIDE, **job}, seed=1000 + k, batch_size=12))]


@case("rings: the measure sees a seam")
def _(w: Webui):
    found = {
        axis: float(np.mean([rank(p, axis) for p in drawn(w, tiled=TILES, **size)])) for axis, size in AXES.values()
    }
    assert min(found.values()) > 0.9, found
    return f"without a ring: top and bottom {found[0]:.2f}, left and right {found[1]:.2f}"


@case("rings close, both axes, with the other panel and without")
def _(w: Webui):
    said = []
    for wrap, (axis, size) in AXES.items():
        for name, vae in (("alone", None), ("with the VAE's panel", EXACT)):
            said.append(judged(f"{wrap} {name}", drawn(w, tiled={**TILES, wrap: True}, vae=vae, **size), axis))
    return ", ".join(said)


@case("rings close in hires fix")
def _(w: Webui):
    hires = {"enable_hr": True, "hr_scale": 1.25, "denoising_strength": 0.7, "width": 128, "pictures": 2 * PICTURES}
    return ", ".join(
        judged(f"{upscaler}{' with the VAE' if vae else ''}", drawn(w, tiled={**TILES, "wrap_x": True}, vae=vae, hr_upscaler=upscaler, **hires), 1)
        for upscaler, vae in (("Latent", None), ("Lanczos", None), ("Latent", EXACT))
    )


@case("rings close in img2img")
def _(w: Webui):
    ring, said = {**TILES, "wrap_x": True}, []
    for name, vae in (("alone", None), ("with the VAE's panel", EXACT)):
        pictures = []
        for k, source in enumerate(drawn(w, tiled=ring)[:: PICTURES // 12]):
            job = {**WIDE, "seed": 2000 + 4 * k, "denoising_strength": 0.6, "batch_size": 4, "tiled": ring, "vae": vae}
            pictures += own(w.img2img(init_images=[encoded(source)], **job))
        said.append(judged(name, pictures, 1))
    return ", ".join(said)


@case("rings close where the grid moves, picture by picture")
def _(w: Webui):
    ring = {**TILES, "wrap_x": True, "method": "jittered"}
    return ", ".join(
        judged(name, drawn(w, tiled=ring, vae=vae), 1) for name, vae in (("alone", None), ("with the VAE's panel", EXACT))
    )


@case("rings are in the record, and the record draws them again")
def _(w: Webui):
    ring = {**TILES, "wrap_x": True}
    first = w.txt2img(tiled=ring, **WIDE)
    records = [json.loads(json.loads(field(first.infotexts[0], name))) for name in ("Tiled Diffusion", "Tiled VAE")]
    assert records == [written(ring), {"version": 2, "wrap_x": True}], records
    assert first.difference(w.txt2img(tiled=records[0], vae=records[1], **WIDE)) == 0
    assert first.difference(w.txt2img(tiled=ring, **WIDE)) == 0
    assert "Tiled VAE" not in w.txt2img(tiled=TILES, **WIDE).infotexts[0]
