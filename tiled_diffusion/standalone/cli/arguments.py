"""From a parsed command line and the file it names to a request."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.canvas_file import is_canvas, request_from_canvas
from tiled_diffusion.settings.control import Control
from tiled_diffusion.settings.creativity import with_creativity
from tiled_diffusion.settings.document import parse_json
from tiled_diffusion.settings.fields import row
from tiled_diffusion.settings.files import read_text
from tiled_diffusion.settings.foreign import document_of
from tiled_diffusion.settings.grid_file import is_grid, request_from_grid
from tiled_diffusion.settings.growth import Growth
from tiled_diffusion.settings.inversion import Inversion
from tiled_diffusion.settings.request import Request, from_record, request_from_dict
from tiled_diffusion.settings.sides import Sides
from tiled_diffusion.settings.tile_texts import tile_texts_from_file
from tiled_diffusion.settings.values import Region, Settings, settings_from_dict
from tiled_diffusion.standalone.control_hints import open_hint
from tiled_diffusion.standalone.metadata import read_png
from tiled_diffusion.standalone.model import Model
from tiled_diffusion.standalone.samplers import default_sampler

from .flags import UsageError, given_flags, given_inversion
from .helps import UPSCALE_STRENGTH

FILES = ("init_image", "mask")
"""Fields of a request that name a picture."""
LAYOUTS = (".txt", ".py", ".md")
"""Endings of texts that are layouts: Omost's canvas, and Regional Prompter's prompts."""
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".gif")
"""Endings of pictures."""
NO_FILE = ("data:", "sha256:")
"""What stands in the place of a region's file begins so."""


def read_request(args: argparse.Namespace) -> Request:
    """The request that WHAT and the flags describe; flags override the file.

    Raises:
        TiledError: names the file, field or flag that is wrong.
    """
    given = _given_fields(args)
    tiling = given_tiling(args)
    base = _base(args.what, given, tiling)
    given |= _given_growth(args, base)
    if given.get("init_image") and base is None and not {"width", "height"} & given.keys():
        given["width"], given["height"] = _canvas_size(given)
    return _merged(base, given, tiling)


def read_upscale_request(args: argparse.Namespace) -> Request:
    """The request of an upscaling: from the picture's own record where there is one, else from the flags alone."""
    given = _given_fields(args)
    open_picture(args.image).close()
    image, base = Path(args.image), Request(prompt="")
    if image.suffix.lower() == ".png":
        with suppress(TiledError):  # made by another program
            base = from_record(_with_pictures_beside(read_png(image), image))
    if args.creativity is None:
        given.setdefault("denoising_strength", UPSCALE_STRENGTH)
        return _merged(base, given, given_tiling(args))
    base = dataclasses.replace(base, controls=given.pop("controls", base.controls))
    return _merged(with_creativity(base, args.creativity), given, given_tiling(args))


def read_inpaint_request(args: argparse.Namespace) -> Request:
    """The request of an inpainting, by the flags alone; it begins as noise where no denoising strength is given.

    Raises:
        TiledError: names the file or flag that is wrong.
    """
    given = {**_given_fields(args), "init_image": str(args.image)}
    request = _merged(None, given, given_tiling(args))
    if not request.inpaints:
        raise UsageError("nothing to draw: give --mask, --extend, or both")
    if given.keys() & {"denoising_strength", "inpaint_from", "inversion"}:
        return request
    return dataclasses.replace(request, inpaint_from="noise")


def with_sampler(args: argparse.Namespace, model: Model, request: Request) -> Request:
    """Where no sampler was chosen, the model's own default: rectified flows have no ancestral ones."""
    chosen = hasattr(args, "sampler") or request.sampler != row(Request, "sampler").default
    return request if chosen else dataclasses.replace(request, sampler=default_sampler(model))


def refuse_captions(request: Request) -> None:
    """Raises UsageError where tiles are to be captioned, but their picture is not there before the work begins."""
    if request.tiling.tile_prompts == "captions":
        raise UsageError(
            "tile_prompts: got 'captions', which prints, frames and folders do not take: give --tile-texts"
        )


def open_picture(path: str | Path) -> Image.Image:
    """Opens a picture, upright as its camera says; raises TiledError where there is none."""
    existing(path)
    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError) as e:
        raise TiledError(f"{path}: this is no picture that can be read ({e})") from e


