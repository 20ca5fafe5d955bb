"""What the ControlNet learns on: latents, edges and captions of wide scenes and of small ones.

Wide ones come as cut-outs, because tiles see cut-outs.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from training.dataset import pixels_and_captions
from training.models import load_vae, moments, sampled, to_float
from training.processes import launch
from training.state import WORK, log, save_state
from training.tokenizer import encode_texts

SHARD = 250  # pictures per file


class Kind(NamedTuple):
    """Pictures of one size."""

    name: str
    width: int
    height: int
    first_seed: int


WIDE = Kind("wide", 512, 256, 60_000_000)
SMALL = Kind("small", 128, 128, 70_000_000)
# latent height and width of what is learnt on, from which pictures, share of batches
SHAPES = [(16, 16, "wide", 0.5), (16, 16, "small", 0.3), (24, 24, "wide", 0.12), (16, 24, "wide", 0.08)]


def edges(picture: np.ndarray, r: random.Random) -> np.ndarray:
    """[H, W] 0 or 255: edges of a picture [H, W, 3], found more or less sharply (Canny)."""
    low = r.uniform(30, 120)
    return cv2.Canny(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), low, low * r.uniform(1.8, 2.6))


def encoded(vae: Any, kind: Kind, seeds: Sequence[int], device: str) -> dict[str, Any]:
    """Moments of the latents, edges at eight pixels a byte, and captions."""
    values, hints, captions = [], [], []
    for i in range(0, len(seeds), 5):
        some = seeds[i : i + 5]
        pixels, said = pixels_and_captions(some, kind.width, kind.height)
        captions += said
        for picture, seed in zip(pixels, some, strict=True):
            hints.append(np.packbits(edges(picture, random.Random(seed)) > 0, axis=-1))
        values.append(moments(vae, to_float(torch.from_numpy(pixels)).to(device)).contiguous().half().cpu())
    return {"moments": torch.cat(values), "hints": torch.from_numpy(np.stack(hints)), "texts": captions}


@torch.no_grad()
def write_pictures(rank: int, options: argparse.Namespace, _port: int) -> None:
    """The work of one process: every so many-th shard, those left out that are there."""
    torch.set_num_threads(1)
    vae = load_vae(options.checkpoint / "vae").to(options.device)
    shards = [
        (kind, range(first, min(first + SHARD, kind.first_seed + count)))
        for kind, count in ((SMALL, options.small), (WIDE, options.wide))
        for first in range(kind.first_seed, kind.first_seed + count, SHARD)
    ]
    for kind, seeds in shards[rank :: options.procs]:
        file = WORK / f"control_{kind.name}_{seeds[0]}.pt"
        if not file.exists():
            save_state(encoded(vae, kind, seeds, options.device), file)
            log(file)


def stage_data(options: argparse.Namespace) -> None:
    """Writes all shards."""
    launch(write_pictures, options, 29800)


class Pictures:
    """Moments, packed edges and token ids of each kind of picture."""

    def __init__(self, tokenizer: Any) -> None:
        self.sets = {}
        for kind in (WIDE, SMALL):
            shards = [torch.load(file) for file in sorted(WORK.glob(f"control_{kind.name}_*"))]
            ids = encode_texts(tokenizer, [caption for shard in shards for caption in shard["texts"]])
            values, hints = (torch.cat([shard[name] for shard in shards]) for name in ("moments", "hints"))
            self.sets[kind.name] = values, hints, ids

    def batch(self, size: int, r: random.Random) -> tuple[Tensor, Tensor, Tensor]:
        """Latents [n, 4, h, w], hints [n, 1, 8 h, 8 w] in 0..1, ids [n, 77]."""
        h, w, name, _ = r.choices(SHAPES, [shape[3] for shape in SHAPES])[0]
        values, hints, ids = self.sets[name]
        chosen = [r.randrange(len(ids)) for _ in range(max(1, size * 256 // (h * w)))]
        latents, lines = [], []
        for i in chosen:
            y, x = r.randint(0, values.shape[2] - h), r.randint(0, values.shape[3] - w)
            latents.append(values[i, :, y : y + h, x : x + w])
            lines.append(hints[i, 8 * y : 8 * (y + h), x : x + w])
        pixels = torch.from_numpy(np.unpackbits(torch.stack(lines).numpy(), axis=-1)).float()[:, None]
        return sampled(torch.stack(latents).float()), thickened(pixels, r), ids[chosen].long()


def thickened(hints: Tensor, r: random.Random) -> Tensor:
    """One hint in five with thicker lines, as drawn by hand."""
    bold = torch.nn.functional.max_pool2d(hints, 3, 1, 1)
    pick = torch.tensor([r.random() < 0.2 for _ in hints])[:, None, None, None]
    return torch.where(pick, bold, hints)
