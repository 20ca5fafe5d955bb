"""The studio's tab Enlarge: a picture made larger, or brought to a print, with details drawn anew tile by tile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.host import Picture
from tiled_diffusion.recipes.printing import printed
from tiled_diffusion.recipes.upscale import upscale, upscaled_request
from tiled_diffusion.settings.creativity import QUICK, STYLES, Creativity, with_creativity
from tiled_diffusion.settings.print_size import PAPERS, Print, paper_size
from tiled_diffusion.settings.request import Request, from_record
from tiled_diffusion.standalone.host import DiffusersHost
from tiled_diffusion.standalone.images import open_image
from tiled_diffusion.standalone.metadata import parameters_text, read_png
from tiled_diffusion.standalone.print_files import save_print
from tiled_diffusion.standalone.samplers import default_sampler
from tiled_diffusion.ui.creativity import LABELS
from tiled_vae import Interrupted

from .examples import ENLARGED, SCALE, STRENGTH
from .messages import CANCELLED, MARK, file_url, followed, said, wipe, wrong
from .studio import Job, Studio, Update

PREFIX = "studio_enlarge_"
NO_PRINT = "as many times as above"
NO_STYLE = "By the strength"
PRINTS = (NO_PRINT, *PAPERS, "30x40cm", "8x10in")


@dataclass(frozen=True)
class EnlargeTab:
    """What other tabs need: the picture's component, and what the example runs."""

    picture: Any
    inputs: list[Any]
    out: list[Any]
    enlarge: Callable[..., Iterator[tuple[Any, ...]]]


def build_enlarge(studio: Studio) -> EnlargeTab:
    """Builds the tab."""
    with gr.Row(elem_classes=["td-studio"]):
        with gr.Column(elem_classes=["td-studio-prompts"], min_width=280):
            picture = gr.Image(label="Picture", type="filepath", height=200, elem_id=f"{PREFIX}picture")
            prompt = gr.Textbox(
                label="Prompt", lines=2, placeholder="empty: that of the picture's record", elem_id=f"{PREFIX}prompt"
            )
            scale = gr.Slider(1, 8, 4, step=0.5, label="Scale factor", elem_id=f"{PREFIX}scale")
            sheet = gr.Dropdown(
                list(PRINTS), value=NO_PRINT, label="Print size", allow_custom_value=True,
                info="In place of the factor, at 300 DPI: a paper, or such as 30x40cm.", elem_id=f"{PREFIX}print",
            )  # fmt: skip
            style = gr.Radio(
                [(NO_STYLE, NO_STYLE), *((label, name) for name, label in LABELS.items())], value=NO_STYLE,
                label="Style", elem_id=f"{PREFIX}style",
                info="How far from the picture: sets the strength, and keeps the picture's own noise.",
            )  # fmt: skip
            strength = gr.Slider(
                0, 1, 0.2, step=0.025, label="Denoising strength", info="How much of the details is drawn anew.",
                elem_id=f"{PREFIX}denoising_strength",
            )  # fmt: skip
            with gr.Row():
                start = gr.Button("Enlarge", variant="primary", scale=2, min_width=120, elem_id=f"{PREFIX}start")
                cancel = gr.Button("Cancel", min_width=80, elem_id=f"{PREFIX}cancel")
            line = gr.HTML("", elem_id=f"{PREFIX}progress")
        with gr.Column(elem_classes=["td-studio-canvas"], min_width=280):
            made = gr.HTML(
                '<p class="td-nothing">Choose a picture, or take one from Draw. The result stands here beside it, '
                "with a slider between both.</p>",
                elem_id=f"{PREFIX}made",
            )
    inputs, out, enlarge = [picture, prompt, scale, sheet, style, strength], [line, made], _enlarging(studio)
    style.change(lambda name: gr.update(visible=name == NO_STYLE), style, strength, queue=False, show_progress="hidden")
    start.click(enlarge, inputs, out, concurrency_limit=1, show_progress="hidden")
    cancel.click(studio.cancel, None, None, queue=False)
    line.change(None, None, None, js=MARK)
    return EnlargeTab(picture, inputs, out, enlarge)


def _enlarging(studio: Studio) -> Callable[..., Iterator[tuple[Any, ...]]]:
    def updates(path: str | None, *values: Any) -> Iterator[Update]:
        if not path:
            raise TiledError("picture: got none, choose one first")
        yield from studio.run(_job(studio, studio.kept(path, "photos"), *values))

    def enlarge(path: str | None, *values: Any) -> Iterator[tuple[Any, ...]]:
        for line, update in followed(updates(path, *values), PREFIX):
            if update is None or not update.files:
                yield line, gr.skip()
                continue
            with Image.open(update.files[0]) as image:
                yield line, wipe(file_url(path or ""), file_url(update.files[0]), image.size)

    return enlarge


def _job(
    studio: Studio, path: Path, prompt: str, scale: float, sheet: str | None, style: str, strength: float
) -> Job:
    """What the page asks for.

    Raises:
        TiledError: names the field that is wrong.
    """
    image = open_image(str(path))
    base = replace(_recorded(studio, path), denoising_strength=strength, init_image=str(path))
    if style != NO_STYLE:
        base = with_creativity(base, Creativity(STYLES[style], style == QUICK))
    request = replace(base, prompt=prompt.strip() or base.prompt)
    if not sheet or sheet == NO_PRINT:
        asked = upscaled_request(DiffusersHost(studio.model), request, image, scale)
        return Job(asked, lambda host, progress: upscale(host, asked, image, scale, progress=progress))
    paper = Print(*paper_size(sheet, image.width > image.height))

    def save(picture: Picture, file: Path) -> None:
        save_print(picture.image, file, paper.dpi, parameters_text(request, studio.model.name))

    return Job(
        request,
        lambda host, progress: [Picture(printed(host, request, image, paper, progress=progress), request.seed)],
        save,
    )


def _recorded(studio: Studio, path: Path) -> Request:
    """What the picture's record says of prompts and sampler; where it has none, the defaults."""
    try:
        return replace(from_record(read_png(path)), controls=(), hold=0.0)
    except TiledError:
        return Request("", sampler=default_sampler(studio.model))


def connect_example(studio: Studio, tab: EnlargeTab, button: Any, tabs: Any) -> None:
    """Lets a button draw the example's small picture, and enlarge it in this tab."""

    def small() -> Iterator[tuple[Any, ...]]:
        opened, kept = gr.Tabs(selected="enlarge"), [gr.skip()] * len(tab.inputs)
        try:
            for update in studio.make(ENLARGED):
                if update.files:
                    values = (str(update.files[0]), "", SCALE, NO_PRINT, NO_STYLE, STRENGTH)
                    yield opened, said("A small picture is drawn"), *values
                else:
                    yield opened, said(f"The small picture: {update.text}", update.fraction), *kept
        except Interrupted:
            yield opened, said(CANCELLED), *kept
        except TiledError as e:
            yield opened, wrong(e, PREFIX), *kept

    once: dict[str, Any] = {"concurrency_limit": 1, "show_progress": "hidden"}
    button.click(small, None, [tabs, tab.out[0], *tab.inputs], **once).success(
        tab.enlarge, tab.inputs, tab.out, **once
    )
