#!/usr/bin/env python3
"""Measures a trained model (a diffusers folder) without any learned judge.

    python training/evaluate.py FOLDER --metrics metrics.json --sheets DIR
    python training/evaluate.py FOLDER --only vae|prompts|number|sheets

Prompts are 'a COLOUR OBJECT on GROUND, SKY'.  The detector looks at mean colours of three bands (nearest centroid of
rendered scenes) for ground and sky, and for the object at the biggest connected blob of the object's colour that
differs from its row's median: whether it is there, and which object's silhouette it fits best.  It is also run on real
renderings of the same prompts (what can be had at most) and on real renderings without the object (what mere
background earns).  `number` counts the things of the object's colour for 'a COLOUR OBJECT' and 'two COLOUR OBJECTs'.
"""

import argparse
import json
import math
import os
import random
import time

import dataset as D
import numpy as np
import torch
from PIL import Image

PHRASE = {"day": "blue sky", "sunset": "sunset", "night": "night sky", "storm": "stormy sky", "dawn": "pink sky"}
GROUND = {
    "grass": "grass",
    "sand": "sand",
    "snow": "snow",
    "sea": "the sea",
    "city": "a city street",
    "forest": "a forest",
    "mountains": "mountains",
    "lavender": "a lavender field",
}


# ----------------------------------------------------------------------------------------------- detector


def scene_of(seed, sky, ground, objects=()):
    r = random.Random(seed)
    s = {
        "seed": seed,
        "width": 128,
        "height": 128,
        "sky": sky,
        "ground": ground,
        "horizon": r.uniform(0.50, 0.62) * 128,
        "objects": [],
    }
    for kind, colour in objects:
        y = (
            r.uniform(0.22, 0.36) * 128
            if kind == "balloon"
            else r.uniform(s["horizon"] + 12, min(120, s["horizon"] + 40))
        )
        s["objects"].append(
            {"kind": kind, "colour": colour, "x": r.uniform(30, 98), "y": y, "scale": r.uniform(0.85, 1.2)}
        )
    return s


def bands(im):
    a = np.asarray(im.convert("RGB"), np.float32)
    h = a.shape[0]
    f = []
    for lo, hi in ((0, 0.30), (0.34, 0.52), (0.66, 1)):
        b = a[int(lo * h) : int(hi * h)].reshape(-1, 3)
        f += [np.median(b, 0), b.std(0) * 0.7]
    return np.concatenate(f)


def centroids():
    c = {}
    for sky in D.SKIES:
        for g in D.GROUNDS:
            r = random.Random(sky + g)
            fs = []
            for k in range(12):
                obs = [(r.choice(D.GROUND_OBJECTS[g]), r.choice(list(D.COLOURS)))] if k % 2 else []
                obs = [(o, col if o != "cactus" else "green") for o, col in obs]
                fs.append(bands(D.render(scene_of(900000 + k, sky, g, obs))))
            c[sky, g] = np.mean(fs, 0)
    return c


def components(im, colour, sky):
    """Labels (0: none) of the 4-connected blobs of the colour, plain or shaded, that is unlike its row's median."""
    a = np.asarray(im.convert("RGB"), np.float32)
    base = np.array(D._tint(D.COLOURS[colour], D.SKIES[sky]["obj"]), np.float32)
    dark = base * 0.70 + np.array((34, 27, 38)) * 0.30
    d = np.linalg.norm(a - base, axis=2)
    if colour != "white":
        d = np.minimum(d, np.linalg.norm(a - dark, axis=2))
    m = (d < 52) & (np.linalg.norm(a - np.median(a, 1, keepdims=True), axis=2) > 34)
    lab = np.where(m, np.arange(m.size).reshape(m.shape) + 1, 0)
    while True:  # spread the biggest label
        n = lab.copy()
        for ax, sh in ((0, 1), (0, -1), (1, 1), (1, -1)):
            r = np.roll(lab, sh, ax)
            edge = [slice(None)] * 2
            edge[ax] = 0 if sh == 1 else -1
            r[tuple(edge)] = 0
            n = np.maximum(n, r)
        n[~m] = 0
        # jump: each pixel takes the label of the pixel that its label names
        n = np.where(n > 0, np.maximum(n, n.reshape(-1)[np.maximum(n, 1) - 1]), 0)
        if (n == lab).all():
            return lab
        lab = n


