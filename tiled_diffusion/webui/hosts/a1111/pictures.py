"""AUTOMATIC1111: pictures that are drawn within a job: unlike ones by the job itself, and each by a job of its own."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import torch
from modules import images, processing, shared

from tiled_diffusion.webui.hosts.values import DrawnApart, PictureApart, PictureBatch

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


def announce_more(batches: int) -> None:
    """The page's bar goes over so many batches more."""
    shared.state.job_count = max(0, shared.state.job_count) + batches


def draw_apart(p: Any, picture: PictureApart) -> DrawnApart:
    """By txt2img, or by img2img where it starts from a picture; faces are left to the job that it is made of."""
    own = _job_apart(p, picture)
    try:
        with torch.random.fork_rng():  # the host's encoder draws from what the last job has left
            torch.manual_seed(picture.seed)
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
