"""AUTOMATIC1111: pictures that are drawn within a job: unlike ones by the job itself, and each by a job of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import torch
from modules import images, processing, shared

from tiled_diffusion.engine.noise import keyed_generator
from tiled_diffusion.webui.hosts.values import DrawnApart, DrawnPicture, MaskedPicture, PictureApart, PictureBatch

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
    """For the host's encoder, which else draws from the random numbers that the last job has left.

    They are others than those of the start noise, which in part would come twice.
    """
    with torch.random.fork_rng():
        torch.set_rng_state(keyed_generator(seed, "encoder").get_state())
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


def announce_more(batches: int) -> None:
    """The page's bar goes over so many batches more."""
    shared.state.job_count = max(0, shared.state.job_count) + batches


def draw_apart(p: Any, picture: PictureApart) -> DrawnApart:
    """By txt2img, or by img2img where it starts from a picture; faces are left to the job that it is made of."""
    own = _job_apart(p, picture)
    try:
        with _own_numbers(picture.seed):
            processed = processing.process_images(own)
        first = processed.index_of_first_image
        image = next(iter(processed.images[first:]), None)
        return DrawnApart(image, dict(own.extra_generation_params), tuple(str(comment) for comment in own.comments))
    finally:
        own.close()


def _job_apart(p: Any, picture: PictureApart) -> Any:
    """What all jobs have is the same, but for what a single picture has of its own."""
    kind = "StableDiffusionProcessingTxt2Img" if picture.start is None else "StableDiffusionProcessingImg2Img"
    width, height = picture.size
    every = (f.name for f in fields(processing.StableDiffusionProcessing) if f.init and f.name != "comments")
    values = {name: getattr(p, name) for name in every}
    values |= {
        "prompt": picture.prompt, "negative_prompt": picture.negative_prompt, "styles": [], "seed": picture.seed,
        "subseed": picture.subseed, "batch_size": 1, "n_iter": 1, "width": width, "height": height,
        "denoising_strength": picture.strength, "do_not_save_grid": True, "do_not_save_samples": True,
        "restore_faces": False, "extra_generation_params": {}, "override_settings": {}, "overlay_images": None,
    }  # fmt: skip
    own = getattr(processing, kind)(**values)
    if picture.start is not None:
        own.init_images = [picture.start]
    own.is_api, own.user = p.is_api, p.user
    own.scripts, own.script_args = p.scripts, p.script_args
    own.__dict__.update(picture.marks)
    return own


def described(p: Any, image: int) -> str:
    """As the host writes it."""
    text: str = processing.create_infotext(
        p, p.all_prompts, p.all_seeds, p.all_subseeds, index=image, all_negative_prompts=p.all_negative_prompts
    )
    return text


def saves(p: Any) -> bool:
    """By the settings, and by the job."""
    return bool(getattr(shared.opts, "samples_save", True)) and not p.do_not_save_samples
