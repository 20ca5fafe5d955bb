"""Inpainting: what is drawn of a photo, what is held as it is, and how both are put together at the end.

Outside the mask the clean latent is drawn to the photo's (a pull), at every step, so that what is drawn suits what
surrounds it; at the end the photo's own pixels take the place of the decoded ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageFilter
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d, pad

from tiled_diffusion.engine.guides.pull import Pull, Start, hold
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Settings

from .images import opaque, open_image, to_pixels
from .model import Model
from .vae import encode

Grey = npt.NDArray[np.uint8]
SMALLEST_PHOTO = 8


@dataclass(frozen=True)
class Painting:
    """A photo on its canvas.

    Attributes:
        photo: [H, W, 3] on the canvas; beyond its edges these are repeated.
        mask: [H, W]: 255 is drawn, 0 stays.
        size: width and height of the result, from the canvas's upper left corner.
        feather: width of the soft edge within the mask, image pixels.
        inpaint_from: see Request.
        rings: whether the canvas is a ring across, down.
    """

    photo: Grey
    mask: Grey
    size: tuple[int, int]
    feather: int
    inpaint_from: str
    rings: tuple[bool, bool]

    @classmethod
    def of(cls, model: Model, request: Request, photo: Image.Image, mask: Image.Image | None) -> Painting:
        """Lays a photo and its mask on the request's canvas.

        A photo that is less than one of the model's units smaller than its place keeps its pixels, and the result is
        as large as it, with what it is extended by; any other photo is resized to its place.

        Raises:
            TiledError: the mask is of another size than the photo, or the photo has no place on the canvas.
        """
        if mask is not None and mask.size != photo.size:
            got, allowed = (f"{image.width}x{image.height}" for image in (mask, photo))
            raise TiledError(f"mask: got {got}, allowed is the size of the start picture, {allowed}")
        sides, tiling = request.extend, request.tiling
        place = (request.width - sides.left - sides.right, request.height - sides.top - sides.bottom)
        if min(place) < SMALLEST_PHOTO:
            raise TiledError(f"extend: no place is left for the photo on a canvas of {request.width}x{request.height}")
        grey = Image.new("L", photo.size, 0) if mask is None else opaque(mask, "black").convert("L")
        photo = opaque(photo)
        short = [have - need for have, need in zip(place, photo.size, strict=True)]
        if not all(0 <= px < model.unit_px for px in short):
            photo, grey = photo.resize(place, Image.Resampling.LANCZOS), grey.resize(place, Image.Resampling.BILINEAR)
            short = [0, 0]
        for px, ring, name in zip(short, (tiling.wrap_x, tiling.wrap_y), ("width", "height"), strict=True):
            if px and ring:
                raise TiledError(f"{name}: the photo must be as large as its canvas on a ring, it is {px} px smaller")
        around = ((sides.top, sides.bottom), (sides.left, sides.right))
        beyond = ((0, short[1]), (0, short[0]))
        pixels = np.pad(np.pad(np.asarray(photo), (*around, (0, 0)), mode="edge"), (*beyond, (0, 0)), mode="edge")
        shown = np.pad(np.pad(np.asarray(grey), around, constant_values=255), beyond, mode="edge")
        size = (request.width - short[0], request.height - short[1])
        rings = (tiling.wrap_x, tiling.wrap_y)
        return cls(pixels, shown, size, request.mask_feather, request.inpaint_from, rings)

    @property
    def drawn(self) -> Tensor:
        """[1, 1, H, W] in 0..1: how strongly each pixel is drawn."""
        return torch.from_numpy(self.mask.astype(np.float32) / 255)[None, None]

    def start(self) -> Image.Image | None:
        """The picture that the sampling starts from; None for noise."""
        if self.inpaint_from == "noise":
            return None
        return Image.fromarray(self.photo if self.inpaint_from == "original" else filled(self.photo, self.mask))

    def pulls(self, model: Model, tiling: Settings) -> tuple[Pull, ...]:
        """Hold what is not drawn, to the end: a latent pixel is free as far as the freest pixel in it.

        What begins as noise begins as the noised colours around it, where there is anything around.
        """
        held = 1 - max_pool2d(self.drawn, model.traits.factor)
        target = encode(model, to_pixels(Image.fromarray(self.photo)), tiling)
        kept = Pull(target, held.to(target), hold(1.0))
        if self.inpaint_from != "noise" or not (self.mask == 0).any():
            return (kept,)
        around = encode(model, to_pixels(Image.fromarray(filled(self.photo, self.mask))), tiling)
        return Start(around, torch.ones_like(kept.mask), hold(1.0)), kept

    def composited(self, image: Image.Image) -> Image.Image:
        """The photo with what was drawn; where the mask is black these are the photo's own pixels."""
        soft = self._soft()[..., None]
        drawn = np.asarray(image, dtype=np.float64)
        mixed = np.rint(self.photo + soft * (drawn - self.photo)).astype(np.uint8)
        return Image.fromarray(mixed).crop((0, 0, *self.size))

    def _soft(self) -> npt.NDArray[np.float64]:
        """[H, W]: the mask, rising over the feather from where it begins; there is no edge at the canvas's border."""
        mask = self.mask / 255
        if not self.feather:
            return mask
        wide, high = (self.feather if ring else 0 for ring in self.rings)
        turned = np.pad(np.where(self.mask > 0, 255, 0).astype(np.uint8), ((high, high), (wide, wide)), mode="wrap")
        blurred = Image.fromarray(turned).filter(ImageFilter.GaussianBlur(self.feather / 2.5))
        inside = np.asarray(blurred)[high : high + mask.shape[0], wide : wide + mask.shape[1]] / 255
        return np.asarray(mask * np.clip(2 * inside - 1, 0, 1))


