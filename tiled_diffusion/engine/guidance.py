"""Classifier-free guidance: what each tile is evaluated with, and the one place where its predictions are combined.

Prediction of a tile: u + s * sum_j v_j (c_j - u), u the negative prompt's, c_j the parts' of its prompt, s the CFG
scale (Ho and Salimans, arXiv 2207.12598; several parts: Liu et al., arXiv 2206.01714).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from tiled_diffusion.settings.values import Settings

from .composition import Part, joined, parts
from .tiles import Role, Tile


@dataclass(frozen=True)
class Guidance:
    """How the tiles of one prompt are evaluated.

    Attributes:
        parts: prompts and their weights v.
        negative: the negative prompt.
        scale: s, the CFG scale.
        local: what tiles of role "unguided" are evaluated with; None: the negative prompt.
        always: the negative prompt is evaluated whatever the numbers are.
    """

    parts: tuple[Part, ...]
    negative: str
    scale: float
    local: str | None = None
    always: bool = False

    @property
    def guided(self) -> bool:
        """Whether the negative prompt has to be evaluated: not where the prediction is the one part's own."""
        return self.always or self.scale != 1 or len(self.parts) != 1 or self.parts[0].weight != 1

    @property
    def rows(self) -> int:
        """Rows of a model call for one tile of one picture."""
        return len(self.parts) + self.guided

    def texts(self, role: Role) -> tuple[str | None, tuple[str, ...]]:
        """(what a tile is guided against, its prompts), as far as its role needs them; None: against nothing."""
        if role == "unguided":
            return self.negative if self.local is None else self.local, ()
        return self.negative if self.guided else None, tuple(part.text for part in self.parts)

    def rows_of(self, role: Role) -> int:
        """Rows of a model call for one tile of a role, of one picture."""
        return 1 if role == "unguided" else self.rows

    @property
    def weights(self) -> tuple[float, ...]:
        """V of each part."""
        return tuple(part.weight for part in self.parts)


def guidances(
    prompt: str, negative: str, scale: float, settings: Settings, tile_texts: Sequence[str] = ()
) -> tuple[Guidance, ...]:
    """By a tile's prompt number: 0 the main one, k the k-th region's, and then those of tiles.

    Args:
        prompt: the main one.
        negative: the main negative prompt.
        scale: the main CFG scale.
        settings: the regions.
        tile_texts: in place of the main prompt.
    """
    out = [Guidance(parts(prompt), negative, scale, settings.elastic_local_prompt)]
    for region in settings.regions:
        own = joined(prompt, region.prompt, region.join)
        against = negative
        if region.negative_prompt is not None:
            against = joined(negative, region.negative_prompt, region.join)
        out.append(Guidance(parts(own), against, scale if region.cfg_scale is None else region.cfg_scale))
    return (*out, *(Guidance(parts(text), negative, scale) for text in tile_texts))


class Rows(NamedTuple):
    """The model's predictions for a tile, as they are before guidance.

    Attributes:
        unguided: u, the negative prompt's, [B, C, h, w]; None where the tile is not guided against anything.
        parts: c_j, of each part of the prompt, [B, C, h, w] each.
    """

    unguided: Tensor | None
    parts: tuple[Tensor, ...]


class Scale(NamedTuple):
    """The numbers of a combination.

    Attributes:
        weights: v_j of each part.
        cfg: s.
    """

    weights: tuple[float, ...]
    cfg: float


def combine(rows: Rows, scale: Scale, role: Role = "all") -> Tensor:
    """U + s * sum_j v_j (c_j - u), [B, C, h, w].

    Args:
        rows: the predictions. Without a negative prompt's the first part takes its place, with a CFG scale of 1, as
            hosts do that skip negative prompts (NGMS): c_1 + sum_j v_j (c_j - c_1).
        scale: weights and CFG scale.
        role: "unguided" gives u alone, "direction" what is added to it.
    """
    unguided, cfg = rows.unguided, scale.cfg
    directions = list(zip(rows.parts, scale.weights, strict=True))
    if unguided is None:
        unguided, cfg, directions = rows.parts[0], 1.0, directions[1:]
    if role == "unguided":
        return unguided
    if not directions:
        return unguided if role == "all" else torch.zeros_like(unguided)
    direction = cfg * _direction(unguided, directions)
    return unguided + direction if role == "all" else direction


