"""AUTOMATIC1111: a batch of unlike img2img pictures, drawn by the job that a script runs in."""

from __future__ import annotations

from typing import Any

import torch
from modules import images, processing, shared

from tiled_diffusion.webui.hosts.values import PictureBatch

CHANGED = (
    "init_images", "prompt", "negative_prompt", "seed", "batch_size", "n_iter", "width", "height", "denoising_strength",
    "cfg_scale", "do_not_save_grid", "do_not_save_samples",
)  # fmt: skip


def fix_seed(p: Any) -> int:
    """A seed of -1 becomes a number."""
    processing.fix_seed(p)
    return int(p.seed)


def on_ground(image: Any) -> Any:
    """RGB; transparent parts have the colour that the settings say."""
    return images.flatten(image, shared.opts.img2img_background_color)


def announce(batches: int) -> None:
    """The page's bar goes over so many batches."""
    shared.state.job_count = batches


def draw_pictures(p: Any, batch: PictureBatch) -> list[Any]:
    """By the job itself, whose LoRAs, ControlNets and sampler hold; afterwards it is as it was."""
    before = {name: getattr(p, name) for name in CHANGED}
    width, height = batch.size
    now = {
        "init_images": list(batch.starts), "prompt": list(batch.prompts), "seed": list(batch.seeds),
        "negative_prompt": list(batch.negative_prompts), "batch_size": len(batch.starts), "n_iter": 1, "width": width,
        "height": height, "denoising_strength": batch.strength, "cfg_scale": batch.scale, "do_not_save_grid": True,
        "do_not_save_samples": True,
    }  # fmt: skip
    try:
        for name, value in now.items():
            setattr(p, name, value)
        with torch.random.fork_rng():  # the host's encoder draws from what the last job has left
            torch.manual_seed(batch.seeds[0])
            processed = processing.process_images(p)
    finally:
        for name, value in before.items():
            setattr(p, name, value)
    first = processed.index_of_first_image
    return list(processed.images[first : first + len(batch.starts)])


def result(p: Any, pictures: list[Any], seed: int) -> Any:
    """What a script gives back, with the record of its pictures."""
    p.all_prompts, p.all_negative_prompts, p.all_seeds = [p.prompt], [p.negative_prompt], [seed]
    p.all_subseeds = [p.subseed if isinstance(p.subseed, int) else 0]
    text = processing.create_infotext(p, p.all_prompts, p.all_seeds, p.all_subseeds)
    return processing.Processed(p, pictures, seed, text, infotexts=[text] * len(pictures))
