"""The record in a PNG: text that other programs read too, and the request that makes the same picture again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path, PurePath
from typing import Protocol

from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from tiled_diffusion import __version__
from tiled_diffusion.engine.methods import METHODS
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.upscale import dpi_of
from tiled_diffusion.settings.control import Control
from tiled_diffusion.settings.fields import row, rows
from tiled_diffusion.settings.growth import Growth
from tiled_diffusion.settings.request import Request, alone, request_from_json

from .images import file_digest
from .pictures import allowed

CHUNK = "tiled_diffusion"


def parameters_text(request: Request, model_name: str) -> str:
    """The text that the WebUI writes as "parameters": prompt, negative prompt, and a line of names and values."""
    settings = json.dumps(request.tiling.to_dict(), ensure_ascii=False, separators=(",", ":"))
    values = {
        "Steps": request.steps,
        "Sampler": request.sampler,
        "CFG scale": f"{request.cfg_scale:g}",
        "Seed": request.seed,
        "Size": f"{request.width}x{request.height}",
        "Model": _quoted(model_name),
        **({"Denoising strength": f"{request.denoising_strength:g}"} if request.init_image else {}),
        **_kept(request),
        **_painted(request),
        **({} if request.growth is None else {"Grown": _quoted(_growth_text(request.growth))}),
        **{f"ControlNet {i}": _quoted(_control_text(c)) for i, c in enumerate(request.controls)},
        "Tiled Diffusion": json.dumps(settings, ensure_ascii=False),
        "Tiled Diffusion version": __version__,
    }
    lines = [request.prompt]
    if request.negative_prompt:
        lines.append(f"Negative prompt: {request.negative_prompt}")
    return "\n".join([*lines, ", ".join(f"{name}: {value}" for name, value in values.items())])


def _kept(request: Request) -> dict[str, str]:
    """Of what noise img2img began."""
    if request.inversion is None or not request.init_image:
        return {}
    values = {name: value for name, value in asdict(request.inversion).items() if value is not None}
    return {"Noise inversion": _quoted(", ".join(f"{name}: {value}" for name, value in values.items()))}


def _painted(request: Request) -> dict[str, str]:
    """What was drawn of a photo."""
    if not request.inpaints:
        return {}
    mask = {} if request.mask is None else {"Mask": _quoted(PurePath(request.mask).name)}
    extended = {"Extended": _quoted(row(Request, "extend").to_text(request.extend))} if request.extend else {}
    return {**mask, **extended, "Mask feather": str(request.mask_feather), "Masked content": request.inpaint_from}


def _growth_text(growth: Growth) -> str:
    return ", ".join(f"{r.label}: {r.to_text(getattr(growth, r.name))}" for r in rows(Growth))


def _control_text(control: Control) -> str:
    values = {
        "Module": control.preprocess,
        "Model": PurePath(control.model).stem,
        "Weight": f"{control.weight:g}",
        "Guidance Start": f"{control.start:g}",
        "Guidance End": f"{control.end:g}",
    }
    return ", ".join(f"{name}: {value}" for name, value in values.items())


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if any(c in text for c in ",:\n") else text


def _with_digests(request: Request) -> Request:
    """Where a part of a photo was drawn: with the digests of the photo's and the mask's file, never their bytes."""
    if not request.inpaints:
        return request
    return replace(
        request,
        init_image_sha256=request.init_image_sha256 or file_digest(request.init_image),
        mask_sha256=request.mask_sha256 or file_digest(request.mask),
    )


def recorded(request: Request, folders: Sequence[Path] | None = None) -> Request:
    """With its files by their digests, as far as records have them."""
    return _with_digests(replace(request, tiling=request.tiling.recorded(allowed(folders))))


class Named(Protocol):
    """What has a model's name: a model, or the host of one."""

    @property
    def name(self) -> str:
        """As it stands in records."""


def save_png(
    image: Image.Image,
    path: str | Path,
    request: Request,
    seed: int,
    model: Named,
    seconds: float | None = None,
    folders: Sequence[Path] | None = None,
) -> None:
    """Writes one picture of a request with its record, and with its DPI where image.info tells it.

    Args:
        image: the picture.
        path: where to.
        request: what was asked for.
        seed: the seed of this very picture; the record asks for it alone.
        model: what drew it; its name is recorded.
        seconds: how long it took, if that is to be recorded.
        folders: as for `generate`: regions' pictures are recorded by their digests.
    """
    together = request.match is not None  # a picture that fits others is drawn with them
    own = request if together else alone(request, seed)
    by_itself = request.growth is not None or together
    moves = METHODS[request.tiling.method].moves and request.tiling.grid_seed is None
    if moves and not by_itself and seed != request.seed:
        own = replace(own, tiling=replace(own.tiling, grid_seed=request.seed))
    own = recorded(own, folders)
    info = PngInfo()
    info.add_itxt("parameters", parameters_text(own, model.name))
    info.add_itxt(CHUNK, json.dumps(own.to_dict(), ensure_ascii=False))
    if seconds is not None:
        info.add_itxt("seconds", f"{seconds:.2f}")
    image.save(path, format="PNG", pnginfo=info, **dpi_of(image))


def read_png(path: str | Path) -> Request:
    """The request that made a picture.

    Raises:
        TiledError: there is no such picture, or it holds no record of this project, or a broken one.
    """
    try:
        with Image.open(path) as image:
            image.load()
            text = getattr(image, "text", {}).get(CHUNK)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as e:
        raise TiledError(f"{path} cannot be read as a picture ({e})") from e
    if text is None:
        raise TiledError(f"{path} holds no record of this program; it was made, or saved again, by another one")
    try:
        return request_from_json(str(text))
    except TiledError as e:
        raise TiledError(f"the record in {path} cannot be used: {e}") from e
