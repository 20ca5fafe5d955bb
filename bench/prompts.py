"""Whether prompts of tiles by content draw fewer things twice, and what they cost (`python -m bench.prompts`).

Rendered drawings of 128 x 128 px, with an object of one colour once and twice in turn, are enlarged with the shipped
checkpoint in tiles of 128 px, once with the same prompt everywhere and once by content. `duplicates`: things of the
object's colour beyond those that were there, in all pictures; `duplicates_ratio`: by content / the same. `kept`: share
of the objects that were there of which at least a third of the place has their colour still; `kept_ratio` likewise.
`rows_ratio`: U-Net rows by content / with the same prompt, the looking included.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Settings
from tiled_diffusion.standalone.host import upscale
from tiled_diffusion.standalone.model import Model, load_model

SIDE = 128
LEAST_BLOB = 70
"""Pixels of a blob that counts as a thing, as in the detector."""
GROWN = 4
"""An object may have moved by so many pixels of the drawing."""
WAYS = ("same", "content")


class Rows:
    """Counts the rows that a model's U-Net evaluates, as an area of its native picture."""

    def __init__(self, model: Model) -> None:
        self.total = 0.0
        self.hook = model.unet.register_forward_pre_hook(self._count)

    def _count(self, unet: Any, args: tuple[Any, ...]) -> None:  # noqa: ARG002
        rows, _, h, w = args[0].shape
        self.total += rows * h * w


def grown(mask: np.ndarray, by: int) -> np.ndarray:
    """The mask and what lies within `by` pixels of it."""
    out = mask.copy()
    for _ in range(by):
        padded = np.pad(out, 1)
        out = padded[1:-1, 1:-1] | padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    return out


def judged(detector: Any, before: Image.Image, after: Image.Image, prompt: Any) -> tuple[int, list[bool]]:
    """Things too many in a picture that was enlarged, and of each thing that was there whether it still is."""
    small = after.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    count = [detector.count_things(picture, prompt.colour, prompt.sky) for picture in (before, small)]
    labels = detector.components(detector.coloured(before, prompt.colour, prompt.sky))
    things = [labels == k for k in np.unique(labels[labels > 0])]
    now = detector.coloured(small, prompt.colour, prompt.sky)
    kept = [bool((grown(t, GROWN) & now).sum() >= t.sum() / 3) for t in things if t.sum() >= LEAST_BLOB]
    return max(0, count[1] - count[0]), kept


def measured(model: Model, scale: int, strength: float, count: int, sheet: Path | None = None) -> dict[str, Any]:
    """The figures of one way of enlarging."""
    from training import detector
    from training.evaluate import rendered

    prompts = list(detector.prompt_list(count, 11))
    once, twice_there = rendered(prompts, 1), rendered(prompts, 2)
    drawings = [(twice_there if number % 2 else once)[number] for number in range(count)]
    twice, kept, rows, pictures = ({name: [] for name in WAYS} for _ in range(4))
    for number, (prompt, drawing) in enumerate(zip(prompts, drawings, strict=True)):
        for name in WAYS:
            tiling = Settings(tile_width=SIDE, tile_height=SIDE, overlap=32, tile_prompts=name)
            request = Request(prompt.text, "", steps=20, cfg_scale=5.0, sampler="DDIM", seed=100 + number,
                              denoising_strength=strength, tiling=tiling)  # fmt: skip
            counter = Rows(model)
            picture = upscale(model, request, drawing, scale)[0]
            counter.hook.remove()
            more, still = judged(detector, drawing, picture, prompt)
            twice[name].append(more)
            kept[name] += still
            rows[name].append(counter.total)
            pictures[name].append(picture.resize((2 * SIDE, 2 * SIDE), Image.Resampling.LANCZOS))
    if sheet is not None:
        _sheet(drawings, pictures).save(sheet)
    total = {name: int(sum(each)) for name, each in twice.items()}
    share = {name: float(np.mean(each)) for name, each in kept.items()}
    return {
        "duplicates": total,
        "duplicates_ratio": total["content"] / max(1, total["same"]),
        "kept": share,
        "kept_ratio": share["content"] / share["same"],
        "rows_ratio": float(np.sum(rows["content"]) / np.sum(rows["same"])),
        "n": count,
    }


def _sheet(drawings: list[Image.Image], pictures: dict[str, list[Image.Image]]) -> Image.Image:
    """A row a drawing: itself, and what became of it in each way."""
    side = 2 * SIDE
    sheet = Image.new("RGB", (side * (1 + len(pictures)), side * len(drawings)))
    for y, drawing in enumerate(drawings):
        for x, picture in enumerate([drawing.resize((side, side)), *(each[y] for each in pictures.values())]):
            sheet.paste(picture, (x * side, y * side))
    return sheet


def run() -> dict[str, Any]:
    """The figures of this section, with fewer pictures than its own command takes."""
    model = load_model(device="cpu")
    return {"2x": {str(strength): measured(model, 2, strength, 12) for strength in (0.5, 0.7)}}


def main() -> None:
    """Measures with any number of pictures, and shows them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=48)
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument("--strength", type=float, default=0.7)
    parser.add_argument("--sheet", type=Path)
    args = parser.parse_args()
    print(json.dumps(measured(load_model(device="cpu"), args.scale, args.strength, args.count, args.sheet), indent=2))


if __name__ == "__main__":
    main()
