"""Units of the ControlNet extension: what each keeps of the whole canvas, and how one model call is shown its part.

A unit is known by what it has. It holds a hint, and beside it, each made from the hint when first needed: its latent
(for preprocessors that paint known pixels or colours back, and for references), and for inpainting checkpoints the
masked latent. All of these lie on the canvas, and so does the mask of where a unit acts. Adapters keep the features of
the hint that they saw first; LLLite has the hint in each of its modules; IP-Adapters keep keys and values that belong
to the rows of the call that they saw first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate, max_pool2d

from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guides.control import fitted_hint, hint_crops
from tiled_diffusion.engine.view import View

WHOLE = ("AttentionInjection", "IPAdapter", "ReVision", "T2I_StyleAdapter")
"""Names of the kinds of units whose hints are no maps of the canvas."""
FACE = "InstantID"
"""Kind of units whose key points are a map of the canvas, but whose face is the whole picture's."""
RESTORING = ("inpaint_only", "colorfix")
"""Parts of the names of preprocessors that paint what is known back, by the hint's latent."""
INPAINT_CHANNELS = 9
HINT_PX = 8
"""Pixels of a hint for each latent pixel: the extension knows models of this factor alone."""
UNET_PX = 64
"""Pictures whose sides are multiples of it go through every U-Net."""
_MISSING = object()

Encode = Callable[..., Tensor]


@dataclass(frozen=True)
class Rows:
    """The rows of one model call.

    Attributes:
        views: which part of the canvas each row is.
        images: number of each row's picture in the batch.
        negatives: whether each is a negative prompt's; None where nobody knows.
        on: whether units act at all.
    """

    views: Sequence[View]
    images: Sequence[int]
    negatives: tuple[bool, ...] | None = None
    on: bool = True

    def crops(self, hint: Tensor, px: int = HINT_PX) -> Tensor:
        """A crop for each row, [rows, C, px h, px w]."""
        return hint_crops(hint, self.views, self.images, px)

    def fewest(self, hint: Tensor) -> Tensor:
        """As `crops`, but one row where all are the same: some units take no more."""
        if hint.shape[0] == 1 and len(set(self.views)) == 1:
            return hint_crops(hint, self.views[:1], self.images[:1], HINT_PX)
        return self.crops(hint)


class Changes:
    """What was changed on objects of others for a while, and how it comes back."""

    def __init__(self) -> None:
        self.before: dict[tuple[int, str], tuple[Any, Any]] = {}
        self.last: list[Callable[[], Any]] = []

    def set(self, owner: Any, **values: Any) -> None:
        """Sets attributes, in the order given."""
        for name in values:
            self.before.setdefault((id(owner), name), (owner, getattr(owner, name, _MISSING)))
        for name, value in values.items():
            setattr(owner, name, value)

    def undo(self) -> None:
        """Everything as it was, first set first: setting a hint clears what was made from it."""
        for (_, name), (owner, value) in self.before.items():
            if value is _MISSING:
                delattr(owner, name)
            else:
                setattr(owner, name, value)
        for action in self.last:
            action()
        self.before, self.last = {}, []


