#!/usr/bin/env python3
"""Trains the small ControlNet of this package, edges -> picture, on the pictures of dataset.py.

    python training/control.py all                    # from the shipped checkpoint: data, training, export
    python training/control.py data --wide 1500 --small 6000
    python training/control.py train --minutes 40     # --resume goes on from work/control.pt
    python training/control.py all --device cuda --procs 16 --batch 256 --amp --minutes 5
    python training/control.py export --out DIR       # writes the diffusers folder DIR

The U-Net and the text encoder stand still. The ControlNet begins as a copy of the U-Net's first half, without the
middle block's attention. It learns on cut-outs of wide scenes as well as on whole small ones: tiles see cut-outs.

State lives in $TINY_WORK, as that of train.py.
"""

import argparse
import os
import random
import time

import cv2
import numpy as np
import torch
import train
from train import SCALE, WORK, log, save_state

CHECKPOINT = os.path.join(train.HERE, "..", "tiled_diffusion", "standalone", "checkpoint")
CONFIG = {
    "in_channels": 4,
    "conditioning_channels": 3,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
    "mid_block_type": "UNetMidBlock2D",
    "block_out_channels": [64, 128],
    "layers_per_block": 1,
    "attention_head_dim": 4,
    "cross_attention_dim": 128,
    "norm_num_groups": 32,
    "conditioning_embedding_out_channels": [16, 32, 64, 96],
}
# name, width, height, first seed
WIDE = ("wide", 512, 256, 60_000_000)
SMALL = ("small", 128, 128, 70_000_000)
SHARD = 250
# latent height and width of what is learnt on, from which pictures, share of batches
SHAPES = [(16, 16, "wide", 0.5), (16, 16, "small", 0.3), (24, 24, "wide", 0.12), (16, 24, "wide", 0.08)]


def edges(picture, draw):
    """[H, W] 0 or 255: edges of a picture, found more or less sharply."""
    low = draw.uniform(30, 120)
    return cv2.Canny(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), low, low * draw.uniform(1.8, 2.6))


# --------------------------------------------------------------------------------------------------- data


def stage_data(a):
    train.launch(data_worker, a, 29800)


@torch.no_grad()
def data_worker(rank, a, _port):
    torch.set_num_threads(1)
    vae = train.load_vae(os.path.join(a.checkpoint, "vae")).to(a.device)
    jobs = [
        (name, width, height, range(first, min(first + SHARD, base + count)))
        for (name, width, height, base), count in ((SMALL, a.small), (WIDE, a.wide))
        for first in range(base, base + count, SHARD)
    ]
    for name, width, height, seeds in jobs[rank :: a.procs]:
        file = os.path.join(WORK, f"control_{name}_{seeds[0]}.pt")
        if not os.path.exists(file):
            save_state(shard(vae, seeds, width, height, a.device), file)
            log(file)


def shard(vae, seeds, width, height, device):
    """Moments of the latents, packed edges and captions of some pictures."""
    found, hints, texts = [], [], []
    for i in range(0, len(seeds), 5):
        u8, some = train.render_array(seeds[i : i + 5], width, height)
        texts += some
        hints += [
            np.packbits(edges(p, random.Random(s)) > 0, axis=-1) for p, s in zip(u8, seeds[i : i + 5], strict=True)
        ]
        found.append(train.moments(vae, train.to_float(torch.from_numpy(u8)).to(device)).contiguous().half().cpu())
    return {"moments": torch.cat(found), "hints": torch.from_numpy(np.stack(hints)), "texts": texts}


