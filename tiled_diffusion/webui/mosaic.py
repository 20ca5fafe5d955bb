"""The script "Hypermosaic" of img2img: its input becomes a picture made of pictures, drawn by the WebUI's own jobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.host import Picture, Task
from tiled_diffusion.recipes.mosaic.draw import How, mosaic
from tiled_diffusion.recipes.mosaic.folder import MosaicFolder, named_folder, opened_folder
from tiled_diffusion.recipes.mosaic.reader import Reader
from tiled_diffusion.recipes.mosaic.video import write_video, zoom_file
from tiled_diffusion.recipes.mosaic.zoom import Zoom
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.settings.fields import row
from tiled_diffusion.settings.mosaic import COLOURS, TILE_REQUEST, GridKind, Mosaic
from tiled_diffusion.settings.panel import merge
from tiled_diffusion.settings.values import Settings
from tiled_diffusion.ui.mosaic_view import viewer_html
from tiled_vae import Interrupted

from .arguments import arguments
from .hosts import Script, host, require_known_host
from .hosts.port import Job
from .hosts.values import PictureBatch
from .run import HOLD, failing
from .run import TITLE as TILED

TITLE = "Hypermosaic"
UNIT_PX = 8
SHOWN_PX = 2048
ZOOM_PX = 512


@dataclass(frozen=True)
class Painter:
    """An img2img job as what draws a mosaic's tiles.

    Attributes:
        p: the job, with its prompt, sampler and all that its scripts do.
    """

    p: Job

    @property
    def name(self) -> str:
        """The checkpoint, and what else changes pictures and no request of ours says."""
        values = {k: getattr(self.p, k, None) for k in ("sampler_name", "scheduler", "styles", "subseed_strength")}
        return ", ".join([host.sampling.checkpoint(), *(f"{k} {v}" for k, v in values.items() if v)])

    @property
    def unit_px(self) -> int:
        """As the page's sliders."""
        return UNIT_PX

    @property
    def native_px(self) -> int:
        """The job's own size."""
        return self.p.width

    def draw(self, tasks: Sequence[Task], progress: Progress | None = None) -> list[Picture]:  # noqa: ARG002
        """One batch of the host's, by its own img2img.

        Raises:
            Interrupted: the user pressed Interrupt or Skip: what the host gave is not finished.
        """
        first = tasks[0].request
        self.p.__dict__[HOLD] = first.hold
        try:
            images = host.jobs.draw_pictures(self.p, _batch(tasks))
        finally:
            del self.p.__dict__[HOLD]
        if host.jobs.stop_wanted() or len(images) < len(tasks):
            raise Interrupted
        return [Picture(image.convert("RGB"), t.request.seed) for image, t in zip(images, tasks, strict=True)]

    def upscale(self, image: Image.Image, size: tuple[int, int], upscaler: str = "lanczos") -> Image.Image:  # noqa: ARG002
        """In RGB, by Lanczos."""
        flat: Image.Image = host.jobs.on_ground(image)
        return flat.resize(size, Image.Resampling.LANCZOS)


def _batch(tasks: Sequence[Task]) -> PictureBatch:
    requests = [task.request for task in tasks]
    return PictureBatch(
        tuple(task.start for task in tasks),
        tuple(r.prompt for r in requests),
        tuple(r.negative_prompt for r in requests),
        tuple(r.seed for r in requests),
        (requests[0].width, requests[0].height),
        requests[0].denoising_strength,
        requests[0].cfg_scale,
    )


def mosaics_folder(p: Job | None = None) -> Path:
    """Where the mosaics are: a folder beside img2img's pictures."""
    samples = getattr(p, "outpath_samples", None) or host.page.option("outdir_samples", "")
    return Path(samples or host.page.option("outdir_img2img_samples", "outputs/img2img-images")) / "mosaic"


