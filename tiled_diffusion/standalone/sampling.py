"""Makes pictures: prompts, start noise, the sampler's loop over the canvas, and the VAE at both ends."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from tiled_diffusion.engine.fuse import Batching, automatic_batch, fitted_batch
from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guides import Guide, Guides, Moment
from tiled_diffusion.engine.guides.dilated import demofusion_guides
from tiled_diffusion.engine.guides.means import MeanPull
from tiled_diffusion.engine.guides.pull import Pull, finished, hold, started
from tiled_diffusion.engine.guides.structure import structure_guides
from tiled_diffusion.engine.matching import MatchedPlanner, check_matching
from tiled_diffusion.engine.noise import canvas_noise, keyed_generator, region_noise
from tiled_diffusion.engine.plan import Planner
from tiled_diffusion.engine.positions import one_place_a_call
from tiled_diffusion.engine.runner import Local, Runner
from tiled_diffusion.engine.structure import check_structure, plain_colours
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Settings
from tiled_vae import TiledVaeSettings

from .bootstrap import bootstrapped
from .control import ControlNets, load_controls
from .denoiser import Denoiser
from .images import fitted, open_image, to_images
from .inpainting import context as context_of
from .inpainting import painting_of
from .inversion import Sampling, kept_noise
from .matching import decode_matched
from .model import Model, free_bytes
from .pictures import region_pulls
from .samplers import noise_levels, scheduler_of, step_options, told_times
from .tile_prompts import tile_prompts, tile_texts_of
from .vae import decode, encode


def generate(  # noqa: PLR0913 all but two may be left out
    model: Model,
    request: Request,
    *,
    init_image: Image.Image | None = None,
    mask: Image.Image | None = None,
    controls: ControlNets | None = None,
    progress: Progress | None = None,
    vae_settings: TiledVaeSettings | None = None,
    folders: Sequence[Path] | None = None,
    runner: Runner | None = None,
) -> list[Image.Image]:
    """Makes the pictures of a request.

    Args:
        model: see load_model.
        request: what to make.
        init_image: the picture to start from; None opens request.init_image, if that is set. Any size: it is resized
            to the canvas.
        mask: of the start picture's size, white is drawn; None opens request.mask, if that is set.
        controls: loaded ControlNets with their hints; None loads request.controls.
        progress: is told of steps and tiles.
        vae_settings: how the VAE is tiled; by default as memory asks for.
        folders: in which the files of regions' pictures may lie; None allows the working folder.
        runner: where tiles are drawn, see cluster.workers; None, and where ControlNets are given loaded: here.

    Returns:
        request.batch_size pictures; of a photo that is inpainted, what is not drawn has the photo's own pixels.

    Raises:
        TiledError: the model cannot make this size, the start picture, the mask or a ControlNet cannot be read, or the
            numbers broke (NaN).
    """
    if init_image is None and request.init_image is not None:
        init_image = open_image(request.init_image, sha256=request.init_image_sha256)
    painting = painting_of(model, request, init_image, mask)
    pictures = region_pulls(model, request, folders)
    latents = sample_latents(
        model,
        request,
        init_image=init_image if painting is None else painting.start(),
        controls=controls,
        progress=progress,
        vae_settings=vae_settings,
        pulls=(*pictures, *(() if painting is None else painting.pulls(model, request.tiling))),
        context=context_of(model, request, painting),
        runner=runner,
    )
    images = to_images(_decoded(model, request, latents, vae_settings))
    return images if painting is None else [painting.composited(image) for image in images]


def canvas_of(model: Model, request: Request) -> Extent:
    """The canvas in latent pixels."""
    return Extent(request.height // model.traits.factor, request.width // model.traits.factor)


def make_planner(model: Model, request: Request) -> Planner:
    """The planner of a request's canvas.

    Raises:
        TiledError: a side of the canvas is not tiled, and no multiple of what the model needs.
    """
    grid_seed = request.seed if request.tiling.grid_seed is None else request.tiling.grid_seed
    planner = Planner(canvas_of(model, request), request.tiling, model.traits, grid_seed)
    for name, side, tile in (
        ("height", request.height, planner.tile_size().h),
        ("width", request.width, planner.tile_size().w),
    ):
        unit = model.unit_px
        if tile * model.traits.factor == side and side % unit:
            low = side // unit * unit
            raise TiledError(
                f"{name}: got {side}, but one tile covers it and the model needs multiples of {unit}: "
                f"take {f'{low} or ' if low else ''}{low + unit}"
            )
    return planner


@torch.no_grad()
def sample_latents(  # noqa: PLR0913 as in generate
    model: Model,
    request: Request,
    *,
    init_image: Image.Image | None = None,
    controls: ControlNets | None = None,
    progress: Progress | None = None,
    vae_settings: TiledVaeSettings | None = None,
    pulls: Sequence[Pull] = (),
    context: Tensor | None = None,
    runner: Runner | None = None,
) -> Tensor:
    """The finished latents [B, C, H, W] in float32, before the VAE. See `generate` and `denoise`."""
    noise = start_noise(model, request)
    clean = None if init_image is None else encode(model, fitted(init_image, request), request.tiling, vae_settings)
    pulls = (*held(model, request, clean), *pulls)
    return denoise(model, request, noise, clean, progress or Progress(), controls, pulls, context, runner=runner)


def held(model: Model, request: Request, clean: Tensor | None) -> tuple[MeanPull, ...]:
    """What holds the means of a start picture's latent [1 or B, C, H, W] for as long as the request says.

    A block is a quarter of the shorter side, and at most of the model's native size.
    """
    if clean is None or request.hold == 0:
        return ()
    block = max(1, min(model.traits.native, *clean.shape[-2:]) // 4)
    return (MeanPull(clean, clean.new_ones((1, 1, *clean.shape[-2:])), hold(request.hold), block),)


def start_noise(model: Model, request: Request) -> Tensor:
    """Standard normal noise on the canvas; image k of the batch from seed + k, and of regions from their seed + k."""
    seeds = [request.seed + k for k in range(request.batch_size)]
    noise = canvas_noise((model.traits.channels, *canvas_of(model, request)), seeds)
    return region_noise(noise, request.tiling).to(model.device)


@torch.no_grad()
def denoise(  # noqa: PLR0913 the loop knows them all
    model: Model,
    request: Request,
    noise: Tensor,
    clean: Tensor | None,
    progress: Progress,
    controls: ControlNets | None = None,
    pulls: Sequence[Pull] = (),
    context: Tensor | None = None,
    *,
    each: Sequence[Request] = (),
    runner: Runner | None = None,
) -> Tensor:
    """The sampler's loop: one scheduler on the whole canvas, each prediction fused from tiles.

    Args:
        model: see load_model.
        request: what to make.
        noise: [B, C, H, W] standard normal.
        clean: [1 or B, C, H, W], the start picture's latent, or None to start from noise alone.
        progress: is told of steps and tiles.
        controls: loaded ControlNets; None loads request.controls.
        pulls: what the canvas is drawn to; a later one above an earlier one.
        context: [1, 5, H, W], what an inpainting U-Net sees beside the latent; None for any other.
        each: the requests of the pictures of a batch that are unlike in seeds and texts; see `batches.groups`.
        runner: where tiles are drawn; see `generate`.

    Returns:
        [B, C, H, W] float32.
    """
    planner = make_planner(model, request)
    plans, scheduler = _plans(planner, request), scheduler_of(model, request, planner.largest_crop())
    first = first_call(scheduler, request, from_picture=clean is not None)
    timesteps, times = scheduler.timesteps[first:], told_times(scheduler, first, model.device)
    batching = _batching(model, planner, noise.shape[0], progress, None if controls else runner)
    controls = controls or load_controls(model, request)
    prompts = None if each else tile_prompts(model, request, planner, clean)
    coming = Sampling(model, request, planner, batching, controls, context)
    denoiser = _denoiser(model, request, each, context, tile_texts_of(prompts, planner, len(timesteps)))
    if clean is None:
        pulls = (*bootstrapped(coming, denoiser, noise, scheduler), *pulls)
    guide = _guides(prompts, controls, *_terms(model, planner, request, clean), *pulls)
    noise = kept_noise(coming, noise, clean, scheduler, first, progress)
    latents = _tied(plans, _begun(scheduler, first, noise, clean, pulls))
    options = step_options(scheduler, _generators(request, each))
    progress.start(len(timesteps), len(plans.plan(0).tiles))
    try:
        for call, t in enumerate(timesteps):
            latents, done = latents.float(), call / len(timesteps)
            seen = scheduler.scale_model_input(latents, t)
            moment = Moment(call, done, noise_levels(scheduler, first + call)[0], model.traits.prediction)
            prediction = denoiser.predict(seen, times[call], plans.plan(call, done), batching, moment, guide)
            stepped = scheduler.step(prediction, t, latents, **options)
            latents = _finite(_tied(plans, stepped.prev_sample), call, len(timesteps), model.dtype)
            progress.step(call)
            progress.denoised(stepped.get("pred_original_sample", latents))
    finally:
        progress.finish()
    return finished(pulls, latents.float())


def _denoiser(
    model: Model, request: Request, each: Sequence[Request], context: Tensor | None, texts: Sequence[str]
) -> Denoiser:
    return Denoiser.of_each(model, each, context) if each else Denoiser.of(model, request, context, texts)


def _generators(request: Request, each: Sequence[Request]) -> list[torch.Generator]:
    """Of the noise that samplers draw: one for each picture."""
    seeds = [r.seed for r in each] or [request.seed + k for k in range(request.batch_size)]
    return [keyed_generator(seed, "sampler") for seed in seeds]


def _batching(model: Model, planner: Planner, images: int, progress: Progress, runner: Runner | None) -> Batching:
    """Here, or by a runner's workers."""
    if runner is None or isinstance(runner, Local):
        return Batching(tile_batch(model, planner, images), progress.tiles)
    return Batching(tile_batch(model, planner, images, runner.width), progress.tiles, runner)


