#!/usr/bin/env python3
"""Trains the tiny Stable-Diffusion-1 shaped model of this package on the pictures of dataset.py.

    python training/train.py all               # from nothing: vae, latents, unet, export; about 90 min on 2 cores
    python training/train.py vae --minutes 30
    python training/train.py latents --count 24000
    python training/train.py unet --minutes 55      # --resume goes on from work/unet.pt
    python training/train.py export --out DIR       # writes the diffusers folder DIR
    python training/train.py all --start FOLDER     # goes on from a diffusers folder instead of from nothing

With --start the U-Net and the text encoder begin with the folder's weights, and the new VAE's encoder is tied to the
folder's encoder, so that both work in the same latent space and can be trained at the same time.

Learning rates follow elapsed time, not steps, so a run ends when its minutes are over however busy the machine is.
Training is data-parallel over --procs processes (gloo) with one thread each.  State lives in $TINY_WORK.
With a GPU: `latents --device cuda --procs 16`, then `unet --device cuda --procs 1 --batch 512 --amp`.
"""

import argparse
import itertools
import json
import math
import multiprocessing
import os
import random
import shutil
import time

import dataset
import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F

HERE = os.path.dirname(os.path.abspath(__file__))
WORK = os.environ.get("TINY_WORK", os.path.join(HERE, "work"))
SCALE = 0.18215  # SD1's scale factor; the VAE's 1x1 quant convs are rescaled so that it fits exactly
VAE_CONFIG = {
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "block_out_channels": [32, 32, 64, 96],
    "layers_per_block": 1,
    "latent_channels": 4,
    "norm_num_groups": 8,
    "sample_size": 128,
    "scaling_factor": SCALE,
    "force_upcast": False,
}
UNET_CONFIG = {
    "sample_size": 16,
    "in_channels": 4,
    "out_channels": 4,
    "layers_per_block": 1,
    "block_out_channels": [64, 128],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
    "attention_head_dim": 4,  # diffusers' name for the number of heads
    "cross_attention_dim": 128,
    "norm_num_groups": 32,
}
TEXT_CONFIG = {
    "hidden_size": 128,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 77,
    "hidden_act": "quick_gelu",
    "projection_dim": 128,
}
# name (rows x columns of the latent), width, height, pictures per picture of 128x128, first seed, share of batches
SIZES = [
    ("16x16", 128, 128, 1, 0, 0.74),
    ("16x24", 192, 128, 1 / 8, 1_000_000, 0.08),
    ("24x16", 128, 192, 1 / 12, 2_000_000, 0.05),
    ("24x24", 192, 192, 1 / 12, 3_000_000, 0.05),
    ("16x32", 256, 128, 1 / 8, 4_000_000, 0.08),
]
SHARD = 500  # pictures per file of latents


# ------------------------------------------------------------------------------------------------ helpers


def log(*a):
    print(time.strftime("%H:%M:%S"), *a, flush=True)


def save_state(state, path):
    torch.save(state, path + ".tmp")
    os.replace(path + ".tmp", path)


def zero_residuals(model, names):
    """Every residual branch starts as nothing, as in ldm."""
    for name, m in model.named_modules():
        if name.endswith(names):
            torch.nn.init.zeros_(m.weight)
            torch.nn.init.zeros_(m.bias)


def build_vae():
    from diffusers import AutoencoderKL

    vae = AutoencoderKL(**VAE_CONFIG)
    zero_residuals(vae, (".conv2", ".to_out.0"))
    with torch.no_grad():  # next to no sampling noise at first
        vae.quant_conv.weight[4:].zero_()
        vae.quant_conv.bias[4:].fill_(-6)
    return vae


def build_unet():
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel(**UNET_CONFIG)
    zero_residuals(unet, (".conv2", ".proj_out", "conv_out"))
    return unet


