"""Whether pictures whose edges fit show no seam where they are laid side by side.

Sets of three pictures of 128 x 128 with the shipped checkpoint, of which every right edge may meet every left one.
`seam` is measured as in bench/quality.py: the coherent second difference across the line where two pictures meet, on
smooth stretches alone, over all nine pairs of every set / the same over all other borders of latent pixels in these
pictures; 1 means that nothing shows where they meet. `seam_error` is its standard error over the sets, `seam_apart` the
same for the same sets drawn without matching. `unlike` is the mean difference of two pictures of a set, levels of 255:
they are no copies. `rows` is what the U-Net sees for a set / for three pictures that do not match.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tiled_diffusion.settings.match import MatchKind
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.model import Model, load_model
from tiled_diffusion.standalone.sampling import generate

from .quality import AROUND, MOST, SMOOTH, breaks

SETS = 16
SIDE, PICTURES = 128, 3
NUMBERS = range(1, PICTURES + 1)
EVERY = MatchKind().from_text("match", ",".join(f"{a}.right={b}.left" for a, b in product(NUMBERS, NUMBERS)))
BASE = Request("", width=SIDE, height=SIDE, steps=20, cfg_scale=4.5, sampler="DDIM", batch_size=PICTURES)

Pixels = list[np.ndarray]


def drawn(model: Model, request: Request) -> tuple[Pixels, int]:
    """[H, W, 3] in 0..255 each, and rows that the U-Net saw."""
    calls: list[int] = []
    handle = model.unet.register_forward_pre_hook(lambda _, args: calls.append(len(args[0])))
    try:
        return [np.asarray(picture, dtype=np.float64) for picture in generate(model, request)], sum(calls)
    finally:
        handle.remove()


def seam(pictures: Pixels) -> np.ndarray:
    """(second difference, count) where pictures meet, and the same elsewhere, over all pairs."""
    sums = np.zeros(4)
    for pair in product(pictures, pictures):
        across = breaks(np.concatenate(pair, axis=1) / 127.5 - 1, 1)
        for place in range(2, len(across) // 8 - 1):
            at = place * 8 - 1
            smooth = np.stack([across[at + k] for k in AROUND]).max(axis=0) < SMOOTH
            first = 0 if place * 8 == SIDE else 2
            sums[first] += np.minimum(across[at - 1 : at + 1, smooth], MOST).sum()
            sums[first + 1] += smooth.sum()
    return sums


def ratio(sums: list[np.ndarray]) -> float:
    """Of the sums over all sets."""
    met, count, elsewhere, more = np.sum(sums, axis=0)
    return float(met / count / (elsewhere / more))


def standard_error(sums: list[np.ndarray]) -> float:
    """Of the ratio, by drawing as many sets with replacement 200 times."""
    rng = np.random.default_rng(0)
    return float(np.std([ratio([sums[i] for i in rng.integers(0, len(sums), len(sums))]) for _ in range(200)]))


def run(count: int = SETS, folder: Path | None = None) -> dict[str, Any]:
    """The section `match` of the report; the pictures are kept in a folder, where one is named."""
    from training.detector import prompt_list

    model = load_model(device="cpu")
    matched, apart, unlike, rows = [], [], [], np.zeros(2)
    for i, prompt in enumerate(prompt_list(count, 8)):
        request = replace(BASE, prompt=prompt.text, seed=500 + 10 * i)
        together, cost = drawn(model, replace(request, match=EVERY))
        alone, plain = drawn(model, request)
        matched.append(seam(together))
        apart.append(seam(alone))
        unlike += [np.abs(a - b).mean() for a, b in combinations(together, 2)]
        rows += (cost, plain)
        for k, picture in enumerate(together if folder is not None else [], start=1):
            assert folder is not None
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture.astype(np.uint8)).save(folder / f"{i:02}-{k}.png")
    return {
        "seam": ratio(matched),
        "seam_error": standard_error(matched),
        "seam_apart": ratio(apart),
        "unlike": float(np.mean(unlike)),
        "rows": float(rows[0] / rows[1]),
        "n": count,
    }
