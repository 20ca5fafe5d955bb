"""AUTOMATIC1111: img2img pictures that are drawn by the job that a script runs in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from modules import images, processing, shared

from tiled_diffusion.webui.hosts.values import DrawnPicture, MaskedPicture, PictureBatch

LATENT_NOTHING, ORIGINAL = 3, 1
"""What the masked part begins as; with all of the denoising strength, "latent nothing" is noise."""
PLAIN = {"return_mask": False, "return_mask_composite": False, "save_mask": False, "save_mask_composite": False}
"""Settings of the host without which masks would stand among the pictures."""


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


@contextmanager
def _changed(p: Any, now: dict[str, Any]) -> Iterator[None]:
    """The job with other attributes; afterwards it is as it was."""
    before = {name: getattr(p, name) for name in now}
    try:
        for name, value in now.items():
            setattr(p, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(p, name, value)


@contextmanager
def _own_numbers(seed: int) -> Iterator[None]:
    """For the host's encoder, which else draws from the random numbers that the last job has left."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def draw_pictures(p: Any, batch: PictureBatch) -> list[Any]:
    """By the job itself, whose LoRAs, ControlNets and sampler hold; afterwards it is as it was."""
    width, height = batch.size
    now = {
        "init_images": list(batch.starts), "prompt": list(batch.prompts), "seed": list(batch.seeds),
        "negative_prompt": list(batch.negative_prompts), "batch_size": len(batch.starts), "n_iter": 1, "width": width,
        "height": height, "denoising_strength": batch.strength, "cfg_scale": batch.scale, "do_not_save_grid": True,
        "do_not_save_samples": True,
    }  # fmt: skip
    with _changed(p, now), _own_numbers(batch.seeds[0]):
        processed = processing.process_images(p)
    first = processed.index_of_first_image
    return list(processed.images[first : first + len(batch.starts)])


def draw_masked(p: Any, masked: MaskedPicture) -> list[DrawnPicture]:
    """By the job itself, with its batches and seeds; afterwards it is as it was."""
    width, height = masked.start.size
    now = {
        "init_images": [masked.start], "image_mask": masked.mask, "inpaint_full_res": False,
        "inpainting_mask_invert": 0, "mask_blur_x": 0, "mask_blur_y": 0,
        "inpainting_fill": LATENT_NOTHING if masked.noise else ORIGINAL,
        "denoising_strength": 1.0 if masked.noise else p.denoising_strength, "resize_mode": 0, "width": width,
        "height": height, "do_not_save_grid": True, "do_not_save_samples": True,
        "override_settings": {**(p.override_settings or {}), **PLAIN},
    }  # fmt: skip
    with _changed(p, now), _own_numbers(int(p.seed)):
        processed = processing.process_images(p)
    first = processed.index_of_first_image
    made = zip(processed.images[first:], processed.all_seeds, processed.infotexts[first:], strict=False)
    return [DrawnPicture(image, int(seed), text) for image, seed, text in made]


def results(p: Any, pictures: Sequence[DrawnPicture]) -> Any:
    """Each with the record of what it was made of, in its file too."""
    for drawn in pictures:
        if shared.opts.enable_pnginfo:
            drawn.image.info["parameters"] = drawn.record
        if shared.opts.samples_save and not p.do_not_save_samples:
            kind = shared.opts.samples_format
            images.save_image(drawn.image, p.outpath_samples, "", drawn.seed, p.prompt, kind, info=drawn.record, p=p)
    texts, seed = [drawn.record for drawn in pictures], pictures[0].seed if pictures else p.seed
    every = [drawn.image for drawn in pictures]
    return processing.Processed(p, every, seed, texts[0] if texts else "", infotexts=texts)


def result(p: Any, pictures: list[Any], seed: int) -> Any:
    """What a script gives back, with the record of its pictures."""
    p.all_prompts, p.all_negative_prompts, p.all_seeds = [p.prompt], [p.negative_prompt], [seed]
    p.all_subseeds = [p.subseed if isinstance(p.subseed, int) else 0]
    text = processing.create_infotext(p, p.all_prompts, p.all_seeds, p.all_subseeds)
    return processing.Processed(p, pictures, seed, text, infotexts=[text] * len(pictures))
