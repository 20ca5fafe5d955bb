"""`upscale` beyond what memory holds: in blocks that are kept in a folder, where the work goes on."""

from __future__ import annotations

import argparse
import time
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from PIL import Image

from tiled_diffusion.recipes.blocks.draw import LARGE, SCALE, How, enlarge_in_blocks, enlargement
from tiled_diffusion.recipes.blocks.folder import MANIFEST, BlockFolder, opened_folder
from tiled_diffusion.recipes.blocks.status import status
from tiled_diffusion.recipes.mosaic.page import PAGE
from tiled_diffusion.recipes.mosaic.tiff import check_tiff, write_tiff
from tiled_diffusion.settings.enlargement import NOISY, SAMPLER, Enlargement, refusals
from tiled_diffusion.settings.fields import rows
from tiled_diffusion.settings.print_size import Print
from tiled_diffusion.settings.request import CANVAS_SIDE, Request

from .arguments import existing, given_request, given_tiling, open_picture, read_upscale_request, with_sampler
from .flags import Parser, UsageError, flags_of, given_flags
from .hosting import say
from .mosaic import Hosted, TileBar

if TYPE_CHECKING:
    from tiled_diffusion.standalone.host import DiffusersHost

Load = Callable[[], "DiffusersHost"]
Report = Callable[[argparse.Namespace, dict[str, Any], Sequence[str]], None]
T = TypeVar("T")
OUT = Path("out")
"""What --out is by itself."""


def add_block_flags(parser: Parser) -> None:
    """Of the command `upscale`."""
    group = parser.add_argument_group(
        "very large pictures",
        f"Beyond {LARGE // 10**6} megapixels, or with --block, a picture is drawn in blocks and kept in a folder.",
    )
    for flag in flags_of(Enlargement):
        flag.add_to(group)
    group.add_argument("--tiff", type=Path, metavar="FILE", help="then the whole picture as one BigTIFF too")
    group.add_argument("--view", action="store_true", help="then open the page that shows it in a browser")
    group.add_argument("--status", action="store_true", help="say how far the picture in the folder IMAGE is, and end")


def in_blocks(args: argparse.Namespace) -> bool:
    """Whether a line of `upscale` asks for blocks: by a flag, by a folder, or by what it would make.

    Raises:
        TiledError: a flag is for blocks alone, or there is no such picture.
    """
    if args.status or MANIFEST.is_in(Path(args.image)):
        return True
    if Path(args.image).is_dir():
        _only_blocks(args, "the pictures of a folder are drawn at once")
        return False
    image = open_picture(args.image)
    if args.print is not None:
        _only_blocks(args, "a print is drawn at once")
        return False
    width, height = _size(args, image)
    if hasattr(args, "block") or width * height > LARGE or max(width, height) > _most_side():
        return True
    _only_blocks(args, f"{width}x{height} px are drawn at once; --block draws them in blocks")
    return False


def _most_side() -> int:
    assert CANVAS_SIDE.high is not None
    return CANVAS_SIDE.high


def _size(args: argparse.Namespace, image: Image.Image) -> tuple[int, int]:
    scale = 2.0 if args.scale is None else args.scale
    SCALE.check("scale", scale)
    return round(image.width * scale), round(image.height * scale)


def _only_blocks(args: argparse.Namespace, reason: str) -> None:
    wanted = [name for name in ("block_overlap", "jpeg", "block") if hasattr(args, name)]
    wanted += [name for name in ("tiff", "view") if getattr(args, name)]
    if wanted:
        raise UsageError(f"--{wanted[0].replace('_', '-')}: it is for pictures in blocks, and {reason}")


