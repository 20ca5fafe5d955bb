"""Forge and reForge: a clone of a U-Net's patcher that asks for tiles.

A patcher has a list of conditioning modifiers, called once before each denoiser call, and one model function wrapper,
called in place of the model. The host batches the rows of prompts and negative prompts as it likes; so each row is
given a name, which travels with its conditioning.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from tiled_diffusion.errors import TiledError
from tiled_diffusion.webui.controlnet.controls import Controls
from tiled_diffusion.webui.hosts.a1111.page import option
from tiled_diffusion.webui.hosts.values import Denoise, DenoiserCall, Forward
from tiled_diffusion.webui.rows import Row

from .control import controlled
from .library import is_reforge

ROW = "tiled_row"
"""Name of the conditioning [rows, 2] that says of each row which it is: its picture, and its prompt's part."""
NEGATIVE = -1
MODIFIERS, WRAPPER = "conditioning_modifiers", "model_function_wrapper"


class Hung:
    """What the patchers of one sampler's models carry, until it is taken off.

    Args:
        denoiser: the sampler's.
        begin: called before each denoiser call.
        denoise: asked in place of the model.
        call_shape: tiles of the largest model call, their height and width.
        controls: the ControlNets that know their tiles, or None.
    """

    def __init__(
        self,
        denoiser: Any,
        begin: Callable[[DenoiserCall], None],
        denoise: Denoise,
        call_shape: tuple[int, int, int],
        controls: Controls | None = None,
    ) -> None:
        self._denoiser = weakref.ref(denoiser)
        self._begin, self._denoise, self._call_shape = begin, denoise, call_shape
        self._head = getattr(controls, "head", None)
        self._places: list[tuple[Any, Any, Any]] = []
        self._active, self._controlled = True, False
        self.asked = 0

    def put_on(self, objects: Any) -> None:
        """A clone takes the place of a model's patcher, once; other scripts may have cloned it since."""
        if not self._active or self._is_on(objects.unet):
            return
        unet = objects.unet.clone()
        unet.add_conditioning_modifier(self._modifier())
        unet.set_model_unet_function_wrapper(self._wrapper(unet.model_options.get(WRAPPER)))
        unet.set_memory_peak_estimation_modifier(self._memory(unet))
        self._places.append((objects, objects.unet, unet))
        objects.unet = unet

    def take_off(self) -> None:
        """Models have their own patchers again; what others cloned from ours passes everything through."""
        self._active = False
        for objects, before, ours in self._places:
            if objects.unet is ours:
                objects.unet = before
        self._places.clear()
        del self._begin, self._denoise

    def _is_on(self, unet: Any) -> bool:
        return any(getattr(m, "tiled_hung", None) is self for m in unet.model_options.get(MODIFIERS, []))

    def _modifier(self) -> Callable[..., Any]:
        """A function, since clones copy whatever a bound method is bound to."""

        def modifier(
            model: Any, x: Tensor, sigma: Tensor, uncond: Any, cond: Any, scale: float, *more: Any
        ) -> tuple[Any, ...]:
            if self._active:
                self._begin(self._call(x, sigma, uncond or [], cond, scale))
            return model, x, sigma, uncond, cond, scale, *more

        modifier.tiled_hung = self  # type: ignore[attr-defined]
        return modifier

    def _call(self, x: Tensor, sigma: Tensor, uncond: Sequence[Any], cond: Sequence[Any], scale: float) -> DenoiserCall:
        """What is known of the call; its rows are named."""
        self._take_control((*cond, *uncond))
        for part, entry in enumerate(cond):
            _name_rows(entry, part, x.shape[0])
        for entry in uncond:
            _name_rows(entry, NEGATIVE, x.shape[0])
        denoiser: Any = self._denoiser()
        weights = [[float(entry.get("strength", 1.0)) for entry in cond]] * x.shape[0]
        unguided = not uncond or math.isclose(scale, 1.0) or leaves_out_negatives(denoiser, float(sigma[0]))
        return DenoiserCall(denoiser.step, denoiser.total_steps, weights, float(scale), unguided)

    def _take_control(self, entries: Sequence[dict[str, Any]]) -> None:
        """The host asks no ControlNets for the canvas: they are asked for each model call instead.

        Raises:
            TiledError: somebody has added one that does not know its tiles.
        """
        heads = [entry.pop("control") for entry in entries if entry.get("control") is not None]
        if any(head is not self._head for head in heads):
            raise TiledError("a ControlNet was added after the tiles were prepared: switch one of the two off")
        self._controlled = bool(heads)

    def _wrapper(self, below: Callable[..., Tensor] | None) -> Callable[..., Tensor]:
        """Asks for tiles, above the wrapper that somebody else has set."""

        def wrapper(apply: Callable[..., Tensor], args: dict[str, Any]) -> Tensor:
            cond = dict(args["c"])
            names = cond.pop(ROW, None)

            def model(
                x: Tensor, sigma: Tensor, cond: dict[str, Any], negatives: Sequence[bool] | None = None
            ) -> Tensor:
                call = {**args, "input": x, "timestep": sigma, **_marked(_theirs(cond), sigma, negatives)}
                head = self._head if self._controlled else None
                return _asked(below, apply, controlled(head, call, cropped=negatives is not None))

            if not self._active or names is None:
                return model(args["input"], args["timestep"], _ours(cond))
            self.asked += 1
            return self._denoise(model, args["input"], args["timestep"], _ours(cond), _rows(names))

        return wrapper

    def _memory(self, unet: Any) -> Callable[[Sequence[int]], Any]:
        """The memory that is kept free: of the largest model call instead of the canvas."""
        estimate = unet.model_options.get("memory_peak_estimation_modifier", unet.memory_required)
        tiles, height, width = self._call_shape

        def memory(shape: Sequence[int]) -> Any:
            return estimate([shape[0] * tiles, shape[1], height, width] if self._active else shape)

        return memory


