"""What noise inversion keeps of a picture, and whether it does so better than less denoising would.

Drawings of 128 x 128 are enlarged to 192 x 192 by Lanczos and drawn anew in tiles of 128 px with the shipped
checkpoint, in 20 steps; for the curve in one piece and 10 steps. `rmse_1`, `rmse_2`: of latents to the start's after
inversion in 1 and 2 rounds and sampling by Euler, without guidance (CFG 1) and without fresh noise; the worst of the
strengths 0.4, 0.6 and 0.8, mean over the drawings. `rmse_fresh`: at 0.4 with fresh noise. `v_wrapped`: the largest
difference of two pictures, one by the checkpoint and one by the same numbers said as v, levels of 255; `plain`: of
freedom 1 and of no rounds to plain img2img.

`curve`: at CFG 4.5, by how the start was made (`clean`, or the drawing shrunk to 48 px, saved as a JPEG of quality 10,
or with noise of 20 levels on it), sampler, noise (fresh, or inverted with freedom 0.2) and denoising strength:
`psnr`, decibels of the result shrunk to 128 px against the drawing; `detail`, differences of neighbouring pixels /
those of the enlarged drawing; `right` and `twice`, the shares in which the detector of training/detector.py finds the
object, and more than one of it.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from tiled_diffusion import Settings
from tiled_diffusion.settings.inversion import Inversion
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.images import fitted
from tiled_diffusion.standalone.model import Model, load_model
from tiled_diffusion.standalone.samplers import make_scheduler
from tiled_diffusion.standalone.sampling import generate, sample_latents
from tiled_diffusion.standalone.vae import encode

COUNT, CURVE_COUNT = 24, 4
SMALL, LARGE = 128, 192
STRENGTHS = (0.1, 0.2, 0.4, 0.6, 0.8)
TILING = Settings(tile_width=SMALL, tile_height=SMALL, overlap=64)
NOISES = {"fresh": None, "inverted": Inversion()}
CURVES = (("clean", "Euler"), ("blurred", "Euler"), ("jpeg", "Euler"), ("noisy", "Euler"),
          ("clean", "DPM++ 2M"), ("clean", "DDIM"), ("clean", "UniPC"))  # fmt: skip


class Drawing(NamedTuple):
    """A drawing, and what is in it."""

    image: Image.Image
    inside: Any
    request: Request


def drawings() -> Iterator[Drawing]:
    """Of one object each, that the checkpoint has not seen."""
    from training import detector
    from training.dataset import render

    for i, p in enumerate(detector.prompt_list(200, 23)):
        image = render(detector.scene_of(93_000_000 + i, p.sky, p.ground, [(p.kind, p.colour)]))
        yield Drawing(image, p, Request(p.text, width=LARGE, height=LARGE, steps=20, seed=i, tiling=TILING))


def enlarged(image: Image.Image) -> Image.Image:
    """As large as the canvas."""
    return image.resize((LARGE, LARGE), Image.Resampling.LANCZOS)


def jpeg(image: Image.Image) -> Image.Image:
    """With the blocks of a JPEG."""
    data = io.BytesIO()
    image.save(data, format="JPEG", quality=10)
    return Image.open(data).convert("RGB")


def noisy(image: Image.Image) -> Image.Image:
    """With noise in each pixel."""
    pixels = np.asarray(image) + np.random.default_rng(0).normal(0, 20, (*image.size[::-1], 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


STARTS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "clean": enlarged,
    "blurred": lambda image: enlarged(image.resize((48, 48), Image.Resampling.LANCZOS)),
    "jpeg": lambda image: enlarged(jpeg(image)),
    "noisy": lambda image: enlarged(noisy(image)),
}


def psnr(image: Image.Image, reference: Image.Image) -> float:
    """Of pictures of one size, decibels."""
    a, b = (np.asarray(i, dtype=np.float64) for i in (image, reference))
    return float(10 * np.log10(255**2 / max(1e-9, ((a - b) ** 2).mean())))


def sharpness(image: Image.Image) -> float:
    """Mean difference of a pixel to the four around it."""
    pixels = np.asarray(image, dtype=np.float64)
    soft = np.asarray(image.filter(ImageFilter.BoxBlur(1)), dtype=np.float64)
    return float(np.abs(pixels - soft).mean())


def measured(
    model: Model, drawing: Drawing, tools: tuple[Any, Any], start: str, sampler: str
) -> Iterator[dict[str, Any]]:
    """A row for each noise and strength."""
    from training import detector

    begin, p = STARTS[start](drawing.image), drawing.inside
    for name, inversion in NOISES.items():
        for strength in STRENGTHS:
            request = replace(drawing.request, steps=10, cfg_scale=4.5, sampler=sampler, tiling=Settings())
            request = replace(request, denoising_strength=strength)
            (out,) = generate(model, replace(request, inversion=inversion), init_image=begin)
            small = out.resize((SMALL, SMALL), Image.Resampling.LANCZOS)
            yield {
                "start": start,
                "sampler": sampler,
                "noise": name,
                "strength": strength,
                "psnr": psnr(small, drawing.image),
                "detail": sharpness(out) / sharpness(enlarged(drawing.image)),
                "right": detector.detect(small, p.colour, p.sky, *tools)["kind"] == p.kind,
                "twice": detector.count_things(small, p.colour, p.sky) > 1,
            }


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over the drawings by start, sampler, noise and strength."""
    out: dict[str, Any] = {}
    for start, sampler in dict.fromkeys((r["start"], r["sampler"]) for r in rows):
        curves: dict[str, Any] = {}
        for noise in NOISES:
            own = [r for r in rows if (r["start"], r["sampler"], r["noise"]) == (start, sampler, noise)]
            strengths = dict.fromkeys(r["strength"] for r in own)
            curves[noise] = {f"{s:g}": means([r for r in own if r["strength"] == s]) for s in strengths}
        out[f"{start}, {sampler}"] = curves
    return out


