"""The studio's tab Inpaint: what is painted over a photo is drawn anew, and all the rest stays as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.host import Task
from tiled_diffusion.recipes.inpaint import inpaint_request
from tiled_diffusion.settings.request import INPAINT_FROM, Request
from tiled_diffusion.standalone.host import DiffusersHost
from tiled_diffusion.standalone.images import open_image
from tiled_diffusion.standalone.samplers import default_sampler

from .draw_fields import whole_numbers
from .messages import MARK, file_url, followed, wipe
from .studio import Job, Studio, Update

PREFIX = "studio_inpaint_"


def build_inpaint(studio: Studio) -> Any:
    """Builds the tab; returns the component in which the photo is painted over."""
    with gr.Row(elem_classes=["td-studio"]):
        with gr.Column(elem_classes=["td-studio-prompts"], min_width=280):
            prompt = gr.Textbox(label="Prompt", lines=3, placeholder="what is to be there", elem_id=f"{PREFIX}prompt")
            with gr.Row():
                start = gr.Button("Inpaint", variant="primary", scale=2, min_width=120, elem_id=f"{PREFIX}start")
                cancel = gr.Button("Cancel", min_width=80, elem_id=f"{PREFIX}cancel")
            line = gr.HTML("", elem_id=f"{PREFIX}progress")
            strength = gr.Slider(
                0, 1, 0.75, step=0.05, label="Denoising strength", elem_id=f"{PREFIX}denoising_strength"
            )
            begin = gr.Radio(
                [(option.label, option.value) for option in INPAINT_FROM.options], value="original",
                label="Masked part begins as", elem_id=f"{PREFIX}inpaint_from",
            )  # fmt: skip
            with gr.Row():
                feather = gr.Slider(0, 128, 8, step=1, label="Mask feather (px)", elem_id=f"{PREFIX}mask_feather")
                seed = gr.Number(0, label="Seed", precision=0, min_width=90, elem_id=f"{PREFIX}seed")
            with gr.Accordion("Mask from a file", open=False, elem_id=f"{PREFIX}mask_fold"):
                mask = gr.Image(
                    label="White is drawn, black stays; of the photo's size", type="filepath", height=160,
                    elem_id=f"{PREFIX}mask",
                )  # fmt: skip
        with gr.Column(elem_classes=["td-studio-canvas"], min_width=280):
            photo = gr.ImageEditor(
                label="Photo: paint over what is to be drawn anew", type="pil", height=460, layers=False,
                transforms=(), brush=gr.Brush(default_size=24, colors=["#ffffff"], color_mode="fixed"),
                elem_id=f"{PREFIX}photo",
            )  # fmt: skip
            made = gr.HTML("", elem_id=f"{PREFIX}made")
    inputs = [photo, mask, prompt, strength, begin, feather, seed]
    start.click(_inpainting(studio), inputs, [line, made], concurrency_limit=1, show_progress="hidden")
    cancel.click(studio.cancel, None, None, queue=False)
    line.change(None, None, None, js=MARK)
    return photo


def _inpainting(studio: Studio) -> Callable[..., Iterator[tuple[Any, ...]]]:
    def inpaint(*values: Any) -> Iterator[tuple[Any, ...]]:
        asked: list[Request] = []

        def updates() -> Iterator[Update]:
            asked.append(_request(studio, *values))
            yield from studio.run(Job(asked[0], lambda host, progress: host.draw([Task(asked[0])], progress)))

        for line, update in followed(updates(), PREFIX):
            if update is None or not update.files:
                yield line, gr.skip()
                continue
            with Image.open(update.files[0]) as image:
                yield line, wipe(file_url(asked[0].init_image or ""), file_url(update.files[0]), image.size)

    return inpaint


def _request(
    studio: Studio,
    painted: dict[str, Any] | None,
    mask: str | None,
    prompt: str,
    strength: float,
    begin: str,
    feather: int,
    seed: Any,
) -> Request:  # fmt: skip
    """What the page asks for; the photo and its mask are kept beside the pictures.

    Raises:
        TiledError: there is no photo, or nothing is painted over.
    """
    photo: Image.Image | None = painted["background"] if painted else None
    if photo is None:
        raise TiledError("photo: got none, choose one first")
    shown = open_image(mask).convert("L") if mask else drawn_mask(painted, photo.size)
    if shown.getextrema()[1] == 0:
        raise TiledError("photo: nothing is painted over; paint on it, or give a mask from a file")
    photo_file, mask_file = (studio.kept_bytes(_png(i), ".png", "photos") for i in (photo.convert("RGB"), shown))
    request = Request(
        prompt, sampler=default_sampler(studio.model), init_image=str(photo_file), mask=str(mask_file),
        denoising_strength=strength, inpaint_from=begin, mask_feather=int(feather),
        seed=whole_numbers({"seed": seed}, ["seed"])["seed"],
    )  # fmt: skip
    return inpaint_request(DiffusersHost(studio.model), request, photo)


def drawn_mask(painted: Any, size: tuple[int, int]) -> Image.Image:
    """What is painted over the photo, white on black, of the photo's size.

    Args:
        painted: what the component holds; its layers have an alpha where they are painted.
        size: width and height of the photo.
    """
    mask = Image.new("L", size, 0)
    for layer in painted["layers"]:
        alpha = np.asarray(layer.convert("RGBA").resize(size))[..., 3]
        mask.paste(255, mask=Image.fromarray(np.where(alpha > 0, 255, 0).astype(np.uint8)))
    return mask


def _png(image: Image.Image) -> bytes:
    out = BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
