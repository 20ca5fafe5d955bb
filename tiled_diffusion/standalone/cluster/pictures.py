"""Whole pictures at workers: what is sent of tasks, with the files that they name, and when that pays."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image

from tiled_diffusion.recipes.host import Picture, Task
from tiled_diffusion.settings.pictures import picture_bytes
from tiled_diffusion.settings.request import Request, alone
from tiled_diffusion.standalone.batches import Drawing
from tiled_diffusion.standalone.control import with_full_paths
from tiled_diffusion.standalone.images import open_image
from tiled_diffusion.standalone.model import Model
from tiled_diffusion.standalone.pictures import allowed
from tiled_diffusion.standalone.sampling import make_planner, tile_batch

from .replica import Replica


@dataclass(frozen=True)
class DrawJob:
    """Tasks to be drawn, with all files but models.

    Attributes:
        tasks: start pictures and masks are opened; regions' pictures and hints are named by their place in `files`.
        batch: of tasks that are alike, so many are drawn at once.
        files: bytes of these.
    """

    tasks: tuple[Task, ...]
    batch: int
    files: tuple[bytes, ...]

    @classmethod
    def of(cls, tasks: Sequence[Task], batch: int, folders: Sequence[Path] | None) -> DrawJob:
        """From tasks whose files lie on this machine; `folders` as for `generate`."""
        files: list[bytes] = []
        return cls(tuple(_packed(task, allowed(folders), files) for task in tasks), batch, tuple(files))

    def __call__(self, replica: Replica) -> list[Picture]:
        """The tasks' pictures."""
        with tempfile.TemporaryDirectory() as folder:
            for number, data in enumerate(self.files):
                (Path(folder) / str(number)).write_bytes(data)
            there = Path(folder)
            tasks = [
                replace(task, request=_with_files(task.request, lambda name: str(there / name))) for task in self.tasks
            ]
            return Drawing(replica.model, self.batch, (there,)).pictures(tasks)

    def check(self, result: Any) -> None:
        """There must be as many pictures as were asked for."""
        count = sum(task.request.batch_size for task in self.tasks)
        if len(result) != count or not all(isinstance(picture.image, Image.Image) for picture in result):
            raise ValueError(f"{count} pictures were asked for, and something else came back")


def _packed(task: Task, folders: Sequence[Path], files: list[bytes]) -> Task:
    """The task without names of files of this machine; models, which lie at the same place on all, keep theirs."""
    request, start, mask = with_full_paths(task.request), task.start, task.mask
    if start is None and request.init_image is not None:
        start = open_image(request.init_image, sha256=request.init_image_sha256)
    if mask is None and request.mask is not None:
        mask = open_image(request.mask, "mask", sha256=request.mask_sha256)

    def numbered(data: bytes) -> str:
        files.append(data)
        return str(len(files) - 1)

    regions = tuple(
        r if r.picture is None else replace(r, picture=numbered(picture_bytes(r.picture, f"regions[{k}]", folders)))
        for k, r in enumerate(request.tiling.regions)
    )
    controls = tuple(replace(c, image=numbered(Path(c.image).read_bytes())) for c in request.controls)
    request = replace(request, controls=controls, tiling=replace(request.tiling, regions=regions))
    return replace(task, request=request, start=start, mask=mask)


def _with_files(request: Request, path_of: Callable[[str], str]) -> Request:
    """The request with its numbered files at their places."""
    regions = tuple(
        r if r.picture is None else replace(r, picture=path_of(r.picture)) for r in request.tiling.regions
    )
    controls = tuple(replace(c, image=path_of(c.image)) for c in request.controls)
    return replace(request, controls=controls, tiling=replace(request.tiling, regions=regions))


def apart(task: Task) -> list[Task]:
    """A task of several pictures as one task for each, where they are drawn alike alone; else itself.

    Pictures that fit together are not.
    """
    request = task.request
    if request.batch_size == 1 or request.match is not None:
        return [task]
    seed = request.seed if request.tiling.grid_seed is None else request.tiling.grid_seed
    same = replace(request, tiling=replace(request.tiling, grid_seed=seed))
    return [replace(task, request=alone(same, request.seed + k)) for k in range(request.batch_size)]


def pays_apart(model: Model, groups: Sequence[Sequence[Task]], width: int) -> bool:
    """Whether groups are done sooner as whole pictures, each at one worker, than tile by tile at all of them."""
    if len(groups) < 2:
        return False
    first = groups[0][0].request
    planner = make_planner(model, first)
    batches = len(list(planner.plan().batches(tile_batch(model, planner, first.batch_size, width))))
    return -(-len(groups) // width) * batches <= len(groups) * -(-batches // width)