class Pictures:
    """What is learnt on: latents, edges and token ids by kind of picture."""

    def __init__(self, tokenizer):
        self.sets = {}
        for name in ("wide", "small"):
            files = sorted(f for f in os.listdir(WORK) if f.startswith(f"control_{name}_"))
            parts = [torch.load(os.path.join(WORK, f)) for f in files]
            ids = train.encode_texts(tokenizer, [t for p in parts for t in p["texts"]])
            self.sets[name] = torch.cat([p["moments"] for p in parts]), torch.cat([p["hints"] for p in parts]), ids

    def batch(self, size, draw):
        """Latents [n, 4, h, w], hints [n, 3, 8 h, 8 w] in 0..1, ids [n, 77]."""
        h, w, name, _ = draw.choices(SHAPES, [s[3] for s in SHAPES])[0]
        found, hints, ids = self.sets[name]
        chosen = [draw.randrange(len(ids)) for _ in range(max(1, size * 256 // (h * w)))]
        latents, seen = [], []
        for i in chosen:
            y, x = draw.randint(0, found.shape[2] - h), draw.randint(0, found.shape[3] - w)
            latents.append(found[i, :, y : y + h, x : x + w])
            seen.append(hints[i, 8 * y : 8 * (y + h), x : x + w])  # eight pixels a byte
        pixels = torch.from_numpy(np.unpackbits(torch.stack(seen).numpy(), axis=-1)).float()[:, None]
        return sampled(torch.stack(latents).float()), thickened(pixels, draw), ids[chosen].long()


def sampled(moments):
    mean, logvar = moments.chunk(2, 1)
    return (mean + (0.5 * logvar).exp() * torch.randn_like(mean)) * SCALE


def thickened(hints, draw):
    """One hint in five with thicker lines, as drawn by hand."""
    bold = torch.nn.functional.max_pool2d(hints, 3, 1, 1)
    pick = torch.tensor([draw.random() < 0.2 for _ in hints])[:, None, None, None]
    return torch.where(pick, bold, hints)


# ----------------------------------------------------------------------------------------------- training


def build(unet):
    """A ControlNet that begins as the U-Net's first half and adds nothing yet."""
    from diffusers import ControlNetModel

    control = ControlNetModel(**CONFIG)
    own = control.state_dict()
    control.load_state_dict({k: v for k, v in unet.state_dict().items() if k in own}, strict=False)
    return control


def parts(a):
    """Tokenizer, text encoder and U-Net of the checkpoint, which stand still."""
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(a.checkpoint, dtype=torch.float32, local_files_only=True)
    for part in (pipe.text_encoder, pipe.unet):
        part.eval().requires_grad_(False)
    return pipe.tokenizer, pipe.text_encoder, pipe.unet


def stage_train(a):
    torch.set_num_threads(a.threads)
    tokenizer, text, unet = parts(a)
    control, data = build(unet).to(a.device), Pictures(tokenizer)
    unet.to(a.device), text.to(a.device)
    empty = train.encode_texts(tokenizer, [""]).long()
    params, file = list(control.parameters()), os.path.join(WORK, "control.pt")
    opt = train.Muon(control.named_parameters(), a.lr, 1, 0)
    ema, step, samples, done = [p.detach().clone() for p in params], 0, 0, 0.0
    if a.resume and os.path.exists(file):
        s = torch.load(file, map_location=a.device)
        control.load_state_dict(s["control"])
        opt.load_state_dict(s["opt"])
        ema, step, samples, done = s["ema"], s["step"], s["samples"], 0.0 if a.again else s["progress"]
    draw = random.Random(a.seed * 991 + step)
    torch.manual_seed(a.seed * 991 + step)
    ab, begun, run = train.alphas_bar().to(a.device), step, None
    t0 = last = time.time()

    def save(progress):
        state = {"control": control.state_dict(), "ema": ema, "opt": opt.state_dict()}
        save_state({**state, "step": step, "samples": samples, "progress": progress}, file)

    while (progress := train.shared_progress(t0, a.minutes, 1, done)) < 1:
        z, hints, ids = data.batch(a.batch, draw)
        n = len(z)
        ids[torch.rand(n) < 0.15] = empty
        z, ids, hints = z.to(a.device), ids.to(a.device), hints.to(a.device).expand(-1, 3, -1, -1)
        t = ((torch.arange(n) + torch.rand(1)) / n * 1000).long().clamp(0, 999).to(a.device)
        noise = torch.randn_like(z)
        s = ab[t][:, None, None, None]
        x = s.sqrt() * z + (1 - s).sqrt() * noise
        with torch.autocast(a.device, torch.bfloat16, enabled=a.amp):
            with torch.no_grad():
                words = text(ids)[0]
            down, mid = control(x, t, words, hints, return_dict=False)
            prediction = unet(x, t, words, down_block_additional_residuals=down, mid_block_additional_residual=mid)
        mse = ((prediction.sample.float() - noise) ** 2).mean((1, 2, 3))
        loss = (torch.clamp(5 * (1 - ab[t]) / ab[t], max=1) * mse).mean() / 0.6
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        opt.step(train.lr_at(progress, step - begun, a.lr, 50))
        opt.zero_grad()
        step, samples = step + 1, samples + n
        with torch.no_grad():
            torch._foreach_lerp_(ema, [p.detach() for p in params], 1 - min(a.ema, (1 + step) / (10 + step)))
        k = max(0.005, 1 / (step - begun))
        now = (float(mse.detach().mean()), float(loss.detach()))
        run = now if run is None else tuple((1 - k) * r + k * v for r, v in zip(run, now, strict=True))
        if time.time() - last > 30:
            last = time.time()
            log(f"control step {step} samples {samples} eps-mse {run[0]:.4f} weighted {run[1]:.4f}", f"{progress:.2f}")
            save(progress)
    save(1.0)
    log("control done, steps", step, "samples", samples)


def stage_export(a):
    """Writes the diffusers folder in half precision."""
    _, _, unet = parts(a)
    control, s = build(unet), torch.load(os.path.join(WORK, "control.pt"), map_location="cpu")
    control.load_state_dict(s["control"])
    with torch.no_grad():
        for p, e in zip(control.parameters(), s["ema"], strict=True):
            p.copy_(e)
    control.half().save_pretrained(a.out, safe_serialization=True)
    log(f"{a.out}: step {s['step']}, samples {s['samples']}")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("stage", choices=["data", "train", "export", "all"])
    p.add_argument("--small", type=int, default=6000, help="scenes of 128x128")
    p.add_argument("--wide", type=int, default=1500, help="scenes of 512x256")
    p.add_argument("--minutes", type=float, default=40)
    p.add_argument("--checkpoint", default=CHECKPOINT, help="diffusers folder of the model that is steered")
    p.add_argument("--procs", type=int, default=1, help="for the data")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--device", default="cpu", help="of data and training: cpu or cuda")
    p.add_argument("--amp", action="store_true", help="bfloat16 autocast, for processors that have it in hardware")
    p.add_argument("--batch", type=int, default=32, help="cut-outs of 16x16 latent pixels, or as many pixels")
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--ema", type=float, default=0.998)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--resume", action="store_true", help="go on from the state, schedule included")
    p.add_argument("--again", action="store_true", help="with --resume: begin the schedule anew")
    p.add_argument("--out", default=os.path.join(WORK, "controlnet"))
    a = p.parse_args()
    os.makedirs(WORK, exist_ok=True)
    for stage in ["data", "train", "export"] if a.stage == "all" else [a.stage]:
        log("stage", stage)
        {"data": stage_data, "train": stage_train, "export": stage_export}[stage](a)


if __name__ == "__main__":
    main()