def existing(path: str | Path) -> Path:
    """The path of a file; raises TiledError where there is none."""
    path = Path(path)
    if not path.is_file():
        raise TiledError(f"{path}: there is no such file")
    return path


def folders_of(args: argparse.Namespace) -> tuple[Path, ...]:
    """Where files of regions' pictures may lie: the working folder, and those of the files that were typed."""
    typed = [getattr(args, "what", None), *(region.picture for region in getattr(args, "pictures", None) or [])]
    files = [Path(name) for name in typed if name and not name.startswith(NO_FILE)]
    return tuple(dict.fromkeys([Path.cwd(), *(file.parent for file in files if _is_file(file))]))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a prompt may be too long for a name
        return False


def columns(prompts: Sequence[str]) -> tuple[Region, ...]:
    """Prompts side by side: equal columns from left to right over the whole height."""
    n = len(prompts)
    return tuple(Region(prompt=p, x=i / n, w=1 / n) for i, p in enumerate(prompts))


def joined(regions: Sequence[Region]) -> str:
    """The main prompt's stand-in where regions leave it nothing to draw."""
    return " | ".join(r.prompt for r in regions)


def _given_fields(args: argparse.Namespace) -> dict[str, Any]:
    given = given_request(args)
    if getattr(args, "size", None) is not None:
        if given.keys() & {"width", "height"}:
            raise UsageError("--size: give either --size or --width and --height, not both")
        given["width"], given["height"] = args.size
    controls = _given_controls(args.control or [], args.preprocess or [])
    return {**given, "controls": controls} if controls else given


def given_request(args: argparse.Namespace) -> dict[str, Any]:
    """The fields of a request that were typed, but for those with flags of their own kind: size and ControlNets."""
    given, inversion = given_flags(args, Request), given_inversion(args)
    return {**given, "inversion": Inversion(**inversion)} if inversion else given


def _given_growth(args: argparse.Namespace, base: Request | None) -> dict[str, Any]:
    """Whether and how the picture grows; flags change what a file says of it."""
    if args.progressive is False:
        return {"growth": None}
    given, before = given_flags(args, Growth), None if base is None else base.growth
    if given and not args.progressive and before is None:
        raise UsageError("--progressive: give it too, for the stages that the other flags describe")
    if not given and not args.progressive:
        return {}
    return {"growth": dataclasses.replace(before or Growth(), **given)}


def _given_controls(controls: Sequence[Control], preprocess: Sequence[str]) -> tuple[Control, ...]:
    """Controls with what is done to their hints: once for all, or once for each."""
    if len(preprocess) not in {0, 1, len(controls)} or (preprocess and not controls):
        raise UsageError(
            f"--preprocess: given {len(preprocess)} times for {len(controls)} --control: once, or for each"
        )
    kinds = list(preprocess or ["none"])
    kinds = kinds if len(kinds) == len(controls) else kinds * len(controls)
    prepared = tuple(dataclasses.replace(c, preprocess=kind) for c, kind in zip(controls, kinds, strict=True))
    for c in prepared:
        open_hint(c.image).close()
    return prepared


def given_tiling(args: argparse.Namespace) -> dict[str, Any]:
    """The settings of tiles that were typed."""
    given = given_flags(args, Settings)
    if args.tile is not None:
        if given.keys() & {"tile_width", "tile_height"}:
            raise UsageError("--tile: give either --tile or --tile-width and --tile-height, not both")
        given["tile_width"], given["tile_height"] = args.tile
    if args.tile_texts:
        given["tile_texts"] = tile_texts_from_file(existing(args.tile_texts))
        given.setdefault("tile_prompts", "list")
    if args.caption_command:
        given.setdefault("tile_prompts", "captions")
    if args.column or args.pictures:
        for region in args.pictures or ():
            open_picture(region.picture).close()
        given["regions"] = (*columns(args.column or ()), *(args.pictures or ()))
    return given


