"""A model loaded by diffusers as the host of recipes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from tiled_diffusion.engine.runner import Runner, ordered
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes import upscale as recipe
from tiled_diffusion.recipes.host import Picture, Task
from tiled_diffusion.recipes.mosaic.draw import Finished, How
from tiled_diffusion.recipes.mosaic.draw import mosaic as mosaic_recipe
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.settings.mosaic import Mosaic
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Settings

from . import vae
from .batches import Drawing, groups
from .cluster.pictures import DrawJob, apart, pays_apart
from .images import opaque, to_images, to_pixels
from .model import Model
from .upscalers import LANCZOS, enlarge


@dataclass(frozen=True)
class DiffusersHost:
    """The host protocol on a loaded model; `recipes.host.Host` says what each part promises.

    Attributes:
        model: see load_model.
        folders: in which the files of regions' pictures may lie; None allows the working folder.
        batch: of tasks that are alike, so many are drawn at once.
        runner: the workers that draw; see cluster.workers. None: everything is drawn here.
    """

    model: Model
    folders: tuple[Path, ...] | None = None
    batch: int = 1
    runner: Runner | None = None

    @property
    def name(self) -> str:
        """The model's file or folder name."""
        return self.model.name

    @property
    def unit_px(self) -> int:
        """What sides are multiples of, image pixels."""
        return self.model.unit_px

    @property
    def native_px(self) -> int:
        """Side of the pictures that the model was trained on, image pixels."""
        return self.model.traits.native * self.model.traits.factor

    def draw(self, tasks: Sequence[Task], progress: Progress | None = None) -> list[Picture]:
        """Draws one task after the other, each as one batch; or, where they are alike, `batch` tasks at once.

        With a runner, tasks and the pictures of a batch go to its workers, or their tiles where that is sooner.
        """
        if self.runner is not None and self.runner.width > 1:
            single = list(groups(self.model, [part for task in tasks for part in apart(task)], self.batch))
            if pays_apart(self.model, single, self.runner.width):
                return [picture for pictures in ordered(self._sent(single, progress)) for picture in pictures]
        return Drawing(self.model, self.batch, self.folders, self.runner).pictures(tasks, progress)

    def draw_each(
        self, batches: Iterable[Sequence[Task]], progress: Progress | None = None
    ) -> Iterator[tuple[int, list[Picture]]]:
        """Each batch as `draw` does; with a runner, several of them at once, in any order."""
        width = 1 if self.runner is None else self.runner.width
        if width == 1 or (isinstance(batches, Sequence) and not pays_apart(self.model, batches, width)):
            yield from ((number, self.draw(batch, progress)) for number, batch in enumerate(batches))
        else:
            yield from self._sent(batches, progress)

    def _sent(
        self, batches: Iterable[Sequence[Task]], progress: Progress | None
    ) -> Iterator[tuple[int, list[Picture]]]:
        """Batches drawn by the runner, in any order; progress counts them."""
        assert self.runner is not None
        told = progress or Progress()
        count = len(batches) if isinstance(batches, Sequence) else 1  # else each is told as a run of one step
        jobs = (DrawJob.of(batch, self.batch, self.folders) for batch in batches)
        done = 0
        try:
            for done, drawn in enumerate(self.runner.submit(jobs, lambda: told.tiles(0)), start=1):
                if done % count == 1 % count:
                    told.start(count, 1)
                told.step((done - 1) % count)
                if done % count == 0:
                    told.finish()
                yield drawn
        finally:
            if done % count:
                told.finish()

    def encode(self, images: Sequence[Image.Image], *, wrap_x: bool = False, wrap_y: bool = False) -> Tensor:
        """By the tiled VAE: the mean of what it gives."""
        self._check_sizes([image.size for image in images])
        pixels = torch.cat([to_pixels(opaque(image)) for image in images])
        return vae.encode(self.model, pixels, Settings(wrap_x=wrap_x, wrap_y=wrap_y))

    def decode(self, latents: Tensor, *, wrap_x: bool = False, wrap_y: bool = False) -> list[Image.Image]:
        """By the tiled VAE."""
        return to_images(vae.decode(self.model, latents.to(self.model.device), Settings(wrap_x=wrap_x, wrap_y=wrap_y)))

    def upscale(self, image: Image.Image, size: tuple[int, int], upscaler: str = LANCZOS) -> Image.Image:
        """By Lanczos, or by the upscaling network in the file that `upscaler` is the path of."""
        return enlarge(image, size, upscaler)

    def _check_sizes(self, sizes: Sequence[tuple[int, int]]) -> None:
        listed = ", ".join(f"{w}x{h}" for w, h in list(dict.fromkeys(sizes))[:4]) or "no picture"
        if len(set(sizes)) != 1:
            raise TiledError(f"encode: got {listed}, allowed are pictures of one size")
        factor = self.model.traits.factor
        if any(side % factor for side in sizes[0]):
            raise TiledError(f"encode: got {listed} px, allowed are sides in multiples of {factor}")


def upscale(
    model: Model,
    request: Request,
    image: Image.Image,
    scale: float,
    upscaler: str = LANCZOS,
    progress: Progress | None = None,
) -> list[Image.Image]:
    """Enlarges a picture and draws its details anew, tile by tile, as far as request.denoising_strength says.

    Args:
        model: see load_model.
        request: prompt, strength, tiling and the rest; its size and start picture do not count.
        image: any size and mode.
        scale: 1 to 16, how many times as wide and high; sides are rounded to what the model can make.
        upscaler: how it is enlarged before: "lanczos", or the path of a network that the library spandrel can load.
        progress: is told of steps and tiles.

    Returns:
        request.batch_size pictures.

    Raises:
        TiledError: the scale or the upscaler is wrong, or as for `generate`.
    """
    pictures = recipe.upscale(DiffusersHost(model), request, image, scale, upscaler, progress)
    return [picture.image for picture in pictures]


def mosaic(
    model: Model, settings: Mosaic, folder: str | Path, picture: Image.Image | None = None, how: How | None = None
) -> Iterator[Finished]:
    """Draws a mosaic into a folder, or what is missing of it, tile by tile; `recipes.mosaic.draw.mosaic` says more.

    Args:
        model: see load_model.
        settings: the mosaic.
        folder: new, empty, or that of the same mosaic.
        picture: the first picture; None draws it from the prompt.
        how: what does not change it, such as how many tiles are drawn at once.

    Yields:
        Tiles as they are finished.

    Raises:
        TiledError: as the recipe says.
    """
    how = how or How()
    return mosaic_recipe(DiffusersHost(model, batch=how.batch), settings, Path(folder), picture, how)
