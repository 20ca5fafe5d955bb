"""Draws requests that are unlike in start picture, seed and texts as one batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from tiled_diffusion.engine.guidance import guidances
from tiled_diffusion.engine.methods import METHODS
from tiled_diffusion.engine.noise import canvas_noise, placed_noise
from tiled_diffusion.engine.runner import Runner
from tiled_diffusion.recipes.host import Picture, Task
from tiled_diffusion.recipes.progress import Progress

from .images import fitted, to_images
from .inpainting import context as context_of
from .model import Model
from .prompts import prompt_length
from .sampling import canvas_of, denoise, generate, held
from .vae import decode, encode


def groups(model: Model, tasks: Sequence[Task], most: int) -> Iterator[list[Task]]:
    """The tasks in their order, as runs that may be rows of one batch, each of at most so many.

    Such tasks differ in start pictures, seeds and the words of their texts alone.
    """
    group: list[Task] = []
    frames: list[object] = []
    for task in tasks:
        frame = _frame(model, task) if most > 1 and _alone(task) else object()  # like no other
        if group and (len(group) == most or frame != frames[-1]):
            yield group
            group = []
        group.append(task)
        frames.append(frame)
    if group:
        yield group


def _alone(task: Task) -> bool:
    """One picture, drawn whole, with nothing that is found in files or of which a batch knows but one."""
    r = task.request
    files = r.controls or r.tiling.regions or r.tiling.rerolls or r.inpaints or task.mask is not None
    own = r.inversion or r.match or r.tiling.tile_prompts != "same"
    still = r.tiling.grid_seed is not None or not METHODS[r.tiling.method].moves
    return r.batch_size == 1 and not files and not own and r.init_image is None and still


def _frame(model: Model, task: Task) -> object:
    """What rows of a batch have in common: all but seed and words; the texts of a batch are padded to one length."""
    request = task.request
    guidance = guidances(request.prompt, request.negative_prompt, request.cfg_scale, request.tiling)[0]
    texts = (guidance.negative, *(part.text for part in guidance.parts))
    longest = max(prompt_length(model, text)[1] for text in texts)
    plain = replace(request, prompt="", negative_prompt="", seed=0)
    return plain, guidance.weights, longest, task.start is None


@dataclass(frozen=True)
class Drawing:
    """How tasks are drawn in this process.

    Attributes:
        model: see load_model.
        batch: of tasks that are alike, so many are drawn at once.
        folders, runner: as for `generate`.
    """

    model: Model
    batch: int = 1
    folders: Sequence[Path] | None = None
    runner: Runner | None = None

    def pictures(self, tasks: Sequence[Task], progress: Progress | None = None) -> list[Picture]:
        """The tasks' pictures in their order.

        Raises:
            TiledError: as for `generate`.
        """
        drawn = (self._group(group, progress) for group in groups(self.model, tasks, self.batch))
        return [picture for pictures in drawn for picture in pictures]

    def _group(self, group: Sequence[Task], progress: Progress | None) -> list[Picture]:
        if len(group) > 1 or group[0].origin is not None:
            images = draw_together(self.model, group, progress, self.runner)
            return [Picture(i, task.request.seed) for i, task in zip(images, group, strict=True)]
        (task,) = group
        images = generate(
            self.model,
            task.request,
            init_image=task.start,
            mask=task.mask,
            progress=progress,
            folders=self.folders,
            runner=self.runner,
        )
        return [Picture(image, task.request.seed + k) for k, image in enumerate(images)]


@torch.no_grad()
def draw_together(
    model: Model, tasks: Sequence[Task], progress: Progress | None = None, runner: Runner | None = None
) -> list[Image.Image]:
    """The pictures of alike tasks, each as it would be by itself but for rounding; and of one that has an origin.

    Raises:
        TiledError: as for `generate`.
    """
    requests = [task.request for task in tasks]
    first = requests[0]
    noise = torch.cat([_noise(model, task) for task in tasks])
    pixels = [fitted(task.start, first) for task in tasks if task.start is not None]
    clean = encode(model, torch.cat(pixels), first.tiling) if pixels else None
    latents = denoise(
        model,
        first,
        noise.to(model.device),
        clean,
        progress or Progress(),
        pulls=held(model, first, clean),
        context=context_of(model, first, None),
        each=requests,
        runner=runner,
    )
    return to_images(decode(model, latents, first.tiling))


def _noise(model: Model, task: Task) -> Tensor:
    """[1, C, H, W], what the picture of a task begins as."""
    request = task.request
    shape = (model.traits.channels, *canvas_of(model, request))
    if task.origin is None:
        return canvas_noise(shape, [request.seed])
    left, top = (at // model.traits.factor for at in task.origin)
    return placed_noise(shape, request.seed, top, left)[None]