def painting_of(model: Model, request: Request, photo: Image.Image | None, mask: Image.Image | None) -> Painting | None:
    """What a request paints on a photo; None where it does not inpaint.

    Args:
        model: see load_model.
        request: names the mask's file, where `mask` is None.
        photo: the start picture.
        mask: in place of the file.

    Raises:
        TiledError: there is no photo, or the mask cannot be used.
    """
    if mask is None and not request.inpaints:
        return None
    if photo is None:
        raise TiledError("mask: a start picture is missing, init_image: what shall it be a mask of?")
    if mask is None and request.mask is not None:
        mask = open_image(request.mask, "mask", request.mask_sha256)
    return Painting.of(model, request, photo, mask)


def filled(photo: Grey, mask: Grey) -> Grey:
    """The photo, what the mask shows replaced by the colours around it: averages over larger and larger squares."""
    pixels = torch.from_numpy(photo.astype(np.float32)).permute(2, 0, 1)[None]
    known = torch.from_numpy((mask == 0).astype(np.float32))[None, None]
    if not known.any():
        return np.full_like(photo, 128)
    out = _pulled(pixels * known, known)
    return np.where(mask[..., None] > 0, out[0].permute(1, 2, 0).numpy().round().clip(0, 255).astype(np.uint8), photo)


def _pulled(total: Tensor, known: Tensor) -> Tensor:
    """Colours, total / known, where anything is known; elsewhere those of a map of half the size."""
    own = total / known.clamp(min=1e-6)
    if known.all():
        return own
    h, w = known.shape[-2:]
    even = (0, w % 2, 0, h % 2)
    coarse = _pulled(avg_pool2d(pad(total, even), 2), avg_pool2d(pad(known, even), 2))
    enlarged = interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)[..., :h, :w]
    return torch.where(known > 0, own, enlarged)


CONTEXT_CHANNELS = 5
"""Of an inpainting U-Net, besides the latent's own: the mask, and the latent of the photo without what is masked."""


def context(model: Model, request: Request, painting: Painting | None) -> Tensor | None:
    """[1, 5, H, W] for an inpainting U-Net, which sees it beside the latent; None for any other.

    Without a photo all of the canvas is masked.
    """
    if painting is None:
        return unknown(model, request.width, request.height, request.tiling)
    if not _takes_context(model):
        return None
    drawn = (painting.drawn > 0).float()
    return _context(model, drawn, to_pixels(Image.fromarray(painting.photo)) * (1 - drawn), request.tiling)


def unknown(model: Model, width: int, height: int, tiling: Settings) -> Tensor | None:
    """As `context`, of a canvas all of which is drawn.

    Args:
        model: see load_model.
        width: of the canvas, image pixels.
        height: of the canvas, image pixels.
        tiling: how the encoder is tiled.
    """
    if not _takes_context(model):
        return None
    return _context(model, torch.ones(1, 1, height, width), torch.zeros(1, 3, height, width), tiling)


def _takes_context(model: Model) -> bool:
    return model.unet.config.in_channels == model.traits.channels + CONTEXT_CHANNELS  # type: ignore[no-any-return]


def _context(model: Model, drawn: Tensor, photo: Tensor, tiling: Settings) -> Tensor:
    masked = encode(model, photo, tiling)
    return torch.cat([max_pool2d(drawn, model.traits.factor).to(masked), masked], dim=1)