def _base(what: str | None, given: dict[str, Any], tiling: dict[str, Any]) -> Request | None:
    """The request in the file WHAT, or None where WHAT is a prompt (which then stands in `given`) or missing."""
    kind = "" if what is None else Path(what).suffix.lower()
    if what is not None and kind == ".json":
        return _canvas_file(existing(what))
    if what is not None and kind in LAYOUTS and _is_file(Path(what)):
        return _layout(Path(what), given)
    if what is not None and kind == ".png":
        open_picture(what).close()
        return _with_pictures_beside(read_png(Path(what)), Path(what))
    if what is not None:
        if "prompt" in given:
            raise UsageError("--prompt: the prompt is given twice, with and without --prompt")
        given["prompt"] = what
    if "prompt" not in given and "regions" not in tiling:
        raise UsageError("nothing to draw: give a prompt in quotes, a canvas.json, a picture.png or --column")
    return None


def _canvas_file(path: Path) -> Request:
    """The request in a canvas file."""
    text = read_text(path)
    try:
        data = parse_json(text, "canvas")
        if is_grid(data):
            request = request_from_grid(data)
        else:
            request = request_from_canvas(data) if is_canvas(data) else request_from_dict(data)
    except TiledError as e:
        raise TiledError(f"{path}: {e}") from e
    return _with_pictures_beside(request, path)


def _layout(path: Path, given: dict[str, Any]) -> Request:
    """The request of a layout in a text; without --prompt the main one is made of the regions'."""
    text = read_text(path)
    try:
        tiling = settings_from_dict(document_of({"text": text}))
    except TiledError as e:
        raise TiledError(f"{path}: {e}") from e
    return Request(prompt=given.get("prompt", joined(tiling.regions)), tiling=tiling)


def _with_pictures_beside(request: Request, file: Path) -> Request:
    """Start pictures and hints that lie beside the file that names them are found from every folder."""

    def beside(name: str) -> str:
        return str(file.parent / name) if (file.parent / name).is_file() else name

    def pictured(region: Region) -> Region:
        name = region.picture
        return region if name is None or name.startswith(NO_FILE) else dataclasses.replace(region, picture=beside(name))

    controls = tuple(dataclasses.replace(c, image=beside(c.image)) for c in request.controls)
    tiling = dataclasses.replace(request.tiling, regions=tuple(map(pictured, request.tiling.regions)))
    files: dict[str, Any] = {f: beside(getattr(request, f)) for f in FILES if getattr(request, f) is not None}
    return dataclasses.replace(request, controls=controls, tiling=tiling, **files)


def _merged(base: Request | None, given: dict[str, Any], tiling: dict[str, Any]) -> Request:
    settings = dataclasses.replace(base.tiling if base else Settings(), **tiling)
    for name in FILES:
        if given.get(name):
            open_picture(given[name]).close()
            given.setdefault(f"{name}_sha256", None)
    if base is not None:
        return dataclasses.replace(base, **given, tiling=settings)
    given.setdefault("prompt", joined(settings.regions))
    return Request(**given, tiling=settings)


def scaled_to(model: Model, request: Request) -> Request:
    """The request in the model's own size: its tiles' shorter side (by default 512 px) becomes the native one."""
    tiling, unit = request.tiling, model.unit_px
    px = model.traits.factor
    factor = model.traits.native * px / min(tiling.tile_width or 512, tiling.tile_height or 512)

    def scaled(px: int, step: int) -> int:
        return max(step, int(px * factor / step + 0.5) * step)

    tiles: dict[str, Any] = {
        name: scaled(value, unit)
        for name in ("tile_width", "tile_height")
        if (value := getattr(tiling, name)) is not None
    }
    if tiling.overlap is not None:
        tiles["overlap"] = int(tiling.overlap // px * factor + 0.5) * px
    width, height = (max(64, scaled(px, unit)) for px in (request.width, request.height))
    return dataclasses.replace(request, width=width, height=height, tiling=dataclasses.replace(tiling, **tiles))


def _canvas_size(given: dict[str, Any]) -> tuple[int, int]:
    """Width and height of the start picture with what it is extended by, in multiples of 8.

    Rounded down, as the picture is resized; but up where parts of it stay as they are, to their last pixel.
    """
    sides = given.get("extend", Sides())
    up = 7 if sides or given.get("mask") else 0
    with open_picture(given["init_image"]) as image:
        size = image.width + sides.left + sides.right, image.height + sides.top + sides.bottom
        return (size[0] + up) // 8 * 8, (size[1] + up) // 8 * 8
