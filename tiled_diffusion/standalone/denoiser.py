"""Evaluates tiles with a model of diffusers: texts, size conditioning, guidance, and what guides add."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tiled_diffusion.engine.fuse import Batching, Spread, fuse
from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guidance import Guidance, Wanted, guidances, guided
from tiled_diffusion.engine.guides import Guide, ModelRows, Moment
from tiled_diffusion.engine.placing import moved
from tiled_diffusion.engine.positions import CanvasPositions
from tiled_diffusion.engine.runner import Runner
from tiled_diffusion.engine.tiles import Plan, Tile, told_size
from tiled_diffusion.settings.request import Request

from . import flow
from .model import Model
from .prompts import Conditioning, Encoder

if TYPE_CHECKING:
    from .cluster.tiles import Spreading


@dataclass
class Denoiser:
    """The denoiser of a request.

    Attributes:
        model: see load_model.
        request: size and tiling.
        guidances: by a tile's prompt number: 0 the main one, k the k-th region's, and then those of tiles.
        encoded: conditioning of every text in them.
        context: [1, 5, H, W], what an inpainting U-Net sees beside the latent; None for any other.
        own: where pictures have texts of their own, the text of each, by what stands for it in the guidance.
        sent: what workers have of it.
    """

    model: Model
    request: Request
    guidances: tuple[Guidance, ...]
    encoded: dict[str, Conditioning]
    context: Tensor | None = None
    own: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sent: Spreading | None = field(default=None, init=False)

    @classmethod
    def of(
        cls, model: Model, request: Request, context: Tensor | None = None, tile_texts: Sequence[str] = ()
    ) -> Denoiser:
        """Encodes all prompts of a request, once."""
        scale, tiling = request.cfg_scale, request.tiling
        if flow.is_distilled(model):
            scale, tiling = 1.0, replace(tiling, regions=tuple(replace(r, cfg_scale=None) for r in tiling.regions))
        by_prompt = guidances(request.prompt, request.negative_prompt, scale, tiling, tile_texts)
        texts = list(dict.fromkeys(t for g in by_prompt for t in _texts(g)))
        encoded = dict(zip(texts, Encoder(model).encode(texts), strict=True))
        return cls(model, request, by_prompt, encoded, context)

    @classmethod
    def of_each(cls, model: Model, requests: Sequence[Request], context: Tensor | None = None) -> Denoiser:
        """For a batch of requests without regions that differ in their texts alone: each picture has its own."""
        told = flow.is_distilled(model)
        each = [guidances(r.prompt, r.negative_prompt, 1.0 if told else r.cfg_scale, r.tiling)[0] for r in requests]
        named = tuple(replace(part, text=f"part {j}") for j, part in enumerate(each[0].parts))
        own = {"negative": [g.negative for g in each]}
        own |= {part.text: [g.parts[j].text for g in each] for j, part in enumerate(named)}
        texts = list(dict.fromkeys(t for every in own.values() for t in every))
        encoded = dict(zip(texts, Encoder(model).encode(texts), strict=True))
        return cls(model, requests[0], (replace(each[0], parts=named, negative="negative"),), encoded, context, own)

    def predict(
        self, x: Tensor, t: Tensor, plan: Plan, batching: Batching, moment: Moment, guide: Guide | None = None
    ) -> Tensor:
        """The canvas's guided prediction at time t, as the model predicts, [B, C, H, W].

        Args:
            x: [B, C, H, W], as the model sees it.
            t: the time that the model is told.
            plan: the tiles.
            batching: tiles per call.
            moment: the step.
            guide: what else acts on it.
        """
        guide = guide or Guide()
        guide.begin_step(moment)

        def rows(wanted: Sequence[Wanted]) -> Sequence[Tensor]:
            return self.evaluate(wanted, t, guide)

        def evaluate(crops: Tensor, tiles: Sequence[Tile]) -> Tensor:
            return guided(guide.crops(crops, tiles), tiles, self.guidances, rows, guide.small)

        spread = None if batching.runner is None else self._spread(batching.runner, t, moment, guide)
        return guide.after(fuse(x, guide.plan(plan), evaluate, batching, spread), x)

    def _spread(self, runner: Runner, t: Tensor, moment: Moment, guide: Guide) -> Spread:
        """Evaluates batches at workers, to which what they have in common is sent with the first of them."""
        from .cluster.tiles import Spreading  # which builds denoisers itself

        def spread(batches: Iterable[tuple[Tensor, Sequence[Tile]]], idle: Callable[[], None]) -> Iterator[Tensor]:
            self.sent = self.sent or Spreading.of(runner, self)
            return self.sent.evaluate(batches, idle, t, moment, guide)

        return spread

    def evaluate(self, wanted: Sequence[Wanted], t: Tensor, guide: Guide) -> Sequence[Tensor]:
        """Predictions of rows [B, C, h, w], each with one text, in one model call."""
        dtype, images = self.model.dtype, wanted[0].x.shape[0]
        conditionings = [self.encoded[t] for row in wanted for t in self.own.get(row.text, [row.text] * images)]
        text = torch.stack([c.text for c in conditionings]).to(dtype)
        tiles = [row.tile for row in wanted for _ in range(images)]
        inputs = {"encoder_hidden_states": text, "added_cond_kwargs": self._added(conditionings, tiles)}
        crops = torch.cat([row.x for row in wanted]).to(dtype)
        rows = ModelRows(tiles, [*range(images)] * len(wanted), None, [self._controlled(tile) for tile in tiles])
        with self._placed(tiles, crops), guide.model_call(rows, crops, {"timestep": t, **inputs}) as more:
            out = self._predicted(crops, t, tiles, inputs, more)
        return torch.split(out.float(), images)

    def _predicted(
        self, crops: Tensor, t: Tensor, tiles: Sequence[Tile], inputs: dict[str, Any], more: Mapping[str, Any]
    ) -> Tensor:
        network = self.model.unet
        if self.model.is_flow:
            return flow.predicted(
                network, crops, t, inputs["encoder_hidden_states"], **inputs["added_cond_kwargs"], more=more
            )
        seen = self._with_context(crops, tiles)
        return network(seen, t, **inputs, return_dict=False, **more)[0]  # type: ignore[no-any-return]

    def _placed(self, tiles: Sequence[Tile], crops: Tensor) -> AbstractContextManager[None]:
        """Within, a transformer is told the places of tiles that the settings ask for."""
        px, asked = self.model.traits.factor, self.request.tiling.positions
        canvas = Extent(self.request.height // px, self.request.width // px)
        positions = CanvasPositions.wanted(asked, self.model.traits, canvas)
        if positions is None:
            return nullcontext()
        return positions.told(self.model.unet, [tile.view for tile in tiles], Extent(*crops.shape[-2:]))

    def _scale(self, tile: Tile) -> float:
        """The CFG scale of a tile: its region's own, or the main one."""
        regions = self.request.tiling.regions
        own = regions[tile.prompt - 1].cfg_scale if 1 <= tile.prompt <= len(regions) else None
        return self.request.cfg_scale if own is None else own

    def _with_context(self, crops: Tensor, tiles: Sequence[Tile]) -> Tensor:
        """Crops [rows, 4, h, w] with what an inpainting U-Net sees beside them."""
        if self.context is None:
            return crops
        beside = torch.cat([tile.view.gather(self.context) for tile in tiles])
        return torch.cat([crops, beside.to(crops)], dim=1)

    def _controlled(self, tile: Tile) -> bool:
        """Whether ControlNets act on a tile: its region may switch them off."""
        regions = self.request.tiling.regions
        return not 1 <= tile.prompt <= len(regions) or regions[tile.prompt - 1].controlnet

    def _added(self, rows: Sequence[Conditioning], tiles: Sequence[Tile]) -> dict[str, Tensor] | None:
        """What the model is told beside the text, each [rows, ...]: see flow.predicted, or `_sdxl_sizes`."""
        if self.model.kind not in {"sdxl", *flow.KINDS}:
            return None
        pooled = torch.stack([r.pooled for r in rows if r.pooled is not None]).to(self.model.dtype)
        if self.model.is_flow:
            scales = [self._scale(tile) for tile in tiles]
            return {"pooled": pooled, "scales": torch.tensor(scales, dtype=torch.float32)}
        return {"text_embeds": pooled, "time_ids": moved(self._sdxl_sizes(tiles), pooled.device)}

    def _sdxl_sizes(self, tiles: Sequence[Tile]) -> Tensor:
        """SDXL's size conditioning, [rows, 6]: original size, crop corner, target size, each (height, width)."""
        canvas = (self.request.height, self.request.width)
        px, each = self.model.traits.factor, self.request.tiling.size_conditioning == "tile"
        size = Extent(canvas[0] // px, canvas[1] // px)
        ids = [told_size(tile, size, px, each=each) or (*canvas, 0, 0, *canvas) for tile in tiles]
        return torch.tensor(ids, dtype=self.model.dtype)


def _texts(guidance: Guidance) -> tuple[str, ...]:
    """All that its tiles may be evaluated with."""
    local = () if guidance.local is None else (guidance.local,)
    return (*(part.text for part in guidance.parts), guidance.negative, *local)
