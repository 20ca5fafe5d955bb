"""A plan in figures and in one line, for panels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.values import Settings

from .geometry import LATENT_PX, Extent
from .guidance import guidances
from .plan import ModelSize, Planner

MOST_BOXES = 4000


@dataclass(frozen=True)
class Description:
    """What one denoiser call on a canvas costs.

    Attributes:
        tiles: crops.
        batches: model calls.
        rows: images that the model sees, with and without prompt, for one picture.
        work_ratio: pixels evaluated / pixels of the canvas.
        tile: width and height of a tile, image pixels.
        boxes: (x, y, width, height in fractions of the canvas, prompt number) of each crop.
        unit: sides that suit the model are multiples of this, image pixels.
        problems: what the user should know.
    """

    tiles: int
    batches: int
    rows: int
    work_ratio: float
    tile: tuple[int, int]
    boxes: tuple[tuple[float, float, float, float, int], ...]
    unit: int = LATENT_PX
    problems: tuple[str, ...] = ()

    def line(self) -> str:
        """One line for the panel."""
        if self.tiles == 1:
            return "1 tile: the picture is drawn in one piece, as without tiling"
        batches = "1 batch" if self.batches == 1 else f"{self.batches} batches"
        return (
            f"{self.tiles} tiles of {self.tile[0]} x {self.tile[1]} px in {batches}, {self.rows} rows a step: "
            f"{self.work_ratio:.2f} times the untiled work"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        boxes = [{"x": x, "y": y, "w": w, "h": h, "prompt": k} for x, y, w, h, k in self.boxes[:MOST_BOXES]]
        return {
            "text": self.line(), "tiles": self.tiles, "batches": self.batches, "rows": self.rows,
            "work_ratio": round(self.work_ratio, 3), "unit": self.unit, "boxes": boxes, "problems": list(self.problems),
        }  # fmt: skip


def describe(settings: Settings, width: int, height: int, model: ModelSize, *, cfg_scale: float = 7.0) -> Description:
    """The first denoiser call of a picture.

    Args:
        settings: how it is tiled.
        width: image pixels.
        height: image pixels.
        model: what the model likes.
        cfg_scale: 1 has no negative rows.

    Raises:
        TiledError: the settings do not fit the canvas.
    """
    if width < LATENT_PX or height < LATENT_PX:
        raise TiledError(f"the picture must be at least {LATENT_PX} px wide and high, got {width} x {height}")
    planner = Planner(Extent(height // LATENT_PX, width // LATENT_PX), settings, model)
    plan, tile = planner.plan(), planner.tile_size()
    found = guidances("", "", cfg_scale, settings)
    canvas = plan.canvas
    return Description(
        len(plan.jobs),
        len(list(plan.batches(settings.first_batch))),
        sum(found[j.prompt].rows for j in plan.jobs),
        plan.work_ratio,
        (tile.w * LATENT_PX, tile.h * LATENT_PX),
        tuple(
            (j.box.x / canvas.w, j.box.y / canvas.h, j.box.w / canvas.w, j.box.h / canvas.h, j.prompt)
            for j in plan.jobs
        ),
        model.multiple * LATENT_PX,
        tuple(_problems(planner, width, height)),
    )


def _problems(planner: Planner, width: int, height: int) -> list[str]:
    unit, tile = planner.model.multiple, planner.tile_size()
    out = []
    for name, px, length, side in (
        ("width", width, planner.canvas.w, tile.w),
        ("height", height, planner.canvas.h, tile.h),
    ):
        if px % LATENT_PX or (side == length and length % unit):
            out.append(f"{name} {px} px: multiples of {unit * LATENT_PX} px suit this model")
    return out
