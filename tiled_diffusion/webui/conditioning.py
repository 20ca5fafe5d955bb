"""The WebUI's conditioning dicts: taking rows, crops and other prompts' texts.

SD 1 and 2: {"c_crossattn": [T], "c_concat": [C]}; SDXL, SD 3: {"crossattn": T, "vector": V, "c_concat": [C]}, and Flux
dev "guidance", [rows], besides; unCLIP: {"c_crossattn": [T], "c_adm": A}. C is [rows, 5, 1, 1] where the model is no
inpainting model, and may have more rows than there are (the WebUI leaves the negatives' in when it skips them).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.view import View

Cond = dict[str, Any]
BESIDE = {"vector", "guidance"}
"""What is said of a text beside its tokens: pooled text and, for models that are told it, the scale of guidance."""
SIZE_NUMBERS = 6
SIZE_CHANNELS = 256


def text_of(cond: Mapping[str, Any]) -> Tensor:
    """[rows, tokens, channels]."""
    text = cond["crossattn"] if "crossattn" in cond else cond["c_crossattn"][0]
    assert isinstance(text, Tensor)
    return text


def of_rows(cond: Mapping[str, Any], rows: int, index: Sequence[int], views: Sequence[View], canvas: Extent) -> Cond:
    """The conditioning of crops: row index[i] of the host's, cropped to views[i] where it is a map of the canvas.

    Args:
        cond: the host's, of `rows` rows.
        rows: of the host's call.
        index: a host's row for each row of ours.
        views: which part of the canvas each row of ours is.
        canvas: size of the latent.
    """

    def chosen(value: Any) -> Any:
        if isinstance(value, list):
            return [chosen(v) for v in value]
        if not isinstance(value, Tensor) or value.dim() == 0 or value.shape[0] < rows:
            return value
        if value.dim() == 4 and tuple(value.shape[-2:]) == tuple(canvas):
            return torch.cat([view.gather(value[i : i + 1]) for i, view in zip(index, views, strict=True)])
        return value[list(index)]

    return {key: chosen(value) for key, value in cond.items()}


def shrunk(cond: Cond, canvas: Extent, size: Extent) -> Cond:
    """The conditioning with its maps of the canvas made small."""

    def smaller(value: Any) -> Any:
        if isinstance(value, list):
            return [smaller(v) for v in value]
        maps = isinstance(value, Tensor) and value.dim() == 4 and tuple(value.shape[-2:]) == tuple(canvas)
        return adaptive_avg_pool2d(value, size) if maps else value

    return {key: smaller(value) for key, value in cond.items()}


def with_texts(cond: Cond, texts: Sequence[Any], like: Mapping[str, Any]) -> Cond:
    """The conditioning with other texts: tensors [tokens, channels], or dicts of "crossattn" and what goes with it."""
    out = dict(cond)
    marks = _marks(like)
    if isinstance(texts[0], Mapping):
        own = [t["crossattn"] for t in texts]
        for name in BESIDE & cond.keys() & texts[0].keys():
            out[name] = torch.stack([t[name] for t in texts]).to(cond[name])
    else:
        own = list(texts)
    stacked = torch.stack(own).to(text_of(cond))
    if marks is not None:
        stacked = torch.cat([marks[: len(own)], stacked], dim=1)
    if "crossattn" in cond:
        out["crossattn"] = stacked
    else:
        out["c_crossattn"] = [stacked]
    return out


def _marks(cond: Mapping[str, Any]) -> Tensor | None:
    """The extra first token of constant +-1024 by which ControlNet tells prompts from negative prompts, if there."""
    first = text_of(cond)[:, :1]
    return first if bool((first.abs() == 1024).all()) else None


def tokens(text: Any) -> int:
    """Length of an encoded text."""
    own = text["crossattn"] if isinstance(text, Mapping) else text
    return int(own.shape[0])


def is_told_guidance(text: Any) -> bool:
    """Whether an encoded text has the scale of guidance with it, as models have that are distilled from guidance."""
    return isinstance(text, Mapping) and "guidance" in text


def with_guidance(text: Any, scale: float | None) -> Any:
    """An encoded text of such a model with another scale; None: as it is."""
    return text if scale is None else {**text, "guidance": torch.full_like(text["guidance"], scale)}


def repeated(text: Any, length: int) -> Any:
    """The text with its last token's vector repeated up to a length, or cut to it."""
    if isinstance(text, Mapping):
        return {**text, "crossattn": repeated(text["crossattn"], length)}
    missing = length - int(text.shape[0])
    return text[:length] if missing <= 0 else torch.cat([text, text[-1:].expand(missing, -1)])


def with_empty(text: Any, empty: Tensor, length: int) -> Any:
    """The text with whole empty prompts [tokens, channels] after it, as many as are missing to a length."""
    if isinstance(text, Mapping):
        return {**text, "crossattn": with_empty(text["crossattn"], empty, length)}
    count = max(0, length - int(text.shape[0])) // int(empty.shape[0])
    return torch.cat([text, *[empty.to(text)] * count])


def with_told_sizes(cond: Cond, sizes: Sequence[tuple[int, ...] | None]) -> Cond:
    """SDXL's size conditioning by row: original height and width, crop corner, target size, px; None: as it is.

    The last 6 x 256 numbers of "vector" are these, embedded by sines (arXiv 2307.01952, section 2.2).
    """
    vector = cond.get("vector")
    told = [k for k, size in enumerate(sizes) if size is not None]
    if not told or not isinstance(vector, Tensor) or vector.shape[-1] < SIZE_NUMBERS * SIZE_CHANNELS:
        return cond
    embedded = size_embedding(torch.tensor([size for size in sizes if size is not None], dtype=torch.float32))
    vector = vector.clone()
    vector[told, -embedded.shape[1] :] = embedded.to(vector)
    return {**cond, "vector": vector}


def size_embedding(numbers: Tensor) -> Tensor:
    """[rows, n] to [rows, n * 256]: cosines, then sines, of each number times 10000^(-i / 128)."""
    half = SIZE_CHANNELS // 2
    frequencies = torch.exp(-math.log(10000) * torch.arange(half, dtype=torch.float32) / half)
    angles = numbers[..., None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], dim=-1).flatten(1)
