"""`upscale FOLDER/`: every picture of a folder enlarged, those again that are missing, several at once with workers."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.host import Task
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.recipes.upscale import dpi_of, upscaled_request
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.host import DiffusersHost
from tiled_diffusion.standalone.metadata import save_png

from .arguments import PICTURES, open_picture, read_upscale_request, refuse_captions, with_sampler
from .flags import UsageError


def pictures_of(args: argparse.Namespace) -> tuple[list[tuple[Path, Path, Request]], int]:
    """(picture, where it goes, what is asked of it) for each that is not there yet, and how many are.

    Raises:
        TiledError: names the file or flag that is wrong.
    """
    folder, out = Path(args.image), Path(args.out)
    if args.print is not None or out.suffix.lower() == ".png" or out.resolve() == folder.resolve():
        raise UsageError(f"{folder} is a folder: --out must be another one, and --print takes one picture")
    if hasattr(args, "batch_size"):
        raise UsageError("--batch-size: each picture of a folder is drawn once")
    every = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES and path.is_file())
    if not every:
        raise TiledError(f"{folder}: there is no picture in this folder")
    names = [path.stem for path in every]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise TiledError(f"{folder}: there are several pictures of the name {twice}, which would be one file in {out}")
    missing = [(path, out / f"{path.stem}.png") for path in every if not (out / f"{path.stem}.png").exists()]
    return [(path, to, _request(args, path)) for path, to in missing], len(every) - len(missing)


def _request(args: argparse.Namespace, path: Path) -> Request:
    request = read_upscale_request(argparse.Namespace(**{**vars(args), "image": path}))
    refuse_captions(request)
    return replace(request, batch_size=1)


def upscale_folder(
    args: argparse.Namespace,
    host: DiffusersHost,
    pictures: list[tuple[Path, Path, Request]],
    progress: Progress,
) -> tuple[dict[str, Any], list[str]]:
    """Enlarges them, and writes each as soon as it is there.

    Returns:
        The result for JSON, and the report's lines.
    """
    scale, start, files = 2.0 if args.scale is None else args.scale, time.monotonic(), list[str]()
    wanted: list[Request] = []

    def batches() -> Iterator[list[Task]]:
        for path, _, asked in pictures:
            image = open_picture(path)
            request = upscaled_request(host, with_sampler(args, host.model, asked), image, scale)
            wanted.append(replace(request, init_image=str(path)))
            yield [Task(request, host.upscale(image, (request.width, request.height), args.upscaler))]

    for number, (picture,) in host.draw_each(batches(), progress):
        path, to, _ = pictures[number]
        picture.image.info.update(dpi_of(open_picture(path)))
        save_png(picture.image, to, wanted[number], picture.seed, host, folders=host.folders)
        files.append(str(to))
    seconds = time.monotonic() - start
    return {"files": files, "seconds": round(seconds, 2)}, [*files, f"{len(files)} pictures in {seconds:.1f} s"]
