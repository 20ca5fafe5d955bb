"""What faithful, balanced and creative keep of an enlarged picture (`python -m bench --only creativity`).

Drawings of 128 x 128 px are enlarged to 256 x 256 with the shipped checkpoint, in tiles of 128 px, Euler, 20 steps (8
for the quick style), CFG 4.5. By style, with no ControlNet and with the shipped one on the drawing's own edges: `psnr`,
decibels of the result shrunk to 128 px against the drawing; `detail`, differences of neighbouring pixels / those of the
enlarged drawing; `right` and `twice`, the shares in which the detector finds the object, and more than one of it;
`rows`, what the U-Net evaluates / that of the balanced style without a ControlNet.
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


def run() -> dict[str, Any]:
    """The figures of this section, with fewer pictures than its own command takes."""
    return measured(load_model(device="cpu"), 4)


def main() -> None:
    """Measures with any number of pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=12)
    args = parser.parse_args()
    print(json.dumps(measured(load_model(device="cpu"), args.count), indent=2))


if __name__ == "__main__":
    main()