def means(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Of each figure, and how many there were."""
    return {**{k: float(np.mean([r[k] for r in rows])) for k in ("psnr", "detail", "right", "twice")}, "n": len(rows)}


def curve(model: Model, count: int, log: Path | None = None) -> list[dict[str, Any]]:
    """Rows of so many drawings, drawing by drawing; each is written to a file as well."""
    from training import detector

    tools, rows = (detector.centroids(), detector.templates()), []
    for _, drawing in zip(range(count), drawings(), strict=False):
        for start, sampler in CURVES:
            for row in measured(model, drawing, tools, start, sampler):
                rows.append(row)
                if log is not None:
                    with log.open("a", encoding="utf-8") as f:
                        f.write(json.dumps(row) + "\n")
    return rows


def round_trips(model: Model, count: int) -> dict[str, float]:
    """What comes back without guidance."""

    def rmse(drawing: Drawing, strength: float, inversion: Inversion | None) -> float:
        begin = enlarged(drawing.image)
        request = replace(drawing.request, cfg_scale=1.0, sampler="Euler", denoising_strength=strength)
        clean = encode(model, fitted(begin, request), TILING)
        out = sample_latents(model, replace(request, inversion=inversion), init_image=begin)
        return float((out - clean).square().mean().sqrt())

    every = [drawing for _, drawing in zip(range(count), drawings(), strict=False)]
    figures = {}
    for rounds in (1, 2):
        own = Inversion(rounds=rounds, freedom=0.0)
        figures[f"rmse_{rounds}"] = max(
            float(np.mean([rmse(d, strength, own) for d in every])) for strength in (0.4, 0.6, 0.8)
        )
    return {**figures, "rmse_fresh": float(np.mean([rmse(d, 0.4, None) for d in every]))}


class SaysV(torch.nn.Module):
    """A U-Net of eps that says v."""

    def __init__(self, unet: Any, alphas_cumprod: Tensor) -> None:
        super().__init__()
        self.unet, self.alphas, self.config = unet, alphas_cumprod, unet.config

    def forward(self, x: Tensor, t: Tensor, **inputs: Any) -> tuple[Tensor]:
        """V of the same numbers."""
        eps = self.unet(x, t, **inputs)[0]
        alpha, sigma = self.alphas[t.long()].sqrt(), (1 - self.alphas[t.long()]).sqrt()
        return (alpha * eps - sigma * (x - sigma * eps) / alpha,)


def exact(model: Model, count: int) -> dict[str, float]:
    """Differences that should be none."""
    config = {**model.scheduler_config, "timestep_spacing": "leading"}  # at whole times, which SaysV needs
    said = replace(
        model,
        unet=SaysV(model.unet, make_scheduler("DDIM", config).alphas_cumprod),
        scheduler_config={**config, "prediction_type": "v_prediction"},
        traits=replace(model.traits, prediction="v"),
    )
    eps = replace(model, scheduler_config=config)
    worst = {"v_wrapped": 0.0, "plain": 0.0}
    for _, drawing in zip(range(count), drawings(), strict=False):
        request = replace(drawing.request, cfg_scale=4.5, sampler="Euler", denoising_strength=0.6)
        begin = enlarged(drawing.image)

        def drawn(which: Model, kept: Inversion | None, request: Request = request, begin: Image.Image = begin) -> Any:
            return np.asarray(generate(which, replace(request, inversion=kept), init_image=begin)[0]).astype(int)

        kept = Inversion()
        worst["v_wrapped"] = max(worst["v_wrapped"], float(np.abs(drawn(eps, kept) - drawn(said, kept)).max()))
        plain = drawn(model, None)
        for off in (Inversion(freedom=1.0), Inversion(rounds=0)):
            worst["plain"] = max(worst["plain"], float(np.abs(drawn(model, off) - plain).max()))
    return worst


def run() -> dict[str, Any]:
    """The section `inversion` of the report."""
    model = load_model(device="cpu")
    return {**round_trips(model, COUNT), **exact(model, 4), "curve": summary(curve(model, CURVE_COUNT))}


def main() -> None:
    """The curve alone, of more drawings: `python -m bench.inversion --count 48 --log rows.jsonl`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--count", type=int, default=48, help="drawings")
    parser.add_argument("--log", type=Path, required=True, help="file that rows are written to")
    args = parser.parse_args()
    print(json.dumps(summary(curve(load_model(device="cpu"), args.count, args.log)), indent=2))


if __name__ == "__main__":
    main()
