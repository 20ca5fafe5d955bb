"""Measures a trained model (a diffusers folder) without any learned judge.

    python -m training.evaluate FOLDER --metrics metrics.json --sheets DIR
    python -m training.evaluate FOLDER --only vae|prompts|number|sheets

Prompts are 'a COLOUR OBJECT on GROUND, SKY', judged by the detector.  It is also run on real renderings of the same
prompts (what can be had at most) and on real renderings without the object (what mere background earns).  `number`
counts the things of the object's colour for 'a COLOUR OBJECT' and 'two COLOUR OBJECTs'.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from training.dataset import PLURALS, contact_sheet, make_sample, render
from training.detector import (
    Prompt,
    centroids,
    count_things,
    detect,
    prompt_list,
    scene_of,
    score,
    templates,
)

HELD_OUT = 20_000_000
"""Seeds from here on were in no training."""
STEPS = 25
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


def load(folder: Path) -> Any:
    """The pipeline of a diffusers folder, in float32."""
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(
        folder, torch_dtype=torch.float32, safety_checker=None, local_files_only=True
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def sample(
    pipe: Any,
    prompts: Sequence[str],
    seeds: Sequence[int],
    cfg: float = 5,
    scheduler: str = "ddim",
    size: tuple[int, int] = (128, 128),
    batch: int = 10,
) -> list[Image.Image]:
    """A picture of `size` (width, height) for each prompt and seed."""
    from diffusers import DDIMScheduler, EulerDiscreteScheduler

    kind = EulerDiscreteScheduler if scheduler == "euler" else DDIMScheduler
    pipe.scheduler = kind.from_config(pipe.scheduler.config)
    pictures = []
    for i in range(0, len(prompts), batch):
        pictures += pipe(
            prompts[i : i + batch],
            num_inference_steps=STEPS,
            guidance_scale=cfg,
            width=size[0],
            height=size[1],
            generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds[i : i + batch]],
        ).images
    return pictures


def tensor_of(pictures: Sequence[Image.Image]) -> Tensor:
    """[n, 3, H, W] in -1..1."""
    return torch.from_numpy(np.stack([np.asarray(p) for p in pictures])).float().permute(0, 3, 1, 2) / 127.5 - 1


def image_of(x: Tensor) -> Image.Image:
    """Of [3, H, W] in -1..1."""
    return Image.fromarray(((x.clamp(-1, 1).permute(1, 2, 0).numpy() + 1) * 127.5 + 0.5).astype(np.uint8))


@torch.no_grad()
def eval_vae(pipe: Any, sheets: Path | None, n: int = 200) -> dict[str, Any]:
    """How well pictures survive the VAE, and how its latents are spread."""
    psnr: list[float] = []
    pairs: list[Image.Image] = []
    latents = []
    for first in range(HELD_OUT, HELD_OUT + n, 10):
        pictures = [make_sample(seed)[0] for seed in range(first, first + 10)]
        x = tensor_of(pictures)
        z = pipe.vae.encode(x).latent_dist.mode()
        y = pipe.vae.decode(z).sample.clamp(-1, 1)
        latents.append(z * pipe.vae.config.scaling_factor)
        psnr += (10 * torch.log10(4 / ((x - y) ** 2).mean((1, 2, 3)))).tolist()
        if first < HELD_OUT + 20:
            pairs += pictures[:8] + [image_of(a) for a in y[:8]]
    if sheets:
        contact_sheet(pairs, (["real"] * 8 + ["VAE"] * 8) * (len(pairs) // 16), sheets / "vae.png")
    z = torch.cat(latents)
    return {
        "psnr_mean": float(np.mean(psnr)),
        "psnr_min": float(np.min(psnr)),
        "psnr_median": float(np.median(psnr)),
        "latent_mean": z.mean((0, 2, 3)).tolist(),
        "latent_std": z.std((0, 2, 3)).tolist(),
        "n": n,
    }


def agreements(rows: Sequence[tuple[Prompt, dict[str, Any]]]) -> dict[str, str]:
    """How often each kind, colour, ground and sky came out as asked for, such as 21/27."""
    hits: dict[str, list[bool]] = {}
    for p, d in rows:
        hits.setdefault(p.kind, []).append(d["kind"] == p.kind)
        hits.setdefault("colour " + p.colour, []).append(d["present"])
        hits.setdefault("ground " + p.ground, []).append(d["ground"] == p.ground)
        hits.setdefault("sky " + p.sky, []).append(d["sky"] == p.sky)
    return {name: f"{sum(values)}/{len(values)}" for name, values in sorted(hits.items())}


def label(p: Prompt, d: dict[str, Any]) -> str:
    """The prompt, and y or n for sky, ground, colour and kind."""
    right = (d["sky"] == p.sky, d["ground"] == p.ground, d["present"], d["kind"] == p.kind)
    return f"{p.text} [{''.join('ny'[ok] for ok in right)}]"


def eval_prompts(pipe: Any, sheets: Path | None, n: int, which: int) -> dict[str, Any]:
    """One list of prompts: list 0 with DDIM and CFG 5, list 1 with Euler and CFG 4."""
    scheduler, cfg = (("ddim", 5), ("euler", 4))[which]
    prompts, tools = prompt_list(n, which), (centroids(), templates())

    def judged(pictures: Sequence[Image.Image]) -> list[tuple[Prompt, dict[str, Any]]]:
        return [(p, detect(im, p.colour, p.sky, *tools)) for p, im in zip(prompts, pictures, strict=True)]

    real = judged([render(scene_of(7000 + i, p.sky, p.ground, [(p.kind, p.colour)])) for i, p in enumerate(prompts)])
    none = judged([render(scene_of(7000 + i, p.sky, p.ground)) for i, p in enumerate(prompts)])
    start = time.time()
    pictures = sample(pipe, [p.text for p in prompts], range(1000 * which, 1000 * which + n), cfg, scheduler)
    seconds = time.time() - start
    rows = judged(pictures)
    if sheets:
        contact_sheet(pictures, [label(*row) for row in rows], sheets / f"prompts{which}.png", columns=10)
    return {
        "model": score(rows),
        "real_renderings": score(real),
        "background_only": score(none),
        "cfg": cfg,
        "steps": STEPS,
        "scheduler": scheduler,
        "seconds_per_image": seconds / n,
        "per": agreements(rows),
    }


def two_of(p: Prompt) -> str:
    """The same prompt for two things: 'two red houses on grass, blue sky'."""
    _, rest = p.text.split(" ", 1)
    return "two " + rest.replace(p.kind, PLURALS[p.kind], 1)


def rendered(prompts: Sequence[Prompt], count: int) -> list[Image.Image]:
    """One thing anywhere, or two side by side."""
    pictures = []
    for i, p in enumerate(prompts):
        scene = scene_of(8000 + i, p.sky, p.ground, [(p.kind, p.colour)] * count)
        if count > 1:
            for k, thing in enumerate(scene["objects"]):
                thing.update(x=36 + 56 * k, scale=0.95)
        pictures.append(render(scene))
    return pictures


def eval_number(pipe: Any, sheets: Path | None, n: int = 40) -> dict[str, Any]:
    """Share of pictures with exactly one, exactly two things for 'a red house ...', 'two red houses ...'."""
    out = {}
    for name, want, seed in (("one", 1, 2), ("two", 2, 3)):
        prompts = prompt_list(n, seed)
        texts = [two_of(p) if want == 2 else p.text for p in prompts]
        pictures = sample(pipe, texts, range(500, 500 + n))
        real, counts = (
            [count_things(im, p.colour, p.sky) for im, p in zip(some, prompts, strict=True)]
            for some in (rendered(prompts, want), pictures)
        )
        out[name] = {
            "model": sum(count == want for count in counts) / n,
            "model_more": sum(count > want for count in counts) / n,
            "real_renderings": sum(count == want for count in real) / n,
            "n": n,
        }
        if sheets:
            labels = [f"{text} [{count}]" for text, count in zip(texts, counts, strict=True)]
            contact_sheet(pictures, labels, sheets / f"number{want}.png", columns=10)
    return out


def draw_sheets(pipe: Any, folder: Path) -> None:
    """Pictures to look at: small, wide and bigger than usual."""
    each = 4
    texts = [text for text in SHEET for _ in range(each)]
    pictures = sample(pipe, texts, [100 + i % each for i in range(len(texts))])
    contact_sheet(pictures, texts, folder / "samples.png", columns=8)
    wide = sample(pipe, WIDE, range(1, 5), size=(384, 128))
    contact_sheet(wide, WIDE, folder / "wide.png", columns=2, wrap=60)
    contact_sheet(sample(pipe, BIG, range(1, 5), size=(192, 192)), BIG, folder / "192.png", columns=4)


def parsed() -> argparse.Namespace:
    """The command line."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=Path, help="diffusers folder of the model")
    p.add_argument("--only", choices=["vae", "prompts", "number", "sheets"])
    p.add_argument("--prompts", type=int, default=100)
    p.add_argument("--metrics", type=Path, help="JSON file to update")
    p.add_argument("--sheets", type=Path, help="folder for contact sheets")
    p.add_argument("--threads", type=int, default=2)
    return p.parse_args()


def measured(pipe: Any, options: argparse.Namespace) -> dict[str, Any]:
    """The figures that are asked for, by section."""
    figures = {}
    if options.only in (None, "vae"):
        figures["vae"] = eval_vae(pipe, options.sheets)
    if options.only in (None, "prompts"):
        figures["prompts_list0_ddim_cfg5"] = eval_prompts(pipe, options.sheets, options.prompts, 0)
        figures["prompts_list1_euler_cfg4"] = eval_prompts(pipe, options.sheets, options.prompts, 1)
    if options.only in (None, "number"):
        figures["number"] = eval_number(pipe, options.sheets)
    return figures


def main() -> None:
    """Measures, prints, and updates the file of figures."""
    options = parsed()
    torch.set_num_threads(options.threads)
    if options.sheets:
        options.sheets.mkdir(parents=True, exist_ok=True)
    figures = {}
    if options.metrics and options.metrics.exists():
        figures = json.loads(options.metrics.read_text())
    pipe = load(options.folder)
    figures |= measured(pipe, options)
    if options.only in (None, "sheets") and options.sheets:
        draw_sheets(pipe, options.sheets)
    print(json.dumps(figures, indent=1))
    if options.metrics:
        options.metrics.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