@dataclass
class MapUnit:
    """A unit whose hint is a map of the canvas: ControlNets of all kinds, T2I-Adapters, LLLite.

    Attributes:
        params: the extension's object.
        hint: [1 or B, C, 8 H, 8 W].
        hires: whether it is the hint of the hires pass.
        mask: [1, 1, 8 H, 8 W] or None, where the unit acts.
        latent: [1 or B, 4, H, W] of the hint, or None.
        masked: [1 or B, 5, H, W], mask and masked latent for an inpainting checkpoint, or None.
        home: device on which the unit wants its crops.
    """

    params: Any
    hint: Tensor
    hires: bool = False
    mask: Tensor | None = None
    latent: Tensor | None = None
    masked: Tensor | None = None
    home: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def encode(self, encode: Encode, channels: int, tile: Extent) -> None:  # noqa: ARG002 tiles are cut out later
        """Makes the latents from the whole hint, once.

        Args:
            encode: of pictures [B, C, h, w] in 0..1, with `mask` what is hidden.
            channels: that the U-Net takes.
            tile: size of the largest one.
        """
        if any(name in _preprocessor(self.params) for name in RESTORING):
            self.latent = encode(self.hint).to(self.hint.device)
        if channels == INPAINT_CHANNELS and self.hint.shape[1] == 4:
            hidden = (self.hint[:, 3:] > 0.5).to(self.hint.dtype)
            seen = encode(self.hint[:, :3], mask=hidden).to(self.hint.device)
            self.masked = torch.cat([max_pool2d(hidden, HINT_PX).to(seen), seen], dim=1)

    def show(self, rows: Rows, changes: Changes) -> None:
        """The rows' part of the canvas becomes all that there is."""
        hint = rows.fewest(self.hint).to(self.home)
        if not rows.on:
            hint = hint[:, :3]  # the fourth channel paints known pixels back even while guidance is stopped
        changes.set(
            self.params,
            hint_cond=hint,
            hr_hint_cond=hint if self.hires else None,
            used_hint_cond=hint,
            used_hint_cond_latent=self._latents(self.latent, rows),
            used_hint_inpaint_hijack=self._latents(self.masked, rows),
        )
        if self.mask is not None:
            changes.set(self.params, effective_region_mask=rows.fewest(self.mask).to(self.home))
        _forget(self.params.control_model, changes)
        _show_modules(self.params.control_model, hint, changes)

    def _latents(self, latent: Tensor | None, rows: Rows) -> Tensor | None:
        return None if latent is None else rows.crops(latent, 1).to(self.home)


@dataclass
class WholeUnit:
    """A unit that looks at a whole picture whatever is drawn: references, IP-Adapters, styles.

    Attributes:
        params: the extension's object.
        hint: [1 or B, C, h, w] of the present pass, or None where it is no picture.
        hires: whether it is the hint of the hires pass.
        mask: [1, 1, 8 H, 8 W] or None, where the unit acts.
        latent: [1 or B, 4, h', w'] of a reference, or None.
        caches: of an IP-Adapter, by which rows are negative.
    """

    params: Any
    hint: Tensor | None = None
    hires: bool = False
    mask: Tensor | None = None
    latent: Tensor | None = None
    caches: dict[tuple[bool, ...], dict[Any, Any]] = field(default_factory=dict)

    def encode(self, encode: Encode, channels: int, tile: Extent) -> None:  # noqa: ARG002 references know no masks
        """Makes a reference's latent, once: of the whole picture, but about as large as a tile.

        The U-Net draws it anew for every call, and each tile attends to all of it: that at the size of the canvas would
        need the memory that tiles are there to save.
        """
        if self.hint is not None and kind_of(self.params) == "AttentionInjection":
            self.latent = encode(_at_most(self.hint, tile))

    def show(self, rows: Rows, changes: Changes) -> None:
        """What is kept for the rows of one call becomes what these rows need."""
        if self.hint is not None:
            self._show_picture(self.hint, rows, changes)
        model = self.params.control_model
        if isinstance(getattr(model, "cache", None), dict):
            fresh: dict[Any, Any] = {}
            cache = fresh if rows.negatives is None else self.caches.setdefault(rows.negatives, fresh)
            changes.set(model, cache=cache)
        if self.mask is not None and hasattr(model, "effective_region_mask"):
            h, w = rows.views[0].extent
            changes.set(model, effective_region_mask=rows.fewest(self.mask), latent_width=w, latent_height=h)

    def _show_picture(self, hint: Tensor, rows: Rows, changes: Changes) -> None:
        latent = None if self.latent is None else self.latent[[i % self.latent.shape[0] for i in rows.images]]
        both = {"hint_cond": hint, "hr_hint_cond": hint} if self.hires else {"hr_hint_cond": None}
        changes.set(self.params, **both, used_hint_cond=hint, used_hint_cond_latent=latent)


Unit = MapUnit | WholeUnit


def unit_of(params: Any, canvas: Extent, *, hires: bool, home: torch.device | None = None) -> Unit:
    """What is tiled of one of the extension's units.

    Args:
        params: the extension's object.
        canvas: in latent pixels.
        hires: whether this is a hires pass; of two hints the one nearer to the canvas's size counts.
        home: device on which the unit wants its crops; None means where its hint is.
    """
    every: list[Any] = [params.hint_cond, getattr(params, "hr_hint_cond", None)]
    pictures = [h for h in every if _is_picture(h)]
    size = (canvas.h * HINT_PX, canvas.w * HINT_PX)
    chosen = min(
        pictures[::-1] if hires else pictures,
        key=lambda h: abs(h.shape[-2] - size[0]) + abs(h.shape[-1] - size[1]),
        default=None,
    )
    mask = getattr(params, "effective_region_mask", None)
    mask = fitted_hint(mask, canvas, HINT_PX) if isinstance(mask, Tensor) else None
    later = chosen is not None and chosen is every[1]
    if chosen is None or is_whole(params):
        return WholeUnit(params, chosen, later, mask)
    return MapUnit(params, fitted_hint(chosen, canvas, HINT_PX), later, mask, home=home or chosen.device)