def _direction(unguided: Tensor, parts: Sequence[tuple[Tensor, float]]) -> Tensor:
    (first, weight), *others = parts
    return sum((v * (c - unguided) for c, v in others), weight * (first - unguided))


def for_host(rows: Rows, scale: Scale, host: Scale, role: Role = "all") -> Rows:
    """The rows to give a host that combines them itself, u + s * sum_a w_a (C_a - u), so that this comes out combined.

    C_1 = u + s_r / (s w_1) * sum_j v_j (c_j - u) and C_a = u for the others, 1 the first part of the host's that has a
    weight. A tile that contributes the direction alone gives C_1 - u and zeros, to be added to others' u.

    Args:
        rows: the tile's own.
        scale: its weights v_j and CFG scale s_r.
        host: the host's weights w_a and CFG scale s.
        role: what the tile contributes.

    Returns:
        A row for each of the host's parts; of the negative prompt one too, unless `rows` has none.
    """
    unguided = rows.unguided
    if unguided is None:
        return Rows(None, tuple(combine(rows, scale, role) for _ in host.weights))
    base = unguided if role != "direction" else torch.zeros_like(unguided)
    leader = next((a for a, w in enumerate(host.weights) if w != 0), None)
    if role == "unguided" or leader is None or host.cfg == 0:
        return Rows(base, tuple(base for _ in host.weights))
    share = Scale(scale.weights, scale.cfg / (host.cfg * host.weights[leader]))
    leading = combine(rows, share, role)
    return Rows(base, tuple(leading if a == leader else base for a in range(len(host.weights))))


class Wanted(NamedTuple):
    """A row to be evaluated.

    Attributes:
        tile: of which tile.
        x: [B, C, h, w], what the model sees of it.
        text: the prompt.
    """

    tile: Tile
    x: Tensor
    text: str


EvaluateRows = Callable[[Sequence[Wanted]], Sequence[Tensor]]
"""Rows to the model's predictions of them, [B, C', h, w] each, without any guidance."""


def guided(
    crops: Tensor,
    tiles: Sequence[Tile],
    by_prompt: Sequence[Guidance],
    evaluate: EvaluateRows,
    small: Callable[[Tile, Tensor, Tensor], None] | None = None,
) -> Tensor:
    """The guided predictions of tiles, for hosts that do not combine rows themselves.

    Args:
        crops: [tiles * B, C, h, w], tile by tile.
        tiles: what they are of.
        by_prompt: see guidances.
        evaluate: gets all rows of these tiles at once: negative prompts first, then first parts, then second ones, ...
        small: is told the whole guided prediction of each tile that contributes its direction alone.

    Returns:
        [tiles * B, C', h, w].
    """
    views = torch.split(crops, crops.shape[0] // len(tiles))
    order = _order([by_prompt[tile.prompt].texts(tile.role) for tile in tiles])
    predictions = evaluate([Wanted(tiles[k], views[k], text) for k, text in order])
    own: list[list[Tensor]] = [[] for _ in tiles]
    for (k, _), prediction in zip(order, predictions, strict=True):
        own[k].append(prediction)
    out = []
    for tile, view, rows in zip(tiles, views, own, strict=True):
        how = by_prompt[tile.prompt]
        against = how.texts(tile.role)[0] is not None
        split = Rows(rows[0], tuple(rows[1:])) if against else Rows(None, tuple(rows))
        scale = Scale(how.weights[: len(split.parts)], how.scale)
        out.append(combine(split, scale, tile.role))
        if small is not None and tile.role == "direction":
            small(tile, view, combine(split, scale))
    return torch.cat(out)


def _order(texts: Sequence[tuple[str | None, tuple[str, ...]]]) -> list[tuple[int, str]]:
    """(number of the tile, text) of every row, so that rows of one kind are neighbours."""
    order = [(k, against) for k, (against, _) in enumerate(texts) if against is not None]
    for i in range(max(len(prompts) for _, prompts in texts)):
        order += [(k, prompts[i]) for k, (_, prompts) in enumerate(texts) if i < len(prompts)]
    return order