def build_text(vocab_size):
    from transformers import CLIPTextConfig, CLIPTextModel

    cfg = CLIPTextConfig(
        vocab_size=vocab_size,
        bos_token_id=vocab_size - 2,
        eos_token_id=vocab_size - 1,
        pad_token_id=vocab_size - 1,
        **TEXT_CONFIG,
    )
    text = CLIPTextModel(cfg)
    # The WebUI's emphasis "Original" divides by the mean over all text features: keep it well away from 0
    torch.nn.init.constant_(getattr(text, "text_model", text).final_layer_norm.bias, 0.25)
    return text


def bytes_to_unicode():
    """CLIP's printable stand-ins for the 256 bytes, in CLIP's order."""
    bs = list(range(ord("!"), ord("~") + 1)) + list(range(ord("¡"), ord("¬") + 1)) + list(range(ord("®"), ord("ÿ") + 1))
    cs, n = bs[:], 0
    for b in range(256):
        if b not in bs:
            bs.append(b), cs.append(256 + n)
            n += 1
    return [chr(c) for c in cs]


def make_tokenizer(folder):
    """CLIP's byte-level BPE with merges that make every word of the data set one token; other words fall to pieces."""
    os.makedirs(folder, exist_ok=True)
    words = [[*list(w[:-1]), w[-1] + "</w>"] for w in dataset.vocabulary()]
    merges = []
    while True:  # plain BPE training, each word counted once, first found wins ties
        count = {}
        for w in words:
            for pair in itertools.pairwise(w):
                count[pair] = count.get(pair, 0) + 1
        if not count:
            break
        best = max(count, key=lambda p: count[p])
        merges.append(best)
        for i, w in enumerate(words):
            j, out = 0, []
            while j < len(w):
                if j + 1 < len(w) and (w[j], w[j + 1]) == best:
                    out.append(w[j] + w[j + 1])
                    j += 2
                else:
                    out.append(w[j])
                    j += 1
            words[i] = out
    chars = bytes_to_unicode()
    vocab = chars + [c + "</w>" for c in chars] + [a + b for a, b in merges] + ["<|startoftext|>", "<|endoftext|>"]
    with open(os.path.join(folder, "vocab.json"), "w", encoding="utf-8") as f:
        json.dump({t: i for i, t in enumerate(vocab)}, f, ensure_ascii=False)
    with open(os.path.join(folder, "merges.txt"), "w", encoding="utf-8") as f:
        f.write("#version: 0.2\n" + "\n".join(" ".join(m) for m in merges) + "\n")
    special = {f"{k}_token": "<|endoftext|>" for k in ("bos", "eos", "unk", "pad")}
    special["bos_token"] = "<|startoftext|>"
    with open(os.path.join(folder, "special_tokens_map.json"), "w") as f:
        json.dump(special, f, indent=1)
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as f:
        json.dump(
            dict(
                tokenizer_class="CLIPTokenizer",
                model_max_length=77,
                do_lower_case=True,
                errors="replace",
                add_prefix_space=False,
                **special,
            ),
            f,
            indent=1,
        )
    return len(vocab)


def load_tokenizer(folder=None):
    from transformers import CLIPTokenizer

    return CLIPTokenizer.from_pretrained(folder or os.path.join(WORK, "tokenizer"))


def encode_texts(tok, texts):
    return torch.tensor(
        tok(texts, padding="max_length", max_length=77, truncation=True)["input_ids"], dtype=torch.int16
    )


def init_dist(rank, a, port):
    torch.set_num_threads(max(1, a.threads))
    torch.manual_seed(1000 * a.seed + rank)
    if a.procs > 1:
        os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = "127.0.0.1", str(port)
        dist.init_process_group("gloo", rank=rank, world_size=a.procs)


def reduce_grads(params, procs):
    if procs > 1:
        flat = torch.cat([p.grad.reshape(-1) for p in params])
        dist.all_reduce(flat)
        flat /= procs
        o = 0
        for p in params:
            p.grad.copy_(flat[o : o + p.numel()].view_as(p.grad))
            o += p.numel()