def is_whole(params: Any) -> bool:
    """Whether a unit's hint is no map of the canvas."""
    return any(name in kind_of(params) for name in WHOLE)


def to_main_memory(params: Any, home: list[torch.device]) -> Callable[[], None]:
    """Moves the whole hints of a unit off the device that draws.

    Args:
        params: the extension's object.
        home: gets the device that they were on.

    Returns:
        What brings them back.
    """
    places = []
    for name in ("hint_cond", "hr_hint_cond", "effective_region_mask"):
        value = getattr(params, name, None)
        if isinstance(value, Tensor) and value.device.type != "cpu":
            places.append((name, value.device))
            setattr(params, name, value.cpu())
    home += [device for _, device in places[:1]]
    modules = _modules(params.control_model)
    image = modules[0].cond_image.cpu() if modules and places else None
    _put(modules, image)

    def back() -> None:
        for name, device in places:
            setattr(params, name, getattr(params, name).to(device))
        _put(modules, None if image is None else image.to(places[0][1]))

    return back


def kind_of(params: Any) -> str:
    """Name of the kind of a unit."""
    kind = getattr(params, "control_model_type", None)
    return str(getattr(kind, "name", kind))


def takes_one_crop(params: Any) -> bool:
    """Whether a unit can be shown the crop of one tile only: it spreads what it makes of it over the rows itself."""
    if kind_of(params) == "T2I_Adapter":
        return bool(getattr(params, "cfg_injection", False))
    return kind_of(params) == "IPAdapter" and getattr(params, "effective_region_mask", None) is not None


def _preprocessor(params: Any) -> str:
    preprocessor = getattr(params, "preprocessor", None)
    return str(preprocessor.get("name", "")) if isinstance(preprocessor, dict) else ""


def _is_picture(hint: Any) -> bool:
    return isinstance(hint, Tensor) and hint.dim() == 4 and min(hint.shape[-2:]) > 1


def _at_most(hint: Tensor, tile: Extent) -> Tensor:
    """A picture [B, C, h, w] with about as many pixels as a tile, in whole 64 px; as it is if it has fewer."""
    area = tile.h * tile.w * HINT_PX**2
    scale = math.sqrt(area / (hint.shape[-2] * hint.shape[-1]))
    if scale >= 1:
        return hint
    h, w = (max(1, round(n * scale / UNET_PX)) * UNET_PX for n in hint.shape[-2:])
    return interpolate(hint.float(), size=(h, w), mode="bilinear", antialias=True).to(hint.dtype)


def _forget(model: Any, changes: Changes) -> None:
    """Lets an adapter forget the features of other crops, now and afterwards."""
    reset = getattr(model, "reset", None)
    if callable(reset):
        reset()
        changes.last.append(reset)


def follows_tiles(model: Any) -> bool:
    """Whether a model that is hung into the U-Net beforehand (LLLite) can be given another picture: its modules can."""
    return bool(_modules(model))


def _modules(model: Any) -> list[Any]:
    """The modules of an LLLite."""
    every = getattr(model, "modules", None)
    modules = list(every.values()) if isinstance(every, dict) else []
    return modules if all(hasattr(m, "set_cond_image") and hasattr(m, "cond_image") for m in modules) else []


def _put(modules: Sequence[Any], image: Tensor | None) -> None:
    """Gives modules their picture; None leaves them as they are."""
    for module in modules if image is not None else []:
        module.set_cond_image(image)


def _show_modules(model: Any, hint: Tensor, changes: Changes) -> None:
    """The crop in -1..1 for each module of an LLLite; they take no part in the extension's own choice of hints."""
    for module in _modules(model):
        changes.last.append(partial(module.set_cond_image, module.cond_image))
        module.set_cond_image(hint[:, :3] * 2 - 1)