def run(args: argparse.Namespace, hosted: Hosted, report: Report) -> None:
    """Draws in blocks, or goes on, or says how far it is.

    Args:
        args: the parsed command line.
        hosted: loads the model, and ends its workers.
        report: tells the result.

    Raises:
        TiledError: names what is wrong.
    """
    if args.tiff is not None:
        check_tiff(args.tiff)
    if args.status:
        if not MANIFEST.is_in(Path(args.image)):
            raise UsageError(f"--status: {args.image} is no folder of an enlarged picture")
        now = status(opened_folder(Path(args.image)))
        report(args, now.to_dict(), now.lines())
        return
    start = time.monotonic()
    with ExitStack() as stack:
        asked = _of_folder if Path(args.image).is_dir() else _of_picture
        folder, drawn = _draw(args, *asked(args, lambda: stack.enter_context(hosted(args))))
    result: dict[str, Any] = {"folder": str(folder.path), "page": str(folder.path / PAGE), "drawn": drawn}
    if args.tiff is not None:
        write_tiff(folder.pyramid, args.tiff, folder.dpi())
        result["tiff"] = str(args.tiff)
    result["seconds"] = round(time.monotonic() - start, 2)
    report(args, result, [f"{name:8} {value}" for name, value in result.items()])
    if args.view:
        webbrowser.open((folder.path / PAGE).resolve().as_uri())


Asked = tuple["DiffusersHost", Enlargement, Path, Image.Image]
"""Host, settings, folder and picture."""


def _of_folder(args: argparse.Namespace, load: Load) -> Asked:
    """What a folder says, and nothing else."""
    path = Path(args.image)
    folder = opened_folder(path)
    given = [*given_request(args), *given_tiling(args), *given_flags(args, Enlargement), *given_flags(args, Print)]
    asked = any(flag is not None for flag in (args.scale, args.creativity, args.print))
    if given or asked or args.control or args.upscaler != "lanczos" or args.out != OUT:
        raise UsageError(f"{path}: this picture goes on as it was begun; other settings need another folder")
    return load(), folder.settings, path, folder.source()


def _of_picture(args: argparse.Namespace, load: Load) -> Asked:
    picture = open_picture(args.image)
    if args.creativity is not None:
        raise UsageError(
            "--creativity: blocks cannot keep the noise of the picture, which it sets: give --denoising-strength"
        )
    if args.upscaler != "lanczos":
        existing(args.upscaler)
    request = _request(args)
    path = _folder(args, _size(args, picture))
    host = load()
    request = with_sampler(args, host.model, request)
    scale, kept = 2.0 if args.scale is None else args.scale, given_flags(args, Enlargement)
    return host, enlargement(host, request, picture, scale, args.upscaler, **kept), path, picture


def _folder(args: argparse.Namespace, size: tuple[int, int]) -> Path:
    """Where it is kept: --out, or by itself a folder in `out` with the picture's name."""
    if args.out == OUT:
        return OUT / Path(args.image).stem
    if args.out.suffix.lower() in (".png", ".jpg", ".jpeg", ".tif", ".tiff"):
        raise UsageError(f"--out: a picture of {size[0]}x{size[1]} px is kept in a folder, got {args.out.name}")
    out: Path = args.out
    return out


def _request(args: argparse.Namespace) -> Request:
    """What was asked for; what blocks do not know is left out where only the picture's record has it."""
    request, typed = read_upscale_request(args), {*given_request(args), *given_tiling(args)}
    typed |= {"controls"} if args.control else set()
    left_out = {name for name, there in refusals(request).items() if there} - typed
    for name in sorted(left_out):
        say(args, f"{name}: left out: the picture's record has it, and blocks do not know it")
    request = replace(_without(request, left_out), tiling=_without(request.tiling, left_out))
    if request.sampler in NOISY and "sampler" not in typed:
        say(args, f"sampler: {SAMPLER}: {request.sampler} draws new noise at every step, which blocks do not share")
        request = replace(request, sampler=SAMPLER)
    return request


def _without(settings: T, names: set[str]) -> T:
    """Settings with the defaults of fields."""
    defaults: dict[str, Any] = {row.name: row.default for row in rows(type(settings)) if row.name in names}
    return replace(settings, **defaults)  # type: ignore[type-var]


def _draw(
    args: argparse.Namespace, host: Any, settings: Enlargement, path: Path, picture: Image.Image
) -> tuple[BlockFolder, int]:
    """Draws what is missing; returns how many blocks that were."""
    drawn = 0
    with closing(TileBar(args.quiet, "block")) as bar:
        for block in enlarge_in_blocks(host, settings, path, picture, How(say=bar.begin)):
            bar.show(block)
            drawn += 1
    return opened_folder(path), drawn