def transformer_options(unet: Any) -> dict[str, Any]:
    """What goes through the layers of a patcher's model, in calls of ours that no call of the host stands behind."""
    own = unet.model_options.get("transformer_options", {})
    return {**own} if is_reforge() else {**own, "cond_mark": None}


def untiled(unet: Any) -> Forward:
    """The model of a patcher, as it is now, for rows of prompts in the form that AUTOMATIC1111's have."""
    below = unet.model_options.get(WRAPPER)

    def model(x: Tensor, sigma: Tensor, cond: dict[str, Any], negatives: Sequence[bool] | None = None) -> Tensor:
        options = transformer_options(unet)
        c = {"transformer_options": options, **_theirs(cond)}
        call = {"input": x, "timestep": sigma, **_marked(c, sigma, negatives or [False] * len(x))}
        head = unet.controlnet_linked_list
        return _asked(below, unet.model.apply_model, controlled(head, call, cropped=negatives is not None))

    return model


def _asked(below: Callable[..., Tensor] | None, apply: Callable[..., Tensor], call: dict[str, Any]) -> Tensor:
    """The model by the wrapper that somebody else has set, if there is one."""
    return below(apply, call) if below is not None else apply(call["input"], call["timestep"], **call["c"])


def leaves_out_negatives(denoiser: Any, sigma: float) -> bool:
    """By reForge's rules, which hold before modifiers are called; Forge says so by a scale of 1."""
    if not is_reforge():
        return False
    least, early = option("s_min_uncond", 0.0), option("skip_early_cond", 0.0)
    turn = denoiser.step % 2 == 0 or option("s_min_uncond_all", False)
    if turn and 0 < sigma < least:
        return True
    return bool(denoiser.step < early or (early != 0 and denoiser.step / denoiser.total_steps <= early))


def _name_rows(entry: dict[str, Any], part: int, images: int) -> None:
    """The name is a plain condition, of the class that the text's condition derives from."""
    conditions = entry["model_conds"]
    plain = type(conditions["c_crossattn"]).__bases__[0]
    names = torch.tensor([[image, part] for image in range(images)])
    entry["model_conds"] = {**conditions, ROW: plain(names)}


def _rows(names: Tensor) -> list[Row]:
    return [Row(int(image), None if part == NEGATIVE else int(part)) for image, part in names.tolist()]


def _ours(c: dict[str, Any]) -> dict[str, Any]:
    """The conditioning in the form that AUTOMATIC1111's has."""
    cond = {key: value for key, value in c.items() if key not in ("c_crossattn", "y", "c_concat")}
    if "y" in c:
        cond |= {"crossattn": c["c_crossattn"], "vector": c["y"]}
    else:
        cond["c_crossattn"] = [c["c_crossattn"]]
    return {**cond, "c_concat": [c["c_concat"]]} if "c_concat" in c else cond


def _theirs(cond: dict[str, Any]) -> dict[str, Any]:
    """The other way round."""
    c = {key: value for key, value in cond.items() if key not in ("c_crossattn", "crossattn", "vector", "c_concat")}
    c["c_crossattn"] = cond["crossattn"] if "crossattn" in cond else cond["c_crossattn"][0]
    if "vector" in cond:
        c["y"] = cond["vector"]
    return {**c, "c_concat": cond["c_concat"][0]} if "c_concat" in cond else c


def _marked(c: dict[str, Any], sigma: Tensor, negatives: Sequence[bool] | None) -> dict[str, Any]:
    """The conditioning, and the host's marks of what is a negative prompt's, for other rows than the host's own.

    Patches of the attention go by the marks: one for each row, where the host has one for all pictures of a batch.
    """
    if negatives is None:
        return {"c": c}
    marks = [int(negative) for negative in negatives]
    options = {**c.get("transformer_options", {}), "cond_or_uncond": marks, "sigmas": sigma[:1]}
    if "cond_mark" in options:
        options |= {
            "cond_mark": torch.tensor(marks).to(sigma),
            "cond_indices": [i for i, mark in enumerate(marks) if not mark],
            "uncond_indices": [i for i, mark in enumerate(marks) if mark],
        }
    return {"c": {**c, "transformer_options": options}, "cond_or_uncond": marks}