class Muon:
    """Muon (momentum, orthogonalised by Newton-Schulz) for inner matrices and convolutions, AdamW for the rest.

    The step has the root mean square of an AdamW step, so that learning rates mean the same.  The orthogonalisation is
    shared out among the processes.
    """

    def __init__(self, named, lr, procs, rank, wd=1e-2, momentum=0.95, betas=(0.9, 0.99), steps=5, muon=True):
        named = [(n, p) for n, p in named]
        skip = ("embed", "conv_in", "conv_out", "quant_conv")
        self.mats = [p for n, p in named if muon and p.ndim > 1 and not any(k in n for k in skip)]
        ids = {id(p) for p in self.mats}
        rest = [p for n, p in named if id(p) not in ids]
        self.adam = torch.optim.AdamW(
            [
                {"params": [p for p in rest if p.ndim > 1], "weight_decay": wd},
                {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0},
            ],
            lr=lr,
            betas=betas,
            fused=True,
        )
        self.procs, self.rank, self.wd, self.momentum, self.ns_steps = procs, rank, wd, momentum, steps
        self.buf = [torch.zeros_like(p) for p in self.mats]
        # balance the work: biggest first, to the process that has least
        self.mine, load = set(), [0.0] * procs
        for i in sorted(
            range(len(self.mats)),
            key=lambda i: -self.mats[i].numel() * min(self.mats[i].shape[0], self.mats[i][0].numel()),
        ):
            k = load.index(min(load))
            load[k] += self.mats[i].numel() * min(self.mats[i].shape[0], self.mats[i][0].numel())
            if k == rank:
                self.mine.add(i)

    @staticmethod
    def orthogonalise(g, steps):
        x = g.reshape(g.shape[0], -1)
        t = x.shape[0] > x.shape[1]
        x = x.T if t else x
        x = x / (x.norm() + 1e-7)
        for _ in range(steps):
            a = x @ x.T
            x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
        return ((x.T if t else x) * 0.2 * max(x.shape) ** 0.5).reshape(g.shape)

    @torch.no_grad()
    def step(self, lr):
        for gr in self.adam.param_groups:
            gr["lr"] = lr
        self.adam.step()
        ups = []
        for i, (p, b) in enumerate(zip(self.mats, self.buf, strict=False)):
            b.lerp_(p.grad, 1 - self.momentum)
            ups.append(
                self.orthogonalise(p.grad.lerp(b, self.momentum), self.ns_steps)
                if i in self.mine
                else torch.zeros_like(p)
            )
        if self.procs > 1 and ups:
            flat = torch.cat([u.reshape(-1) for u in ups])
            dist.all_reduce(flat)
            ups, o = [], 0
            for p in self.mats:
                ups.append(flat[o : o + p.numel()].view(p.shape))
                o += p.numel()
        for p, u in zip(self.mats, ups, strict=False):
            p.mul_(1 - lr * self.wd).sub_(u, alpha=lr)

    def zero_grad(self):
        for p in self.mats:
            p.grad = None
        self.adam.zero_grad()

    def state_dict(self):
        return {"adam": self.adam.state_dict(), "buf": self.buf}

    def load_state_dict(self, s):
        self.adam.load_state_dict(s["adam"])
        for b, v in zip(self.buf, s["buf"], strict=False):
            b.copy_(v)


def shared_progress(t0, minutes, procs, done=0.0):
    """Fraction of the schedule that is over, the same number in all processes; `done` was over before this run."""
    v = torch.tensor([done + (1 - done) * (time.time() - t0) / 60 / minutes])
    if procs > 1:
        dist.broadcast(v, 0)
    return float(v)


def lr_at(progress, step, peak, warm, floor=0.02):
    return peak * min(1, (step + 1) / warm) * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1, progress))))


def launch(fn, a, port):
    port += os.getpid() % 1000
    if a.procs == 1:
        fn(0, a, port)
    else:
        mp.spawn(fn, (a, port), nprocs=a.procs, join=True)


def render_array(seeds, width, height):
    samples = [dataset.make_sample(s, width, height) for s in seeds]
    return np.stack([np.asarray(im) for im, _, _ in samples]), [text for _, text, _ in samples]


