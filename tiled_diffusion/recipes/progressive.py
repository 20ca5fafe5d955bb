"""Grows a picture in stages: drawn at the model's own size, then enlarged and drawn anew until it has its size.

What is where is decided while the picture is small, where the model knows how; the stages add what is seen from near.
The order of DemoFusion (arXiv 2311.16973), with ordinary img2img in its stages.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.files import write_whole
from tiled_diffusion.settings.growth import Growth
from tiled_diffusion.settings.request import Request, alone

from .host import Painter, Picture, Task
from .progress import Progress
from .upscale import SMALLEST_SIDE

Size = tuple[int, int]
"""Width and height, image pixels."""
MOST_FACTOR = 2.0
"""By which a stage enlarges each side, where the number of stages is left open."""


def stage_sizes(host: Painter, request: Request) -> list[Size]:
    """The canvases from the first one to the request's own: with its shape, and in the model's unit but for the last.

    The first one has the area of the model's own square, and no side shorter than half of that one's.
    """
    final, native = (request.width, request.height), host.native_px
    shrink = min(math.sqrt(final[0] * final[1]) / native, min(final) / (native / 2))
    if shrink <= 1:
        return [final]
    growth = request.growth or Growth()
    count = growth.stages or math.ceil(math.log2(shrink) / math.log2(MOST_FACTOR) - 1e-6)
    unit = host.unit_px
    least = -(-SMALLEST_SIDE // unit) * unit
    scales = [shrink ** (k / count - 1) for k in range(count)]
    sizes = [(_rounded(final[0] * s, unit, least), _rounded(final[1] * s, unit, least)) for s in scales]
    return [*sizes, final]


def work_shares(sizes: Sequence[Size], strength: float) -> list[tuple[float, float]]:
    """For each stage, which parts of all the work lie behind its beginning and its end: pixels times steps."""
    work = [w * h * (strength if k else 1.0) for k, (w, h) in enumerate(sizes)]
    behind = [0.0, *accumulate(work)]
    return [(begin / behind[-1], end / behind[-1]) for begin, end in pairwise(behind)]


def _rounded(side: float, unit: int, least: int) -> int:
    return max(least, round(side / unit) * unit)


@dataclass(frozen=True)
class StageFiles:
    """The stages' pictures in a folder, from which a run that was cut off goes on.

    Attributes:
        folder: made with the first picture.
    """

    folder: Path

    def read(self, name: str) -> Image.Image | None:
        """A picture that is there and whole; None where it is not."""
        try:
            with Image.open(self.folder / name) as image:
                return image.convert("RGB")
        except OSError:
            return None

    def write(self, name: str, image: Image.Image) -> None:
        """All of it or nothing: it gets its name when it is on the disk."""
        data = BytesIO()
        image.save(data, format="PNG")
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.folder / name, data.getvalue())


def stage_folder(out: Path, host: Painter, request: Request, digests: Sequence[str] = ()) -> Path:
    """A folder of its own for all that changes the pictures: settings, files by their digests, and the model's name.

    Args:
        out: folder of the finished pictures.
        host: names the model.
        request: with the digests of its pictures, as records have them.
        digests: of further files that it names.
    """
    data = {**replace(request, seed=0, batch_size=1).to_dict(), "model": host.name, "files": list(digests)}
    text = json.dumps(data, sort_keys=True, ensure_ascii=False)
    return out / "stages" / hashlib.sha256(text.encode()).hexdigest()[:16]


def progressive(
    host: Painter, request: Request, files: StageFiles | None = None, progress: Progress | None = None
) -> list[Picture]:
    """Draws a request in stages; a request without `growth` grows by the defaults.

    Args:
        host: where it is done.
        request: what is drawn.
        files: where every stage's picture is kept, and looked for; None keeps none.
        progress: is told of every stage, and of its drawing.

    Returns:
        request.batch_size pictures, each as if it had been asked for alone.

    Raises:
        TiledError: the request has a start picture, or the host cannot draw one of the stages.
        Interrupted: the user stopped it; what is kept by then stays.
    """
    if request.match is not None:
        raise TiledError("match: pictures that fit together are drawn at once, and not in stages")
    if request.init_image is not None or request.inpaints:
        raise TiledError("growth: a picture grows from the prompt alone; to enlarge a picture, take upscale")
    seeds = [request.seed + k for k in range(request.batch_size)]
    return [Picture(_grown(host, alone(request, seed), files, progress or Progress()), seed) for seed in seeds]


def _grown(host: Painter, request: Request, files: StageFiles | None, progress: Progress) -> Image.Image:
    growth, sizes = request.growth or Growth(), stage_sizes(host, request)
    shares = work_shares(sizes, growth.stage_strength)
    image: Image.Image | None = None
    for number, (width, height) in enumerate(sizes):
        canvas = replace(request, width=width, height=height, growth=None, denoising_strength=growth.stage_strength)
        before = image

        def draw(canvas: Request = canvas, before: Image.Image | None = before, number: int = number) -> Image.Image:
            progress.stage(number + 1, len(sizes), shares[number])
            start = None if before is None else host.upscale(before, (canvas.width, canvas.height))
            drawn = host.draw([Task(canvas, start=start)], progress)[0].image
            return drawn if before is None or not growth.keep_colours else with_colours_of(drawn, before)

        image = _kept(files, f"{request.seed}-{number + 1}-{width}x{height}.png", draw)
    assert image is not None
    return image


def _kept(files: StageFiles | None, name: str, draw: Callable[[], Image.Image]) -> Image.Image:
    """The picture of that name, or one that is drawn now and kept."""
    if files is None:
        return draw()
    image = files.read(name)
    if image is None:
        image = draw()
        files.write(name, image)
    return image


def with_colours_of(image: Image.Image, other: Image.Image) -> Image.Image:
    """With the mean and the standard deviation of each of the other's channels."""
    ours, theirs = _numbers(image), _numbers(other)
    axes = (0, 1)
    spread = theirs.std(axis=axes) / np.maximum(ours.std(axis=axes), 1e-6)
    moved = (ours - ours.mean(axis=axes)) * spread + theirs.mean(axis=axes)
    return Image.fromarray(moved.round().clip(0, 255).astype(np.uint8))


def _numbers(image: Image.Image) -> npt.NDArray[Any]:
    return np.asarray(image.convert("RGB"), dtype=np.float64)
