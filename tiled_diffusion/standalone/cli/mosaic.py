"""`mosaic`: reads what is asked for, draws it with a bar, and makes a zoom, a TIFF and a page of it."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from PIL import Image
from tqdm import tqdm

from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.captioner import command_captioner
from tiled_diffusion.recipes.mosaic.draw import How, mosaic
from tiled_diffusion.recipes.mosaic.files import locked
from tiled_diffusion.recipes.mosaic.folder import MANIFEST, opened_folder
from tiled_diffusion.recipes.mosaic.page import PAGE
from tiled_diffusion.recipes.mosaic.status import status
from tiled_diffusion.recipes.mosaic.tiff import check_tiff, write_tiff
from tiled_diffusion.recipes.mosaic.video import check_video, write_video
from tiled_diffusion.recipes.mosaic.zoom import Zoom
from tiled_diffusion.settings.files import read_text
from tiled_diffusion.settings.kinds import Number, Whole
from tiled_diffusion.settings.mosaic import Mosaic, place_of, prompts_from_json
from tiled_diffusion.settings.request import Request, from_record
from tiled_diffusion.standalone.metadata import read_png

from .arguments import PICTURES, existing, open_picture, with_sampler
from .flags import UsageError, given_flags
from .mosaic_flags import DEFAULTS

if TYPE_CHECKING:
    from tiled_diffusion.standalone.host import DiffusersHost

Hosted = Callable[[argparse.Namespace], AbstractContextManager["DiffusersHost"]]
Report = Callable[[argparse.Namespace, dict[str, Any], Sequence[str]], None]


@dataclass(frozen=True)
class Asked:
    """What is to be drawn.

    Attributes:
        settings: the mosaic.
        folder: where.
        picture: the first picture, or None to draw it.
        sized: whether the first picture's size was said, or comes from a folder.
    """

    settings: Mosaic
    folder: Path
    picture: Image.Image | None = None
    sized: bool = True


def run(args: argparse.Namespace, host: Hosted, report: Report) -> None:
    """Runs the command.

    Args:
        args: the parsed command line.
        host: loads the model, and ends its workers.
        report: tells the result.

    Raises:
        TiledError: names what is wrong.
    """
    _check(args)
    asked = _asked(args)
    if args.status:
        now = status(opened_folder(asked.folder))
        report(args, now.to_dict(), now.lines())
        return
    if args.redo is not None:
        _redo(args, asked.folder)
    start = time.monotonic()
    with host(args) as at:
        drawn = _draw(args, asked, at)
    result: dict[str, Any] = {"folder": str(asked.folder), "page": str(asked.folder / PAGE), "drawn": drawn}
    result |= _made(args, asked.folder)
    result["seconds"] = round(time.monotonic() - start, 2)
    report(args, result, [f"{name:8} {value}" for name, value in result.items()])
    if args.view:
        webbrowser.open((asked.folder / PAGE).resolve().as_uri())


def _check(args: argparse.Namespace) -> None:
    """What is wrong with the line itself, told before a model is loaded."""
    Whole(1, 256).check("--batch", args.batch)
    Number(0.1, 3600).check("--seconds", args.seconds)
    Whole(64, 4096, multiple=2).check("--zoom-size", args.zoom_size)
    if args.zoom is not None:
        check_video(args.zoom)
    if args.tiff is not None:
        check_tiff(args.tiff)
    if (args.status or args.redo is not None) and not MANIFEST.is_in(Path(args.what)):
        raise UsageError(f"--{'status' if args.status else 'redo'}: {args.what} is no folder of a mosaic")


def _asked(args: argparse.Namespace) -> Asked:
    what, suffix = args.what, Path(args.what).suffix.lower()
    if suffix in PICTURES:
        return _of_picture(args, Path(what))
    with suppress(OSError):  # a prompt may be too long for a name
        if Path(what).is_dir():
            return _of_folder(args, Path(what))
    return Asked(_settings(args, Request(what), None), args.out, None, args.size is not None)


def _of_picture(args: argparse.Namespace, path: Path) -> Asked:
    """From a picture, and from its record where this program made it."""
    picture, base = open_picture(path), None
    with suppress(TiledError):  # made by another program
        base = read_png(path)
    if base is None and not hasattr(args, "prompt"):
        raise UsageError(f"--prompt: {path.name} does not say what it shows: give the prompt of its tiles")
    return Asked(_settings(args, base or Request(""), str(path)), args.out, picture)


def _of_folder(args: argparse.Namespace, path: Path) -> Asked:
    """What a folder says, and nothing else."""
    folder = opened_folder(path)
    if given_flags(args, Mosaic) or given_flags(args, Request) or args.prompts or args.size:
        raise UsageError(f"{path}: this mosaic goes on as it was begun; other settings need another folder")
    picture = None
    if folder.settings.picture_sha256 is not None:
        picture = open_picture(folder.first_path)
    return Asked(folder.settings, path, picture)


def _settings(args: argparse.Namespace, base: Request, picture: str | None) -> Mosaic:
    given = given_flags(args, Request)
    if args.size is not None:
        given["width"], given["height"] = args.size
    request = replace(from_record(base), controls=(), **{**DEFAULTS, **given})
    more: dict[str, Any] = {}
    if args.prompts is not None:
        more["prompts"] = prompts_from_json(read_text(existing(args.prompts)), str(args.prompts))
    return Mosaic(request, picture=picture, **more, **given_flags(args, Mosaic))


def _draw(args: argparse.Namespace, asked: Asked, host: DiffusersHost) -> int:
    """Draws what is missing; returns how many tiles that were."""
    settings = asked.settings
    if not asked.sized:
        request = replace(settings.request, width=host.native_px, height=host.native_px)
        settings = replace(settings, request=request)
    settings = replace(settings, request=with_sampler(args, host.model, settings.request))
    caption = None if args.caption_command is None else command_captioner(args.caption_command)
    with closing(TileBar(args.quiet)) as bar:
        how = How(args.batch, caption, say=bar.begin)
        drawn = 0
        for tile in mosaic(host, settings, asked.folder, asked.picture, how):
            bar.show(tile)
            drawn += 1
    return drawn


class Part(Protocol):
    """One of several parts, and how many are done."""

    @property
    def done(self) -> int:
        """With this one."""

    @property
    def total(self) -> int:
        """Of all."""


class TileBar:
    """A bar of tiles with the time left, which counts from when the drawing begins: tiles come in batches.

    Args:
        quiet: nothing is shown.
        unit: what they are called.
    """

    def __init__(self, quiet: bool, unit: str = "tile") -> None:
        self._quiet, self._unit = quiet, unit
        self._bar: Any = None

    def begin(self, line: str) -> None:
        """Says what is to come, and shows the bar."""
        if not self._quiet:
            print(line, file=sys.stderr, flush=True)
            self._bar = tqdm(unit=self._unit, file=sys.stderr, dynamic_ncols=True, smoothing=0)

    def show(self, tile: Part) -> None:
        """One tile more."""
        if self._bar is None:
            return
        if self._bar.total is None:
            self._bar.total = tile.total
            self._bar.initial = self._bar.n = tile.done - 1
        self._bar.update()

    def close(self) -> None:
        """Leaves the bar as it is."""
        if self._bar is not None:
            self._bar.close()


def _redo(args: argparse.Namespace, path: Path) -> None:
    place = place_of("--redo", args.redo)
    seed = secrets.randbelow(2**32) if args.redo_seed is None else args.redo_seed
    Whole(0, 2**32 - 1).check("--redo-seed", seed)
    with locked(path):
        opened_folder(path).redraw(args.redo_level, place, seed)


def _made(args: argparse.Namespace, path: Path) -> dict[str, Any]:
    """What is made of the finished mosaic."""
    folder, out = opened_folder(path), {}
    if args.tiff is not None:
        write_tiff(folder.pyramid(1), args.tiff)
        out["tiff"] = str(args.tiff)
    if args.zoom is not None:
        write_video(Zoom(folder, args.zoom_size), args.zoom, args.seconds)
        out["zoom"] = str(args.zoom)
    return out
