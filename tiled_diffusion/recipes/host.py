"""What a recipe asks of the program that it runs in: to draw, encode, decode and upscale pictures.

A recipe knows its host through `Host` alone, so that the same recipe runs on diffusers, inside a WebUI and on several
machines. `standalone/host.py` is the host on diffusers. A host inside A1111 or Forge would

* draw a task by a StableDiffusionProcessingTxt2Img or, with a start picture, ...Img2Img of its own, filled from the
  request, with `request.tiling` as the script's arguments, through `process_images`: LoRA, ControlNet and every sampler
  then work as they do in any job, and `all_seeds` names the seeds;
* encode and decode by the loaded VAE, and upscale by an entry of `shared.sd_upscalers`;
* raise Interrupted where `shared.state` says that the user pressed Interrupt or Skip, and tell `progress` of the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from PIL import Image
from torch import Tensor

from tiled_diffusion.settings.request import Request

from .progress import Progress


@dataclass(frozen=True)
class Task:
    """One request for a host, and the picture that it starts from.

    Attributes:
        request: what is drawn: batch_size pictures, of the seeds seed, seed + 1, ...
        start: in place of the file that request.init_image names; of any size and mode: it is resized to the canvas,
            and its transparent parts are white. None leaves it to request.init_image.
        mask: in place of the file that request.mask names, of the start picture's size: white is drawn, and black
            stays as it is. None leaves it to request.mask.
        origin: left and upper edge of the canvas in a larger picture, image pixels, multiples of the latent's factor:
            it begins with that picture's noise, so that canvases that overlap begin alike. None: by itself. For
            recipes whose requests have neither regions, rerolls, masks, ControlNets nor an inversion.
    """

    request: Request
    start: Image.Image | None = None
    mask: Image.Image | None = None
    origin: tuple[int, int] | None = None


@dataclass(frozen=True)
class Picture:
    """A drawn picture.

    Attributes:
        image: RGB, of its request's width and height; of a photo that is inpainted, and by less than unit_px smaller
            than the canvas, of the photo's size.
        seed: the one that draws this very picture when it is asked for alone.
    """

    image: Image.Image
    seed: int


class Painter(Protocol):
    """A program with a loaded model, as far as most recipes need it. Sizes are in image pixels."""

    @property
    def name(self) -> str:
        """The model's name, for records, with all that changes its pictures and no request says."""

    @property
    def unit_px(self) -> int:
        """Sides of an untiled picture, and of every tile, are multiples of this; itself a multiple of 8."""

    @property
    def native_px(self) -> int:
        """Side of the pictures that the model was trained on."""

    def draw(self, tasks: Sequence[Task], progress: Progress | None = None) -> list[Picture]:
        """Draws tasks, which may be unlike one another.

        A picture depends on its task alone, not on the others or on its place among them: a host may draw alike tasks
        as one batch, where that changes rounding only.

        Args:
            tasks: what to draw.
            progress: told of every run of a sampler, from `start` to `finish`; what it raises ends the drawing and
                reaches the caller as it is.

        Returns:
            The tasks' pictures, in the order of the tasks, and for each in the order of its seeds.

        Raises:
            TiledError: the model cannot draw a request, or a file that it names cannot be used.
            Interrupted: the user stopped it; there is no result.
        """

    def upscale(self, image: Image.Image, size: tuple[int, int], upscaler: str = "lanczos") -> Image.Image:
        """A picture brought to a size by a filter or an upscaling network.

        Args:
            image: any mode; its transparent parts are white.
            size: width and height in image pixels; where an upscaler makes it larger, the rest is resampled.
            upscaler: "lanczos", which every host has, or a name that this host knows.

        Returns:
            RGB, of exactly this size.

        Raises:
            TiledError: the host has no such upscaler.
        """


class Host(Painter, Protocol):
    """A painter whose latents are at hand too."""

    def encode(self, images: Sequence[Image.Image], *, wrap_x: bool = False, wrap_y: bool = False) -> Tensor:
        """The latents of pictures, without randomness.

        Args:
            images: of one size, its sides multiples of the latent's factor (8 for Stable Diffusion) which divides
                unit_px; of any mode: transparent parts are white.
            wrap_x: whether left and right edge are neighbours.
            wrap_y: whether top and bottom edge are neighbours.

        Returns:
            [B, C, H / factor, W / factor] float32, scaled as the model wants it, on the host's device.

        Raises:
            TiledError: there is no picture, the sizes differ, or a side is no multiple of the factor.
        """

    def decode(self, latents: Tensor, *, wrap_x: bool = False, wrap_y: bool = False) -> list[Image.Image]:
        """The pictures of latents [B, C, h, w] as `encode` gives them: RGB, h * factor high and w * factor wide.

        Raises:
            TiledError: the model's numbers broke (NaN).
        """


@runtime_checkable
class DrawsSeveral(Protocol):
    """A host that draws several batches at once; others draw one after the other."""

    def draw_each(
        self, batches: Iterable[Sequence[Task]], progress: Progress | None = None
    ) -> Iterator[tuple[int, list[Picture]]]:
        """See the function of this name."""


def draw_each(
    host: Painter, batches: Iterable[Sequence[Task]], progress: Progress | None = None
) -> Iterator[tuple[int, list[Picture]]]:
    """Draws batches of tasks, and gives each as soon as it is there.

    Args:
        host: draws.
        batches: taken one after the other, as there is room for them.
        progress: as for `Host.draw`.

    Yields:
        (number of the batch from 0, its pictures), in any order.

    Raises:
        TiledError, Interrupted: as for `Host.draw`.
    """
    if isinstance(host, DrawsSeveral):
        yield from host.draw_each(batches, progress)
        return
    for number, batch in enumerate(batches):
        yield number, host.draw(batch, progress)