def blob(im, colour, sky):
    """The biggest blob of the colour as a boolean array."""
    lab = components(im, colour, sky)
    ids, cnt = np.unique(lab[lab > 0], return_counts=True)
    return lab == ids[cnt.argmax()] if len(ids) else lab > 0


def count_things(im, colour, sky):
    """How many things of the colour stand side by side; parts above each other are one thing."""
    lab = components(im, colour, sky)
    ids, cnt = np.unique(lab[lab > 0], return_counts=True)
    spans = []
    for i, c in zip(ids, cnt, strict=True):
        if c >= max(70, 0.25 * cnt.max()):
            xs = np.where((lab == i).any(0))[0]
            spans.append((int(xs.min()), int(xs.max())))
    n, right = 0, -1
    for x0, x1 in sorted(spans):
        n += x0 > right
        right = max(right, x1)
    return n


def normal(mask, n=24):
    ys, xs = np.where(mask)
    box = mask[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    s = np.asarray(Image.fromarray((box * 255).astype(np.uint8)).resize((n, n), Image.BOX), np.float32) / 255
    return s, math.log(box.shape[0] / box.shape[1]), (ys.min() + ys.max()) / 2 / mask.shape[0]


def templates():
    t = []
    for kind in ("house", "tree", "tower", "balloon", "boat"):
        for sc in (0.9, 1.15):
            s = scene_of(5, "day", "snow", [])
            s["objects"] = [
                {"kind": kind, "colour": "red", "x": 64, "y": 50 if kind == "balloon" else 104, "scale": sc}
            ]
            t.append((kind, *normal(blob(D.render(s), "red", "day"))))
    return t


def detect(im, colour, sky, cents, temps):
    f = bands(im)
    key = min(cents, key=lambda k: np.abs(f - cents[k]).sum())
    m = blob(im, colour, sky)
    area = int(m.sum())
    kind = None
    present = 150 <= area <= 3200
    if present:
        s, asp, yc = normal(m)
        kind = max(
            temps,
            key=lambda t: (
                np.minimum(t[1], s).sum() / np.maximum(t[1], s).sum() - 0.5 * abs(t[2] - asp) - 0.5 * abs(t[3] - yc)
            ),
        )[0]
    return {"sky": key[0], "ground": key[1], "area": area, "present": present, "kind": kind}


def prompt_list(n, seed=0):
    r = random.Random(seed)
    out = []
    while len(out) < n:
        ground, sky = r.choice(list(D.GROUNDS)), r.choice(list(D.SKIES))
        kind = "boat" if ground == "sea" and r.random() < 0.6 else r.choice(["house", "tree", "tower", "balloon"])
        if (ground == "sea" and kind not in ("boat", "balloon")) or (ground == "sand" and kind == "tree"):
            continue
        colour = r.choice(D.OBJECT_COLOURS[kind])
        prep = "over" if kind == "balloon" else "on"
        art = "an" if colour == "orange" else "a"
        out.append((f"{art} {colour} {kind} {prep} {GROUND[ground]}, {PHRASE[sky]}", kind, colour, ground, sky))
    return out


def score(rows):
    n = len(rows)
    return {
        "n": n,
        "sky": sum(d["sky"] == p[4] for p, d in rows) / n,
        "ground": sum(d["ground"] == p[3] for p, d in rows) / n,
        "object_colour": sum(d["present"] for p, d in rows) / n,
        "object_kind_and_colour": sum(d["kind"] == p[1] for p, d in rows) / n,
        "all": sum(d["sky"] == p[4] and d["ground"] == p[3] and d["kind"] == p[1] for p, d in rows) / n,
    }


# --------------------------------------------------------------------------------------------------- runs


def load(folder):
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(
        folder, torch_dtype=torch.float32, safety_checker=None, local_files_only=True
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def sample(pipe, prompts, seeds, cfg=5, steps=25, width=128, height=128, batch=10, scheduler="ddim"):
    from diffusers import DDIMScheduler, EulerDiscreteScheduler

    pipe.scheduler = (EulerDiscreteScheduler if scheduler == "euler" else DDIMScheduler).from_config(
        pipe.scheduler.config
    )
    out = []
    for i in range(0, len(prompts), batch):
        g = [torch.Generator("cpu").manual_seed(s) for s in seeds[i : i + batch]]
        out += pipe(
            prompts[i : i + batch],
            num_inference_steps=steps,
            guidance_scale=cfg,
            width=width,
            height=height,
            generator=g,
        ).images
    return out


def tensor_of(ims):
    return torch.from_numpy(np.stack([np.asarray(im) for im in ims])).float().permute(0, 3, 1, 2) / 127.5 - 1


def image_of(x):
    return Image.fromarray(((x.clamp(-1, 1).permute(1, 2, 0).numpy() + 1) * 127.5 + 0.5).astype(np.uint8))


@torch.no_grad()
def eval_vae(pipe, sheet_dir, n=200):
    ps, pairs, zs = [], [], []
    for i in range(0, n, 10):
        ims = [D.make_sample(20_000_000 + i + k)[0] for k in range(10)]
        x = tensor_of(ims)
        z = pipe.vae.encode(x).latent_dist.mode()
        y = pipe.vae.decode(z).sample.clamp(-1, 1)
        zs.append(z * pipe.vae.config.scaling_factor)
        ps += (10 * torch.log10(4 / ((x - y) ** 2).mean((1, 2, 3)))).tolist()
        if i < 20:
            pairs += ims[:8] + [image_of(a) for a in y[:8]]
    if sheet_dir:
        D.contact_sheet(pairs, (["real"] * 8 + ["VAE"] * 8) * 2, os.path.join(sheet_dir, "vae.png"))
    z = torch.cat(zs)
    return {
        "psnr_mean": float(np.mean(ps)),
        "psnr_min": float(np.min(ps)),
        "psnr_median": float(np.median(ps)),
        "latent_mean": z.mean((0, 2, 3)).tolist(),
        "latent_std": z.std((0, 2, 3)).tolist(),
        "n": n,
    }


def eval_prompts(pipe, sheet_dir, n, which):
    """One list of prompts: list 0 with DDIM and CFG 5, list 1 with Euler and CFG 4."""
    scheduler, cfg = (("ddim", 5), ("euler", 4))[which]
    prompts, cents, temps = prompt_list(n, which), centroids(), templates()

    def judge(pictures):
        return [(p, detect(im, p[2], p[4], cents, temps)) for p, im in zip(prompts, pictures, strict=True)]

    real = judge([D.render(scene_of(7000 + i, p[4], p[3], [(p[1], p[2])])) for i, p in enumerate(prompts)])
    none = judge([D.render(scene_of(7000 + i, p[4], p[3])) for i, p in enumerate(prompts)])
    t = time.time()
    ims = sample(pipe, [p[0] for p in prompts], [1000 * which + i for i in range(n)], cfg, scheduler=scheduler)
    t = time.time() - t
    gen = judge(ims)
    if sheet_dir:
        marks = [
            "".join("ny"[ok] for ok in (d["sky"] == p[4], d["ground"] == p[3], d["present"], d["kind"] == p[1]))
            for p, d in gen
        ]
        labels = [f"{p[0]} [{m}]" for (p, _), m in zip(gen, marks, strict=True)]
        D.contact_sheet(ims, labels, os.path.join(sheet_dir, f"prompts{which}.png"), cols=10)
    per = {}
    for p, d in gen:
        per.setdefault(p[1], []).append(d["kind"] == p[1])
        per.setdefault("colour " + p[2], []).append(d["present"])
        per.setdefault("ground " + p[3], []).append(d["ground"] == p[3])
        per.setdefault("sky " + p[4], []).append(d["sky"] == p[4])
    return {
        "model": score(gen),
        "real_renderings": score(real),
        "background_only": score(none),
        "cfg": cfg,
        "steps": 25,
        "scheduler": scheduler,
        "seconds_per_image": t / n,
        "per": {k: f"{sum(v)}/{len(v)}" for k, v in sorted(per.items())},
    }


def eval_number(pipe, sheet_dir, n=40):
    """Share of pictures with exactly one, exactly two things for 'a red house ...', 'two red houses ...'."""
    out = {}
    for want, seed in ((1, 2), (2, 3)):
        prompts = prompt_list(n, seed)
        if want == 2:
            texts = [t.replace(" ", "  ", 1).split("  ")[1].replace(k, D.PLURALS[k], 1) for t, k, *_ in prompts]
            texts = ["two " + t for t in texts]
        else:
            texts = [p[0] for p in prompts]
        real = []
        for i, p in enumerate(prompts):
            scene = scene_of(8000 + i, p[4], p[3], [(p[1], p[2])] * want)
            for k, ob in enumerate(scene["objects"]):
                ob["x"] = ob["x"] if want == 1 else 36 + 56 * k
                ob["scale"] = ob["scale"] if want == 1 else 0.95
            real.append(count_things(D.render(scene), p[2], p[4]))
        ims = sample(pipe, texts, range(500, 500 + n))
        got = [count_things(im, p[2], p[4]) for im, p in zip(ims, prompts, strict=True)]
        out["one" if want == 1 else "two"] = {
            "model": sum(g == want for g in got) / n,
            "model_more": sum(g > want for g in got) / n,
            "real_renderings": sum(g == want for g in real) / n,
            "n": n,
        }
        if sheet_dir:
            labels = [f"{t} [{g}]" for t, g in zip(texts, got, strict=True)]
            D.contact_sheet(ims, labels, os.path.join(sheet_dir, f"number{want}.png"), cols=10)
    return out


SHEET = [
    "a red house on grass, blue sky",
    "a white boat on the sea, sunset",
    "a purple balloon over the desert, blue sky",
    "a yellow tower in a forest, pink sky",
    "a city at night with a full moon",
    "two cacti in the desert, blue sky, sun",
    "a lavender field, a pink house, pink sky",
    "close up of a blue house on snow, sunset",
]
WIDE = [
    "a meadow with houses, blue sky",
    "the sea, three boats, sunset",
    "a panorama of a city at night",
    "mountains, blue sky, a red balloon",
]
BIG = [
    "a red house on grass, blue sky",
    "a green tower and a pink house on snow, sunset",
    "the sea, a white boat, a yellow balloon",
    "a forest at night, moon",
]


def sheets(pipe, folder):
    per = 4
    texts = [p for p in SHEET for _ in range(per)]
    ims = sample(pipe, texts, [100 + i % per for i in range(len(texts))])
    D.contact_sheet(ims, texts, os.path.join(folder, "samples.png"), cols=8)
    ims = sample(pipe, WIDE, range(1, 5), width=384)
    D.contact_sheet(ims, WIDE, os.path.join(folder, "wide.png"), cols=2, wrap=60)
    ims = sample(pipe, BIG, range(1, 5), width=192, height=192)
    D.contact_sheet(ims, BIG, os.path.join(folder, "192.png"), cols=4)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", help="diffusers folder of the model")
    p.add_argument("--only", choices=["vae", "prompts", "number", "sheets"])
    p.add_argument("--prompts", type=int, default=100)
    p.add_argument("--metrics", help="JSON file to update")
    p.add_argument("--sheets", help="folder for contact sheets")
    p.add_argument("--threads", type=int, default=2)
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    if a.sheets:
        os.makedirs(a.sheets, exist_ok=True)
    m = {}
    if a.metrics and os.path.exists(a.metrics):
        with open(a.metrics) as f:
            m = json.load(f)
    pipe = load(a.folder)
    if a.only in (None, "vae"):
        m["vae"] = eval_vae(pipe, a.sheets)
    if a.only in (None, "prompts"):
        m["prompts_list0_ddim_cfg5"] = eval_prompts(pipe, a.sheets, a.prompts, 0)
        m["prompts_list1_euler_cfg4"] = eval_prompts(pipe, a.sheets, a.prompts, 1)
    if a.only in (None, "number"):
        m["number"] = eval_number(pipe, a.sheets)
    if a.only in (None, "sheets") and a.sheets:
        sheets(pipe, a.sheets)
    print(json.dumps(m, indent=1))
    if a.metrics:
        with open(a.metrics, "w") as f:
            json.dump(m, f, indent=1)


if __name__ == "__main__":
    main()