def to_float(u8):
    x = u8.float().permute(0, 3, 1, 2) / 127.5 - 1
    return x.contiguous(memory_format=torch.channels_last)


def load_vae(folder):
    from diffusers import AutoencoderKL

    vae = AutoencoderKL.from_pretrained(folder, torch_dtype=torch.float32, local_files_only=True)
    return vae.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def moments(vae, x):
    """Mean and logarithm of the variance of the latents, in one tensor."""
    d = vae.encode(x).latent_dist
    return torch.cat([d.mean, d.logvar], 1)


# ---------------------------------------------------------------------------------------------------- VAE


def vae_loss(x, y):
    """L1 on pixels and on gradients at three scales: edges count more than flat surfaces."""
    l1 = (x - y).abs().mean()
    g = 0
    for k in range(3):
        if k:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        e = y - x
        g = g + (e[..., 1:] - e[..., :-1]).abs().mean() + (e[..., 1:, :] - e[..., :-1, :]).abs().mean()
    return l1 + 0.5 * g, l1


def random_crops(data, batch, crop, rnd):
    rows = []
    for _ in range(batch):
        i, y, x = rnd.randrange(len(data)), rnd.randint(0, 128 - crop), rnd.randint(0, 128 - crop)
        c = data[i, y : y + crop, x : x + crop]
        rows.append(c.flip(1) if rnd.random() < 0.5 else c)
    return to_float(torch.stack(rows))


