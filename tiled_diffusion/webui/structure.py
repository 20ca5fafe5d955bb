"""One large picture by ElasticDiffusion in a host of rows: every picture is drawn once a step, and its rows are served.

The host combines rows itself, u + s * sum_a w_a (C_a - u), in one call or in several, with or without the negative
prompt's. So at a picture's first row of a step all of it is drawn, by texts of our own, and each row is given such that
the host's combination comes out as that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from tiled_diffusion.engine.composition import Part
from tiled_diffusion.engine.fuse import fuse
from tiled_diffusion.engine.guidance import Guidance, Rows, Scale, Wanted, for_host, guided
from tiled_diffusion.engine.tiles import Plan, Role, Tile

from .conditioning import tokens
from .prompts import MainPrompts

if TYPE_CHECKING:
    from .denoiser import Call

NEGATIVE, LOCAL = "negative", "local"


class Drawn(NamedTuple):
    """A picture's predictions on the canvas, [1, C, H, W] each: without the prompt, and with guidance."""

    unguided: Tensor
    guided: Tensor


def structured(call: Call, prompts: MainPrompts) -> Tensor:
    """The host's rows [rows, C, H, W]."""
    drawn = call.step.drawn
    for image in dict.fromkeys(row.image for row in call.rows):
        if image not in drawn:
            drawn[image] = _drawn(call, prompts, image)
    return torch.cat([_row(call, drawn[row.image], row.image, row.part) for row in call.rows])


def _row(call: Call, drawn: Drawn, image: int, part: int | None) -> Tensor:
    """As the host has to be given it."""
    step = call.step
    if step.unguided:
        return drawn.guided
    if part is None:
        return drawn.unguided
    own = Rows(drawn.unguided, (drawn.guided,))
    return for_host(own, Scale((1.0,), 1.0), Scale(tuple(step.weights[image]), step.scale)).parts[part]


def _drawn(call: Call, prompts: MainPrompts, image: int) -> Drawn:
    row = next(i for i, row in enumerate(call.rows) if row.image == image)
    x, guide = call.x[row : row + 1], call.tiling.guides()
    guide.begin_step(call.tiling.moment(call.sigma[row : row + 1], [call.rows[row]]))
    own = replace(call, guide=guide)
    plan = guide.plan(call.step.plan)
    parts, against = prompts.own.texts(image, call.step.schedule_step)
    texts = {str(k): text for k, text in enumerate(parts)} | {NEGATIVE: against, LOCAL: against}
    if prompts.local is not None:
        texts[LOCAL] = prompts.local.at(call.step.schedule_step)
    weights = [part.weight for part in prompts.own.parts[image]]
    how = Guidance(
        tuple(Part(str(k), weight) for k, weight in enumerate(weights)),
        NEGATIVE,
        1.0 if call.step.unguided else call.step.scale,
        LOCAL,
        always=True,
    )

    def evaluate_rows(wanted: Sequence[Wanted]) -> Sequence[Tensor]:
        return evaluated(own, [(w, texts[w.text], w.text in (NEGATIVE, LOCAL)) for w in wanted], row)

    def evaluate(crops: Tensor, tiles: Sequence[Tile]) -> Tensor:
        return guided(guide.crops(crops, tiles), tiles, [how], evaluate_rows, guide.small)

    def of(role: Role) -> Tensor:
        tiles = tuple(tile for tile in plan.tiles if tile.role == role)
        return fuse(x, Plan(plan.canvas, tiles), evaluate, call.tiling.batching)

    unguided = of("unguided")
    whole = unguided + of("direction")
    return Drawn(guide.after(unguided, x), guide.after(whole, x))


def evaluated(call: Call, wanted: Sequence[tuple[Wanted, object, bool]], row: int) -> Sequence[Tensor]:
    """Predictions of rows, those with texts of equal length in one model call."""
    out: dict[int, Tensor] = {}
    lengths = [tokens(text) for _, text, _ in wanted]
    for length in sorted(set(lengths)):
        alike = [i for i, own in enumerate(lengths) if own == length]
        rows = [call.wanted(wanted[i][0].tile, row, wanted[i][0].x, *wanted[i][1:]) for i in alike]
        out.update(zip(alike, torch.split(call.run(rows), 1), strict=True))
    return [out[i] for i in range(len(wanted))]
