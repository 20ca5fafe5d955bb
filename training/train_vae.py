"""The training of the VAE: on crops of drawn pictures, tied to an earlier encoder where there is one."""

from __future__ import annotations

import argparse
import math
import multiprocessing
import random
import time
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from training.dataset import pixels_and_captions
from training.models import SCALE, build_vae, load_vae, moments, to_float
from training.muon import Muon
from training.processes import (
    average_gradients,
    blended,
    join_processes,
    launch,
    learning_rate,
    share_weights,
    shared_progress,
)
from training.state import WORK, log, save_state

IMAGES, STATE = WORK / "vae_images.npy", WORK / "vae.pt"
FIRST_SEED = 10_000_000


def pixel_loss(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """L1 on pixels and on gradients at three scales, since edges count more than surfaces; and that on pixels alone."""
    l1 = (x - y).abs().mean()
    edges = torch.zeros(())
    for halvings in range(3):
        if halvings:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        e = y - x
        edges = edges + (e[..., 1:] - e[..., :-1]).abs().mean() + (e[..., 1:, :] - e[..., :-1, :]).abs().mean()
    return l1 + 0.5 * edges, l1


def random_crops(pictures: Tensor, batch: int, side: int, r: random.Random) -> Tensor:
    """[batch, 3, side, side] in -1..1, half of them mirrored."""
    crops = []
    for _ in range(batch):
        i, y, x = r.randrange(len(pictures)), r.randint(0, 128 - side), r.randint(0, 128 - side)
        crop = pictures[i, y : y + side, x : x + side]
        crops.append(crop.flip(1) if r.random() < 0.5 else crop)
    return to_float(torch.stack(crops)).contiguous()


class VaeTraining:
    """One process's part."""

    def __init__(self, options: argparse.Namespace, rank: int) -> None:
        self.options, self.rank = options, rank
        self.pictures = torch.from_numpy(np.load(IMAGES, mmap_mode="r"))
        self.vae = build_vae()  # in bfloat16 the plain memory layout is faster than channels_last
        self.teacher = load_vae(options.start / "vae") if options.start else None
        self.step, self.seen, self.done = 0, 0.0, 0.0
        if options.resume and STATE.exists():
            state = torch.load(STATE)
            self.vae.load_state_dict(state["model"])
            self.step, self.seen, self.done = state["step"], state["seen"], state["progress"]
        named = list(self.vae.named_parameters())
        if options.freeze_encoder:
            named = [(n, p) for n, p in named if n.startswith(("decoder.", "post_quant_conv."))]
            self.vae.encoder.requires_grad_(False)
            self.vae.quant_conv.requires_grad_(False)
        self.params = [p for _, p in named]
        share_weights(self.params, options.procs)
        self.optimiser = Muon(named, options.procs, rank, weight_decay=1e-3)
        self.random = random.Random(options.seed * 77 + rank + self.step)
        self.first_step = self.step
        self.spread: float | None = None
        self.figures: tuple[float, ...] = ()

    def run(self) -> None:
        """Trains until the minutes are over."""
        start = last = time.time()
        options = self.options
        while (progress := shared_progress(start, options.minutes, options.procs, self.done)) < 1:
            # the end on whole pictures, where attention and norms see what they will see later
            side, batch = (128, max(1, options.batch // 4)) if progress > 0.8 else (64, options.batch)
            self.train_on(random_crops(self.pictures, batch, side, self.random), progress)
            self.seen += batch * options.procs * side**2 / 128**2
            if self.rank == 0 and time.time() - last > 30:
                last = time.time()
                self.report((self.step - self.first_step) * batch * options.procs / (last - start))
                self.save(progress)
        if self.rank == 0:
            self.save(1.0)
            log("vae done, steps", self.step, "pictures", int(self.seen))

    def train_on(self, images: Tensor, progress: float) -> None:
        """One step."""
        with self.autocast():
            mean, logvar = moments(self.vae, images).float().chunk(2, 1)
        std = (0.5 * logvar).exp()
        z, tie = self.tied(images, mean)
        with self.autocast():
            rebuilt = self.vae.decode(self.disturbed(z, mean, std)).sample
        loss, l1 = pixel_loss(images, rebuilt.float())
        kl = 0.5 * (mean**2 + std**2 - 1 - logvar).mean()
        (loss + 1e-4 * kl + self.options.tie * tie).backward()
        average_gradients(self.params, self.options.procs)
        torch.nn.utils.clip_grad_norm_(self.params, 1.0)
        self.optimiser.step(learning_rate(progress, self.step - self.first_step, self.options.lr or 2e-3, 40))
        self.optimiser.zero_grad()
        self.step += 1
        figures = (l1, ((rebuilt.detach() - images) ** 2).mean(), kl, tie)
        self.figures = blended(self.figures, tuple(float(v.detach()) for v in figures), 0.02)

    def autocast(self) -> torch.autocast:
        """To bfloat16, where asked for."""
        return torch.autocast("cpu", torch.bfloat16, enabled=self.options.amp)

    def tied(self, images: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
        """What the decoder is to read, half of it the teacher's latents, and the distance to those."""
        if self.teacher is None:
            return mean, torch.zeros(())
        with torch.no_grad():
            target = moments(self.teacher, images)[:, :4]
        pick = torch.rand(len(images), 1, 1, 1) < 0.5
        return torch.where(pick, target, mean), SCALE**2 * ((mean - target) ** 2).mean()

    def disturbed(self, z: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        """Latents with the encoder's noise and with small errors as a U-Net makes them: the decoder must bear those."""
        spread = float(mean.detach().std())
        self.spread = spread if self.spread is None else 0.98 * self.spread + 0.02 * spread
        z = z + std * torch.randn_like(mean)
        return z + torch.randn_like(z) * self.spread * torch.rand(len(z), 1, 1, 1) * self.options.noise

    def report(self, rate: float) -> None:
        """A line of the log."""
        l1, square, kl, tie = self.figures
        log(
            f"vae step {self.step} {self.seen:.0f} pictures, {rate:.1f} crops/s",
            f"L1 {l1:.4f} PSNR {10 * math.log10(4 / square):.2f} KL {kl:.2f} tie {tie:.4f}",
        )

    def save(self, progress: float) -> None:
        """So that --resume can go on from here."""
        state = {"model": self.vae.state_dict(), "step": self.step, "seen": self.seen, "progress": progress}
        save_state(state, STATE)


def train_vae(rank: int, options: argparse.Namespace, port: int) -> None:
    """The work of one process."""
    join_processes(rank, options, port)
    VaeTraining(options, rank).run()


@torch.no_grad()
def rescale_vae(vae: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    """Gives 0.18215 * latent mean 0 and variance 1 in each channel by changing the two 1x1 convolutions.

    Exact: decode(encode(x)) stays what it was. Returns the mean and deviation that it found.
    """
    z = torch.cat([moments(vae, to_float(part))[:, :4] for part in images.split(16)])
    mean, std = z.mean((0, 2, 3)), z.std((0, 2, 3))
    k = 1 / (SCALE * std)  # z' = (z - mean) * k
    q, p = vae.quant_conv, vae.post_quant_conv
    q.weight[:4] *= k[:, None, None, None]
    q.bias[:4] = (q.bias[:4] - mean) * k
    q.bias[4:] += 2 * k.log()
    p.bias += (p.weight[:, :, 0, 0] * mean[None]).sum(1)
    p.weight /= k[None, :, None, None]
    return mean, std


def draw_images(count: int, procs: int) -> None:
    """Draws the pictures once, for all processes and runs."""
    seeds = range(FIRST_SEED, FIRST_SEED + count)
    parts = [(seeds[i : i + 50], 128, 128) for i in range(0, len(seeds), 50)]
    with multiprocessing.get_context("fork").Pool(procs) as pool:
        np.save(IMAGES, np.concatenate([pixels for pixels, _ in pool.starmap(pixels_and_captions, parts)]))
    log("rendered", len(seeds))


def stage_vae(options: argparse.Namespace) -> None:
    """Draws, trains, and writes the folder `vae` of the work folder."""
    if not IMAGES.exists():
        draw_images(min(4000, options.count), options.procs)
    launch(train_vae, options, 29500)
    vae = build_vae()
    vae.load_state_dict(torch.load(STATE)["model"])
    if not options.start:
        some = torch.from_numpy(np.load(IMAGES, mmap_mode="r")[:256].copy())
        mean, std = rescale_vae(vae.eval(), some)
        log("latent mean", mean.tolist(), "std", std.tolist(), "-> folded into the quant convs")
    vae.save_pretrained(WORK / "vae")
