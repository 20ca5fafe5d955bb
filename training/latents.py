"""The latents that the U-Net learns on: written in shards by several processes, read while more are written."""

from __future__ import annotations

import argparse
import random
from typing import Any, NamedTuple

import torch
from torch import Tensor

from training.dataset import pixels_and_captions
from training.models import load_vae, moments, to_float
from training.processes import launch
from training.state import WORK, log, save_state
from training.tokenizer import encode_texts

SHARD = 500  # pictures per file


class Size(NamedTuple):
    """A size of canvas that is learnt on."""

    name: str
    """Rows x columns of the latent."""
    width: int
    height: int
    share: float
    """Pictures per picture of 128x128."""
    first_seed: int
    batches: float
    """Share of the batches."""


SIZES = [
    Size("16x16", 128, 128, 1, 0, 0.74),
    Size("16x24", 192, 128, 1 / 8, 1_000_000, 0.08),
    Size("24x16", 128, 192, 1 / 12, 2_000_000, 0.05),
    Size("24x24", 192, 192, 1 / 12, 3_000_000, 0.05),
    Size("16x32", 256, 128, 1 / 8, 4_000_000, 0.08),
]


class Shard(NamedTuple):
    """One file's pictures."""

    size: Size
    first_seed: int
    pictures: int


def shards(count: int) -> list[Shard]:
    """All of them, the sizes mixed evenly."""
    ordered = []
    for size in SIZES:
        n = max(1, int(count * size.share))
        for k in range(0, n, SHARD):
            ordered.append(((k + SHARD) / n, size.name, Shard(size, size.first_seed + k, min(SHARD, n - k))))
    return [shard for _, _, shard in sorted(ordered)]


def encoded(vae: Any, shard: Shard, device: str) -> dict[str, Any]:
    """Moments of the latents, and captions."""
    values, captions = [], []
    end = shard.first_seed + shard.pictures
    for first in range(shard.first_seed, end, 20):
        seeds = range(first, min(first + 20, end))
        pixels, some = pixels_and_captions(seeds, shard.size.width, shard.size.height)
        captions += some
        values.append(moments(vae, to_float(torch.from_numpy(pixels)).to(device)).contiguous().half().cpu())
    return {"moments": torch.cat(values), "texts": captions}


@torch.no_grad()
def write_latents(rank: int, options: argparse.Namespace, _port: int) -> None:
    """The work of one process: every so many-th shard, those left out that are there."""
    torch.set_num_threads(1)
    vae = load_vae((options.start or WORK) / "vae").to(options.device)
    for shard in shards(options.count)[rank :: options.procs]:
        file = WORK / f"latents_{shard.size.name}_{shard.first_seed}.pt"
        if not file.exists():
            save_state(encoded(vae, shard, options.device), file)
            log("latents", shard.size.name, shard.first_seed)


def stage_latents(options: argparse.Namespace) -> None:
    """Writes all shards."""
    launch(write_latents, options, 29600)


class Latents:
    """The latents and token ids on disk."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.files: set[str] = set()
        self.sets: dict[str, tuple[Tensor, Tensor]] = {}
        self.order: dict[str, list[int]] = {}

    def refresh(self) -> int:
        """Takes in shards that were written since; returns how many pictures there are."""
        for file in sorted(WORK.glob("latents_*.pt")):
            if file.name in self.files:
                continue
            self.files.add(file.name)
            part = torch.load(file)
            new = (part["moments"], encode_texts(self.tokenizer, part["texts"]))
            name = file.name.split("_")[1]
            old = self.sets.get(name)
            self.sets[name] = (torch.cat([old[0], new[0]]), torch.cat([old[1], new[1]])) if old else new
        return sum(len(values) for values, _ in self.sets.values())

    def batch(self, count: int, r: random.Random) -> tuple[Tensor, Tensor]:
        """Moments and ids of one size of canvas; bigger canvases come in smaller batches."""
        sizes = [size for size in SIZES if size.name in self.sets]
        size = r.choices(sizes, [size.batches for size in sizes])[0]
        values, ids = self.sets[size.name]
        n = max(1, round(count * 128 * 128 / (size.width * size.height)))
        if len(self.order.get(size.name, [])) < n:
            self.order[size.name] = torch.randperm(len(values)).tolist()
        order = self.order[size.name]
        chosen = torch.tensor([order.pop() for _ in range(min(n, len(order)))])
        return values[chosen], ids[chosen].long()
