"""What faithful, balanced and creative keep of an enlarged picture (`python -m bench --only creativity`).

Drawings of 128 x 128 px are enlarged to 256 x 256 with the shipped checkpoint, in tiles of 128 px, Euler, 20 steps (8
for the quick style), CFG 4.5. By style, with no ControlNet and with the shipped one on the drawing's own edges: `psnr`,
decibels of the result shrunk to 128 px against the drawing; `detail`, differences of neighbouring pixels / those of the
enlarged drawing; `right` and `twice`, the shares in which the detector finds the object, and more than one of it;
`rows`, what the U-Net evaluates / that of the balanced style without a ControlNet.

`skies`: gradients alone, enlarged likewise with fresh noise, by denoising strength and hold: `std` and `largest`, the
levels of 255 that the means of 32 px squares are off by, means over the gradients.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from tiled_diffusion import Settings
from tiled_diffusion.settings.control import Control
from tiled_diffusion.settings.creativity import STYLES, creativity_from_text, with_creativity
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.host import upscale
from tiled_diffusion.standalone.model import Model, load_model

from .inversion import Drawing, drawings, psnr, sharpness
from .prompts import Rows

SMALL, LARGE = 128, 256
TILING = Settings(tile_width=SMALL, tile_height=SMALL, overlap=32)
SKIES = (
    ("blue sky", (90, 150, 230), (200, 225, 245)),
    ("sunset sky", (240, 150, 120), (250, 220, 170)),
    ("night sky", (20, 25, 60), (60, 70, 120)),
    ("grey sky", (130, 135, 145), (200, 205, 210)),
    ("pink sky", (150, 110, 190), (240, 180, 200)),
    ("blue sky", (60, 120, 200), (160, 200, 240)),
)
"""A prompt, and the colours at the top and at the bottom."""
SKY_STRENGTHS = (0.35, 0.65)
SQUARE = 32
"""Side of the squares of the enlarged gradient whose means are compared, pixels."""


def request_of(drawing: Drawing, style: str, seed: int, hint: Path | None, weight: float) -> Request:
    """What is asked for in a style."""
    controls = () if hint is None else (Control("edges", str(hint), weight, preprocess="canny"),)
    request = Request(drawing.inside.text, "", LARGE, LARGE, steps=20, cfg_scale=4.5, sampler="Euler", seed=seed,
                      controls=controls, tiling=TILING)  # fmt: skip
    return with_creativity(request, creativity_from_text(style))


def measured(model: Model, count: int, weights: tuple[float | None, ...] = (None, 1.0)) -> dict[str, Any]:
    """The figures by style and weight of the ControlNet, None for none; weights are before the style's own factor."""
    from training import detector

    tools, rows = (detector.centroids(), detector.templates()), dict[tuple[str, float | None], list[list[float]]]()
    with TemporaryDirectory() as folder:
        for seed, drawing in zip(range(count), drawings(), strict=False):
            hint, p = Path(folder) / f"{seed}.png", drawing.inside
            drawing.image.save(hint)
            large = drawing.image.resize((LARGE, LARGE), Image.Resampling.LANCZOS)
            for style in STYLES:
                for weight in weights:
                    request = request_of(drawing, style, seed, None if weight is None else hint, weight or 1.0)
                    counter = Rows(model)
                    (out,) = upscale(model, replace(request, batch_size=1), drawing.image, LARGE / SMALL)
                    counter.hook.remove()
                    small = out.resize((SMALL, SMALL), Image.Resampling.LANCZOS)
                    right = detector.detect(small, p.colour, p.sky, *tools)["kind"] == p.kind
                    twice = detector.count_things(small, p.colour, p.sky) > 1
                    detail = sharpness(out) / sharpness(large)
                    figures = [psnr(small, drawing.image), detail, float(right), float(twice), counter.total]
                    rows.setdefault((style, weight), []).append(figures)
    means = {key: np.mean(each, axis=0).tolist() for key, each in rows.items()}
    whole = means["balanced", weights[0]][-1]
    names = ("psnr", "detail", "right", "twice")
    return {
        f"{style}, {'no ControlNet' if weight is None else f'ControlNet {weight:g}'}": {
            **dict(zip(names, each, strict=False)), "rows": each[-1] / whole, "n": count
        }
        for (style, weight), each in means.items()
    }  # fmt: skip


def gradient(top: tuple[int, ...], bottom: tuple[int, ...]) -> Image.Image:
    """A smooth sky."""
    down = np.linspace(0, 1, SMALL)[:, None, None]
    return Image.fromarray((np.array(top) * (1 - down) + np.array(bottom) * down).repeat(SMALL, 1).astype(np.uint8))


def off(picture: Image.Image, wanted: Image.Image) -> np.ndarray:
    """[LARGE / SQUARE, LARGE / SQUARE]: how much brighter the squares of a picture are than wanted, levels of 255."""
    pixels, those = (np.asarray(image, dtype=np.float64).mean(axis=2) for image in (picture, wanted))
    count = LARGE // SQUARE
    return (pixels - those).reshape(count, SQUARE, count, SQUARE).mean(axis=(1, 3))


def skies(model: Model, count: int = len(SKIES)) -> dict[str, Any]:
    """What becomes of the brightness of smooth skies, by strength and hold."""
    out: dict[str, Any] = {}
    for strength in SKY_STRENGTHS:
        for hold in (0.0, 1.0):
            each = []
            for seed, (text, top, bottom) in enumerate(SKIES[:count]):
                small = gradient(top, bottom)
                request = Request(text, "", LARGE, LARGE, steps=20, cfg_scale=4.5, sampler="Euler", seed=seed,
                                  denoising_strength=strength, hold=hold, tiling=TILING)  # fmt: skip
                (large,) = upscale(model, request, small, LARGE / SMALL)
                squares = off(large, small.resize((LARGE, LARGE), Image.Resampling.LANCZOS))
                each.append((squares.std(), np.abs(squares).max()))
            std, largest = np.mean(each, axis=0).tolist()
            out[f"{strength:g}, hold {hold:g}"] = {"std": std, "largest": largest, "n": len(each)}
    return out


def run() -> dict[str, Any]:
    """The figures of this section, with fewer pictures than its own command takes."""
    model = load_model(device="cpu")
    return {**measured(model, 4), "skies": skies(model, 2)}


def main() -> None:
    """Measures with any number of pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=12)
    args = parser.parse_args()
    model = load_model(device="cpu")
    print(json.dumps({**measured(model, args.count), "skies": skies(model)}, indent=2))


if __name__ == "__main__":
    main()