def tile_batch(model: Model, planner: Planner, images: int, places: int = 1) -> int:
    """Tiles per U-Net call: as set, or as many as the free memory takes; and no fewer calls than places."""
    if planner.settings.positions == "canvas" and one_place_a_call(model.unet):
        return 1
    most = planner.settings.tile_batch or automatic_batch(planner, images, free_bytes(model.device))
    return fitted_batch(most, planner, places)


def _plain_latents(model: Model) -> Tensor:
    """[n, C]: plain colours, encoded."""
    plain = plain_colours()[:, :, None, None].expand(-1, -1, 64, 64)
    latents = encode(model, plain, Settings())
    return latents[:, :, latents.shape[2] // 2, latents.shape[3] // 2]  # far from the border, which looks different


def _plans(planner: Planner, request: Request) -> Planner | MatchedPlanner:
    """What makes the plans of the calls."""
    if request.match is None:
        return planner
    check_matching(request.tiling)
    if request.controls or request.inpaints:
        raise TiledError("match: pictures that fit together know neither ControlNets nor masks: leave one of them out")
    return MatchedPlanner(planner, request.match, request.batch_size)


def _tied(plans: Planner | MatchedPlanner, latents: Tensor) -> Tensor:
    return plans.tied(latents) if isinstance(plans, MatchedPlanner) else latents


def _decoded(model: Model, request: Request, latents: Tensor, settings: TiledVaeSettings | None) -> Tensor:
    """Pixels [B, 3, H, W]; what meets an edge is decoded with it."""
    plans = _plans(make_planner(model, request), request)
    if isinstance(plans, MatchedPlanner):
        return decode_matched(model, latents, plans, settings)
    return decode(model, latents, request.tiling, settings)


def _guides(*guides: Guide | None) -> Guides:
    return Guides(tuple(guide for guide in guides if guide is not None))


def _terms(model: Model, planner: Planner, request: Request, clean: Tensor | None) -> tuple[Guide, ...]:
    """What the tiling adds to a step besides the tiles."""
    return (*demofusion_guides(planner, clean), *_structure(model, planner, request))


def _structure(model: Model, planner: Planner, request: Request) -> tuple[Guide, ...]:
    """Nothing where the method asks for no small picture, or the canvas is as small as that."""
    if planner.reference() is None:
        return ()
    check_structure(request.tiling, request.cfg_scale)
    framed = request.tiling.elastic_reference == "pad"
    return structure_guides(planner, _plain_latents(model) if framed else None)


def _finite(latents: Tensor, call: int, calls: int, dtype: torch.dtype) -> Tensor:
    """As they are; raises TiledError where numbers broke."""
    if torch.isfinite(latents).all():
        return latents
    wider = "bf16" if dtype == torch.float16 else "fp32"
    raise TiledError(
        f"the picture broke at step {call + 1} of {calls}: not all numbers are finite (NaN). "
        f"Take another sampler, a lower CFG scale, or --dtype {wider}"
    )


def first_call(s: Any, request: Request, *, from_picture: bool) -> int:
    """Number in s.timesteps at which the sampling begins, s a scheduler; their count where nothing is drawn."""
    if not from_picture:
        return 0
    steps = min(int(request.steps * request.denoising_strength + 1e-6), request.steps)
    return max(0, request.steps - steps) * s.order if steps else len(s.timesteps)


def _begun(s: Any, first: int, noise: Tensor, clean: Tensor | None, pulls: Sequence[Pull]) -> Tensor:
    """The latent at the first call, s a scheduler."""
    if clean is not None and first == len(s.timesteps):
        return clean.expand_as(noise).clone()
    if clean is None:
        latents = noise * s.init_noise_sigma
    else:
        if hasattr(s, "set_begin_index"):
            s.set_begin_index(first)
        times = s.timesteps[first : first + 1].expand(noise.shape[0])
        latents = s.add_noise(clean.expand_as(noise), noise, times)
    return started(pulls, latents, noise, noise_levels(s, first)[1])