class HypermosaicScript(Script):  # type: ignore[misc]
    """A script to be chosen in img2img; tiles have the size of the page's sliders."""

    def title(self) -> str:
        """The name, also in the API."""
        return TITLE

    def show(self, is_img2img: bool) -> Any:
        """In img2img alone."""
        return is_img2img

    def ui(self, is_img2img: bool) -> list[Any]:  # noqa: ARG002 in img2img alone
        """Its arguments, and beside them viewer and zoom of what is drawn."""
        with gr.Row():
            grid = gr.Textbox("32", label="Grid", info=_help("grid"))
            name = gr.Textbox(
                "", label="Folder", info="Its name; the same name goes on. Empty: the seed.", elem_id="td_mosaic_folder"
            )
        with gr.Row():
            colour = gr.Radio(list(COLOURS.names), value="match", label="Colour")
            hold = gr.Slider(0, 1, TILE_REQUEST.hold, step=0.05, label="Hold")
        with gr.Row():
            depth = gr.Number(1, label="Depth", precision=0, info=_help("depth"))
            loop = gr.Checkbox(False, label="Loop", info=_help("loop"))
            by_regions = gr.Checkbox(True, label="Prompts by regions", info="Those of Tiled Diffusion, where it is on.")
        with gr.Row():
            seconds = gr.Slider(1, 60, 10, step=1, label="Seconds of the zoom", elem_id="td_mosaic_seconds")
            show = gr.Button("Viewer and zoom", elem_id="td_mosaic_show")
        made = gr.HTML("", elem_classes=["td-mosaic-made"])  # gradio 3 writes an id twice
        show.click(_shown, [name, seconds], made)
        return [grid, name, colour, hold, depth, loop, by_regions]

    def run(self, p: Job, *values: Any) -> Any:
        """Draws the mosaic, or what is missing of it, and gives it back shrunk."""
        try:
            return _drawn(p, *values)
        except TiledError as e:
            raise failing(TITLE, e) from None


def _help(name: str) -> str:
    return row(Mosaic, name).entry.help


def _drawn(p: Any, grid: str, name: str, colour: str, hold: float, depth: float, loop: bool, by_regions: bool) -> Any:
    require_known_host()
    seed = host.jobs.fix_seed(p)
    if p.width != p.height:
        raise TiledError(f"width, height: got {p.width}x{p.height}, allowed are equal ones: they are a tile's sides")
    if getattr(p, "image_mask", None) is not None or not p.init_images:
        raise TiledError("img2img: a mosaic is made of one picture, without a mask")
    request = replace(
        TILE_REQUEST, prompt=p.prompt, negative_prompt=p.negative_prompt, steps=p.steps, cfg_scale=float(p.cfg_scale),
        seed=seed, denoising_strength=float(p.denoising_strength), hold=float(hold),
        tiling=_regions(p) if by_regions else Settings(),
    )  # fmt: skip
    settings = Mosaic(
        request, grid=GridKind().from_text("grid", str(grid)), tile=p.width, colour=colour, depth=_whole(depth),
        loop=True if loop else None,
    )  # fmt: skip
    path = named_folder(mosaics_folder(p), str(name) or f"{seed}")
    _draw_all(p, settings, path)
    host.jobs.note(p, TITLE, f"{path.name}, grid {grid}")
    return host.jobs.result(p, [_shrunk(opened_folder(path))], seed)


def _draw_all(p: Any, settings: Mosaic, path: Path) -> None:
    """Draws what is missing; after Interrupt, what is finished is kept, and that is said."""
    batch = p.batch_size
    how = How(batch, say=lambda line: p.comment(f"{TITLE}: {line}"))
    try:
        for tile in mosaic(Painter(p), settings, path, p.init_images[0], how):
            host.jobs.announce(-(-(tile.total - tile.done) // batch))
    except Interrupted:
        p.comment(f"{TITLE}: stopped; all finished tiles are kept, and the folder {path.name} goes on with the rest")


def _whole(value: float) -> int:
    if not float(value).is_integer():
        raise TiledError(f"depth: got {value:g}, allowed is a whole number")
    return int(value)


def _regions(p: Job) -> Settings:
    """The regions that Tiled Diffusion's panel has in this job."""
    every = [script.values for script in host.jobs.scripts_of(p) if script.title == TILED]
    on, value = arguments(p, TILED, *(every[0][:2] if every and len(every[0]) > 1 else (None, None)))
    return Settings(regions=merge(value, {}).tiling.regions) if on else Settings()


def _shrunk(folder: MosaicFolder) -> Image.Image:
    """The first level, or as far as it is drawn."""
    pyramid = folder.pyramid(1)
    scale = min(1.0, SHOWN_PX / max(pyramid.size))
    if len(folder.done(1)) == folder.tiles:
        size = (round(pyramid.size[0] * scale), round(pyramid.size[1] * scale))
        return Reader(pyramid).region((0, 0, 1, 1), size)
    with Image.open(folder.path / "1.jpg") as overview:
        return overview.convert("RGB")


def _shown(name: str, seconds: float) -> str:
    """Viewer and zoom of a finished mosaic, for the page."""
    try:
        path = named_folder(mosaics_folder(), name)
        write_video(Zoom(opened_folder(path), ZOOM_PX), zoom_file(path), seconds)
        return viewer_html(path)
    except TiledError as e:
        return f"<p>{escape(str(e))}</p>"