def train_vae(rank, a, port):
    init_dist(rank, a, port)
    data = torch.from_numpy(np.load(os.path.join(WORK, "vae_images.npy"), mmap_mode="r"))
    vae = build_vae()  # in bfloat16 the plain memory layout is faster than channels_last
    teacher = load_vae(os.path.join(a.start, "vae")) if a.start else None
    state = os.path.join(WORK, "vae.pt")
    step, seen, done = 0, 0, 0.0
    if a.resume and os.path.exists(state):
        s = torch.load(state)
        vae.load_state_dict(s["model"])
        step, seen, done = s["step"], s["seen"], s["progress"]
    named = list(vae.named_parameters())
    if a.freeze_encoder:
        named = [(n, p) for n, p in named if n.startswith(("decoder.", "post_quant_conv."))]
        vae.encoder.requires_grad_(False)
        vae.quant_conv.requires_grad_(False)
    params = [p for _, p in named]
    if a.procs > 1:
        for p in params:
            dist.broadcast(p.data, 0)
    opt = Muon(named, 1e-3, a.procs, rank, wd=1e-3)
    rnd = random.Random(a.seed * 77 + rank + step)
    t0 = last = time.time()
    step0, run, spread = step, None, None
    while (progress := shared_progress(t0, a.minutes, a.procs, done)) < 1:
        # the end on whole pictures, where attention and norms see what they will see later
        crop, batch = (128, max(1, a.batch // 4)) if progress > 0.8 else (64, a.batch)
        img = random_crops(data, batch, crop, rnd).contiguous()
        with torch.autocast("cpu", torch.bfloat16, enabled=a.amp):
            m = moments(vae, img).float()
        mean, logvar = m.chunk(2, 1)
        std = (0.5 * logvar).exp()
        spread = float(mean.detach().std()) if spread is None else 0.98 * spread + 0.02 * float(mean.detach().std())
        z, tie = mean, 0
        if teacher is not None:
            with torch.no_grad():
                target = moments(teacher, img)[:, :4]
            tie = SCALE**2 * ((mean - target) ** 2).mean()
            z = torch.where(torch.rand(batch, 1, 1, 1) < 0.5, target, mean)
        z = z + std * torch.randn_like(mean)
        # the decoder must bear the small errors that a U-Net makes
        z = z + torch.randn_like(z) * spread * torch.rand(batch, 1, 1, 1) * a.noise
        with torch.autocast("cpu", torch.bfloat16, enabled=a.amp):
            rec = vae.decode(z).sample
        loss, l1 = vae_loss(img, rec.float())
        kl = 0.5 * (mean**2 + std**2 - 1 - logvar).mean()
        (loss + 1e-4 * kl + a.tie * tie).backward()
        reduce_grads(params, a.procs)
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        opt.step(lr_at(progress, step - step0, a.lr or 2e-3, 40))
        opt.zero_grad()
        step += 1
        seen += batch * a.procs * crop**2 / 128**2
        v = (
            float(l1.detach()),
            float(((rec.detach() - img) ** 2).mean()),
            float(kl.detach()),
            float(tie.detach()) if a.start else 0.0,
        )
        run = v if run is None else tuple(0.98 * r + 0.02 * q for r, q in zip(run, v, strict=False))
        if rank == 0 and time.time() - last > 30:
            last = time.time()
            log(
                f"vae step {step} {seen:.0f} pictures, {(step - step0) * batch * a.procs / (last - t0):.1f} crops/s",
                f"L1 {run[0]:.4f} PSNR {10 * math.log10(4 / run[1]):.2f} KL {run[2]:.2f} tie {run[3]:.4f}",
            )
            save_state({"model": vae.state_dict(), "step": step, "seen": seen, "progress": progress}, state)
    if rank == 0:
        save_state({"model": vae.state_dict(), "step": step, "seen": seen, "progress": 1.0}, state)
        log("vae done, steps", step, "pictures", int(seen))


@torch.no_grad()
def rescale_vae(vae, images):
    """Gives 0.18215 * latent mean 0 and variance 1 in each channel by changing the two 1x1 convolutions.

    Exact: decode(encode(x)) stays what it was.
    """
    zs = torch.cat([moments(vae, to_float(b))[:, :4] for b in images.split(16)])
    mean, std = zs.mean((0, 2, 3)), zs.std((0, 2, 3))
    k = 1 / (SCALE * std)  # z' = (z - mean) * k
    q, p = vae.quant_conv, vae.post_quant_conv
    q.weight[:4] *= k[:, None, None, None]
    q.bias[:4] = (q.bias[:4] - mean) * k
    q.bias[4:] += 2 * k.log()
    p.bias += (p.weight[:, :, 0, 0] * mean[None]).sum(1)
    p.weight /= k[None, :, None, None]
    return mean, std


def stage_vae(a):
    f = os.path.join(WORK, "vae_images.npy")
    if not os.path.exists(f):
        seeds = range(10_000_000, 10_000_000 + min(4000, a.count))
        chunks = [(seeds[i : i + 50], 128, 128) for i in range(0, len(seeds), 50)]
        with multiprocessing.get_context("fork").Pool(a.procs) as pool:
            np.save(f, np.concatenate([x for x, _ in pool.starmap(render_array, chunks)]))
        log("rendered", len(seeds))
    launch(train_vae, a, 29500)
    vae = build_vae()
    vae.load_state_dict(torch.load(os.path.join(WORK, "vae.pt"))["model"])
    if not a.start:
        sub = torch.from_numpy(np.load(f, mmap_mode="r")[:256].copy())
        mean, std = rescale_vae(vae.eval(), sub)
        log("latent mean", mean.tolist(), "std", std.tolist(), "-> folded into the quant convs")
    vae.save_pretrained(os.path.join(WORK, "vae"))


# ------------------------------------------------------------------------------------------------ latents


def latent_jobs(count):
    """All shards (name, width, height, first seed, pictures), the sizes mixed evenly."""
    jobs = []
    for name, w, h, share, base, _ in SIZES:
        n = max(1, int(count * share))
        jobs += [((k + SHARD) / n, name, w, h, base + k, min(SHARD, n - k)) for k in range(0, n, SHARD)]
    return [j[1:] for j in sorted(jobs)]


@torch.no_grad()
def latent_worker(rank, a, _port):
    torch.set_num_threads(1)
    vae = load_vae(os.path.join(a.start or WORK, "vae")).to(a.device)
    for name, w, h, first, n in latent_jobs(a.count)[rank :: a.procs]:
        f = os.path.join(WORK, f"latents_{name}_{first}.pt")
        if os.path.exists(f):
            continue
        out, texts = [], []
        for i in range(first, first + n, 20):
            u8, some = render_array(range(i, min(i + 20, first + n)), w, h)
            texts += some
            out.append(moments(vae, to_float(torch.from_numpy(u8)).to(a.device)).contiguous().half().cpu())
        save_state({"moments": torch.cat(out), "texts": texts}, f)
        log("latents", name, first)


def stage_latents(a):
    launch(latent_worker, a, 29600)


# -------------------------------------------------------------------------------------------------- U-Net


def alphas_bar():
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, 0).float()


class Latents:
    """The latents and token ids on disk; `refresh` takes in shards that were written since."""

    def __init__(self, tok):
        self.tok, self.files, self.sets, self.order = tok, set(), {}, {}

    def refresh(self):
        for f in sorted(os.listdir(WORK)):
            if not (f.startswith("latents_") and f.endswith(".pt")) or f in self.files:
                continue
            self.files.add(f)
            p = torch.load(os.path.join(WORK, f))
            new = (p["moments"], encode_texts(self.tok, p["texts"]))
            name = f.split("_")[1]
            old = self.sets.get(name)
            self.sets[name] = tuple(torch.cat(x) for x in zip(old, new, strict=False)) if old else new
        return sum(len(x) for x, _ in self.sets.values())

    def batch(self, size, rnd):
        """Moments and ids of one size of canvas; bigger canvases come in smaller batches."""
        names = [n for n in SIZES if n[0] in self.sets]
        name, w, h, *_ = rnd.choices(names, [n[5] for n in names])[0]
        n = max(1, round(size * 128 * 128 / (w * h)))
        if len(self.order.get(name, [])) < n:
            self.order[name] = torch.randperm(len(self.sets[name][0])).tolist()
        idx = torch.tensor([self.order[name].pop() for _ in range(min(n, len(self.order[name])))])
        return self.sets[name][0][idx], self.sets[name][1][idx].long()


def start_weights(folder, unet, text):
    """Loads U-Net and text encoder of a diffusers folder (fp16) into fresh modules."""
    from safetensors.torch import load_file

    unet.load_state_dict(
        {
            k: v.float()
            for k, v in load_file(os.path.join(folder, "unet", "diffusion_pytorch_model.safetensors")).items()
        }
    )
    sd = {k: v.float() for k, v in load_file(os.path.join(folder, "text_encoder", "model.safetensors")).items()}
    if not any(k.startswith("text_model.") for k in text.state_dict()):
        sd = {k.removeprefix("text_model."): v for k, v in sd.items()}
    missing, unexpected = text.load_state_dict(sd, strict=False)
    assert not unexpected, unexpected
    assert all(k.endswith("position_ids") for k in missing), missing


def train_unet(rank, a, port):
    init_dist(rank, a, port)
    tok = load_tokenizer()
    data = Latents(tok)
    log("latents:", data.refresh())
    empty = encode_texts(tok, [""]).long()
    unet, text = build_unet(), build_text(len(tok))
    if a.start:
        start_weights(a.start, unet, text)
    unet.to(a.device), text.to(a.device)
    params = [*unet.parameters(), *text.parameters()]
    state = os.path.join(WORK, "unet.pt")
    step = seen = 0
    done, resumed = 0.0, None
    if a.resume and os.path.exists(state):
        resumed = torch.load(state, map_location=a.device)
        unet.load_state_dict(resumed["unet"])
        text.load_state_dict(resumed["text"])
        step, seen, done = resumed["step"], resumed["samples"], resumed["progress"]
        if a.again:
            done = 0.0
    if a.procs > 1:
        for p in params:
            dist.broadcast(p.data, 0)
    opt = Muon([*unet.named_parameters(), *text.named_parameters()], 1e-3, a.procs, rank)
    ema = [p.detach().clone() for p in params]
    if resumed:
        opt.load_state_dict(resumed["opt"])
        for e, v in zip(ema, resumed["ema"], strict=False):
            e.copy_(v)
    ab = alphas_bar().to(a.device)
    rnd = random.Random(a.seed * 991 + rank + step)
    torch.manual_seed(a.seed * 991 + rank + step)
    t0 = last = saved = time.time()
    step0, seen0, run = step, seen, None

    def save(progress):
        save_state(
            {
                "unet": unet.state_dict(),
                "text": text.state_dict(),
                "ema": ema,
                "opt": opt.state_dict(),
                "step": step,
                "samples": seen,
                "progress": progress,
            },
            state,
        )

    while (progress := shared_progress(t0, a.minutes, a.procs, done)) < 1:
        mom, ids = data.batch(a.batch, rnd)
        n = len(mom)
        ids[torch.rand(n) < 0.10] = empty
        mom, ids = mom.to(a.device).float(), ids.to(a.device)
        mean, logvar = mom.chunk(2, 1)
        z = (mean + (0.5 * logvar).exp() * torch.randn_like(mean)) * SCALE
        t = ((torch.arange(n) + torch.rand(1)) / n * 1000).long().clamp(0, 999).to(a.device)  # stratified
        noise = torch.randn_like(z)
        s = ab[t][:, None, None, None]
        x = s.sqrt() * z + (1 - s).sqrt() * noise
        with torch.autocast(a.device, torch.bfloat16, enabled=a.amp):
            pred = unet(x, t, text(ids)[0]).sample
        mse = ((pred.float() - noise) ** 2).mean((1, 2, 3))
        snr = ab[t] / (1 - ab[t])
        loss = (torch.clamp(5 / snr, max=1) * mse).mean() / 0.6  # min-SNR-5 weights for eps prediction
        loss.backward()
        for p in params:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        reduce_grads(params, a.procs)
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        lr = lr_at(progress, step - step0, a.lr or 2e-3, 100)
        opt.step(lr)
        opt.zero_grad()
        step += 1
        seen += n * a.procs
        with torch.no_grad():
            d = a.ema if a.start else min(a.ema, (1 + step) / (10 + step))
            torch._foreach_lerp_(ema, [p.detach() for p in params], 1 - d)
        v = (float(mse.detach().mean()), float(loss.detach()))
        k = max(0.005, 1 / (step - step0))
        run = v if run is None else tuple((1 - k) * r + k * q for r, q in zip(run, v, strict=False))
        if time.time() - last > 30:
            last = time.time()
            if rank == 0:
                log(
                    f"unet step {step} samples {seen} ({(seen - seen0) / (last - t0):.1f}/s) eps-mse {run[0]:.4f}",
                    f"weighted {run[1]:.4f} lr {lr:.2e} pictures {data.refresh()}",
                )
                if last - saved > 100:
                    saved = last
                    save(progress)
            else:
                data.refresh()
    if rank == 0:
        save(1.0)
        log("unet done, steps", step, "samples", seen)


def stage_unet(a):
    make_tokenizer(os.path.join(WORK, "tokenizer"))
    launch(train_unet, a, 29700)


def load_trained(use_ema=True):
    tok = load_tokenizer()
    unet, text = build_unet(), build_text(len(tok))
    s = torch.load(os.path.join(WORK, "unet.pt"), map_location="cpu")
    unet.load_state_dict(s["unet"])
    text.load_state_dict(s["text"])
    if use_ema:
        with torch.no_grad():
            for p, e in zip([*unet.parameters(), *text.parameters()], s["ema"], strict=False):
                p.copy_(e)
    return tok, text.eval(), unet.eval(), s


# ------------------------------------------------------------------------------------------------- export


def stage_export(a):
    """Writes the diffusers folder: EMA weights in half precision, text keys that every transformers reads."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline
    from safetensors.torch import save_file

    tok, text, unet, state = load_trained()
    log("exporting step", state["step"], "samples", state["samples"])
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        num_train_timesteps=1000,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="epsilon",
    )
    tmp = a.out.rstrip("/") + ".tmp"
    shutil.rmtree(tmp, ignore_errors=True)
    StableDiffusionPipeline(
        vae=load_vae(os.path.join(WORK, "vae")),
        text_encoder=text,
        tokenizer=tok,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).to(torch.float16).save_pretrained(tmp, safe_serialization=True)
    folder = os.path.join(tmp, "text_encoder")
    for f in os.listdir(folder):
        if f.endswith(".safetensors"):
            os.remove(os.path.join(folder, f))
    # transformers 5 dropped the `text_model.` prefix that everything else expects
    sd = {
        (k if k.startswith("text_model.") else "text_model." + k): v.half().contiguous()
        for k, v in text.state_dict().items()
        if not k.endswith("position_ids")
    }
    save_file(sd, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    with open(os.path.join(folder, "config.json")) as f:
        cfg = json.load(f)
    cfg.update(model_type="clip_text_model", architectures=["CLIPTextModel"], torch_dtype="float16", **TEXT_CONFIG)
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(cfg, f, indent=1)
    config = os.path.join(tmp, "vae", "config.json")
    with open(config) as f:
        cfg = json.load(f)
    cfg.pop("_name_or_path", None)  # a path of this machine
    with open(config, "w") as f:
        json.dump(cfg, f, indent=2)
    shutil.rmtree(os.path.join(tmp, "tokenizer"), ignore_errors=True)
    shutil.copytree(os.path.join(WORK, "tokenizer"), os.path.join(tmp, "tokenizer"))
    shutil.rmtree(a.out, ignore_errors=True)
    os.replace(tmp, a.out)
    size = sum(os.path.getsize(os.path.join(d, f)) for d, _, fs in os.walk(a.out) for f in fs)
    log(f"{a.out}: {size / 1e6:.2f} MB")


# ------------------------------------------------------------------------------------------------- main


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("stage", choices=["vae", "latents", "unet", "export", "all"])
    p.add_argument("--minutes", type=float, help="time for the stage (vae 30, unet 55)")
    p.add_argument("--procs", type=int, default=2)
    p.add_argument("--threads", type=int, default=1, help="per process")
    p.add_argument("--device", default="cpu", help="of the stages latents and unet; the latter with --procs 1")
    p.add_argument("--amp", action="store_true", help="bfloat16 autocast, for processors that have it in hardware")
    p.add_argument("--batch", type=int, help="per process (vae 8 crops, unet 32 pictures)")
    p.add_argument("--lr", type=float)
    p.add_argument("--count", type=int, default=24000, help="pictures of 128x128 for the U-Net")
    p.add_argument("--ema", type=float, default=0.999)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--start", help="diffusers folder to go on from")
    p.add_argument("--tie", type=float, default=0.5, help="weight of the VAE encoder's distance to --start's")
    p.add_argument("--noise", type=float, default=0.10, help="error of the latents the decoder learns to bear")
    p.add_argument("--freeze-encoder", action="store_true", help="train the VAE's decoder alone")
    p.add_argument("--resume", action="store_true", help="go on from the stage's state, schedule included")
    p.add_argument("--again", action="store_true", help="with --resume: begin the U-Net's schedule anew")
    p.add_argument("--out", default=os.path.join(WORK, "checkpoint"))
    return p.parse_args()


def main():
    a = parse()
    os.makedirs(WORK, exist_ok=True)
    for stage in ["vae", "latents", "unet", "export"] if a.stage == "all" else [a.stage]:
        b = argparse.Namespace(**vars(a))
        b.minutes = a.minutes or {"vae": 30, "unet": 55}.get(stage)
        b.batch = a.batch or {"vae": 8}.get(stage, 32)
        log("stage", stage)
        {"vae": stage_vae, "latents": stage_latents, "unet": stage_unet, "export": stage_export}[stage](b)


if __name__ == "__main__":
    main()
