"""Prompts of tiles in the standalone program: what a start picture shows where, by the model or by a captioner."""

from __future__ import annotations

from dataclasses import replace

import torch
from diffusers import DDPMScheduler
from PIL import Image
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from tiled_diffusion.engine.composition import parts
from tiled_diffusion.engine.content import Content, content_of, small_canvas
from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guides.tile_prompts import PromptFor, TilePrompts, captioned, first_number, of_list
from tiled_diffusion.engine.model import Level
from tiled_diffusion.engine.noise import canvas_noise
from tiled_diffusion.engine.plan import Planner
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.captioner import Captioner, cut
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Settings

from . import flow
from .images import fitted, open_image
from .inpainting import unknown
from .model import Model
from .prompts import Encoder
from .vae import encode

TIME, NOISES = 400, 4
"""A picture is looked at with noise of this time of 1000, and so often: objects of drawings were told best with it."""


def tile_prompts(model: Model, request: Request, planner: Planner, clean: Tensor | None) -> TilePrompts | None:
    """What the tiles of a request are drawn with; None where all have the main prompt.

    Args:
        model: see load_model.
        request: prompt and settings.
        planner: of its canvas.
        clean: [1, C, H, W], the start picture's latent, or None.

    Raises:
        TiledError: what is asked for needs a start picture or a captioner.
    """
    source = request.tiling.tile_prompts
    if source == "same" or planner.plan().is_whole:
        return None
    if source == "captions":
        raise TiledError("tile_prompts: got 'captions', but nobody captions here: give a list")
    return TilePrompts(first_number(request.tiling), [request.prompt], _source(model, request, planner, clean))


def words_of_tiles(model: Model, request: Request, planner: Planner) -> list[str]:
    """What each tile of the first step will be drawn with, in the plan's order; empty for tiles of regions.

    None at all where every tile has the main prompt, or where that cannot be known before: captions, and content
    without a start picture.

    Args:
        model: see load_model.
        request: prompt, settings, and the path of the start picture.
        planner: of its canvas.

    Raises:
        TiledError: the start picture cannot be read.
    """
    source, path = request.tiling.tile_prompts, request.init_image
    if source == "captions" or (source == "content" and path is None):
        return []
    clean = None
    if source == "content" and path is not None:
        clean = encode(model, fitted(open_image(path), request), request.tiling)
    prompts, plan = tile_prompts(model, request, planner, clean), planner.plan()
    if prompts is None:
        return []
    numbered = prompts.plan(plan)
    texts = {0: request.prompt} | {prompts.first + k: text for k, (text,) in enumerate(prompts.texts)}
    return [texts.get(tile.prompt, "") for tile in numbered.tiles if tile.role != "direction"]


def _source(model: Model, request: Request, planner: Planner, clean: Tensor | None) -> PromptFor:
    if request.tiling.tile_prompts == "list":
        return of_list(planner, [request.prompt])
    if clean is None:
        raise TiledError("tile_prompts: got 'content', allowed only with a start picture: noise has no content")
    content, share = content_of_latent(model, request.prompt, clean), request.tiling.tile_prompts_share
    return lambda view, image: content.text(view, share)  # noqa: ARG005


def tile_texts_of(prompts: TilePrompts | None, planner: Planner, calls: int) -> list[str]:
    """The texts of all tiles that are to come, by their numbers."""
    if prompts is None:
        return []
    for call in range(calls):
        prompts.plan(planner.plan(call, call / calls))
    return [text for (text,) in prompts.texts]


@torch.no_grad()
def content_of_latent(model: Model, prompt: str, clean: Tensor) -> Content:
    """Where the phrases of a prompt are in a picture [1, C, H, W].

    Args:
        model: see load_model.
        prompt: the whole one.
        clean: the picture's latent.
    """
    canvas = Extent(*clean.shape[-2:])
    small = small_canvas(canvas, model.traits)
    noise = canvas_noise((model.traits.channels, *small), range(NOISES)).to(clean)
    time = torch.full((NOISES,), TIME, device=clean.device)
    noisy = _noisy(model, adaptive_avg_pool2d(clean, small).expand_as(noise), noise, time)
    seen = unknown(model, small.w * model.traits.factor, small.h * model.traits.factor, Settings())
    encoder, sizes = Encoder(model), torch.tensor([[small.h, small.w, 0, 0, small.h, small.w]])

    def predict(prompt: str) -> Tensor:
        (conditioning,) = encoder.encode([", ".join(part.text for part in parts(prompt))])
        if model.is_flow and conditioning.pooled is not None:
            text, pooled = (n.to(model.dtype)[None] for n in (conditioning.text, conditioning.pooled))
            rows, scales = noisy.to(model.dtype), torch.ones(NOISES)
            told = text.expand(NOISES, -1, -1), pooled.expand(NOISES, -1)
            return flow.predicted(model.unet, rows, time[:1], *told, scales).float()
        added = None
        if conditioning.pooled is not None:
            ids = (sizes * model.traits.factor).to(model.device, model.dtype)
            added = {"text_embeds": conditioning.pooled[None].expand(NOISES, -1), "time_ids": ids.expand(NOISES, -1)}
        text = conditioning.text[None].to(model.dtype).expand(NOISES, -1, -1)
        rows = noisy if seen is None else torch.cat([noisy, seen.to(noisy).expand(NOISES, -1, -1, -1)], dim=1)
        rows = rows.to(model.dtype)
        out = model.unet(rows, time, encoder_hidden_states=text, added_cond_kwargs=added, return_dict=False)[0]
        return out.float()  # type: ignore[no-any-return]

    return content_of(prompt, predict, canvas)


def _noisy(model: Model, clean: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    if not model.is_flow:
        return DDPMScheduler.from_config(model.scheduler_config).add_noise(clean, noise, time)  # type: ignore[no-any-return]
    return Level.of_flow(time.float() / flow.FLOW_TIMES).noised(clean, noise)


def with_captions(request: Request, planner: Planner, picture: Image.Image, captioner: Captioner) -> Request:
    """The request with a list of what the tiles of a start picture show in place of 'captions'.

    Args:
        request: prompt and settings.
        planner: of its canvas.
        picture: of the canvas's size.
        captioner: is asked once for every tile.
    """
    factor = planner.model.factor
    return replace(request, tiling=captioned(planner, lambda box: captioner(cut(picture, box.scaled(factor)))))
