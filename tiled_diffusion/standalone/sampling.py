"""Makes pictures: prompts, start noise, the sampler's loop over the canvas, and the VAE at both ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from tiled_diffusion.engine.fuse import Batching, fuse
from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guidance import Guidance, guidances
from tiled_diffusion.engine.guides.bootstrap import Bootstrap, plain_colours
from tiled_diffusion.engine.noise import canvas_noise, keyed_generator, region_noise
from tiled_diffusion.engine.plan import Job, Plan, Planner
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Settings
from tiled_vae import TiledVaeSettings

from .control import Call, ControlNets, load_controls
from .images import fitted, open_image, to_images
from .model import Model
from .prompts import Conditioning, Encoder
from .samplers import make_scheduler, set_steps, step_options
from .vae import decode, encode


def generate(
    model: Model,
    request: Request,
    *,
    init_image: Image.Image | None = None,
    controls: ControlNets | None = None,
    progress: Progress | None = None,
    vae_settings: TiledVaeSettings | None = None,
) -> list[Image.Image]:
    """Makes the pictures of a request.

    Args:
        model: see load_model.
        request: what to make.
        init_image: the picture to start from; None opens request.init_image, if that is set. Any size: it is resized
            to the canvas.
        controls: loaded ControlNets with their hints; None loads request.controls.
        progress: is told of steps and tiles.
        vae_settings: how the VAE is tiled; by default as memory asks for.

    Returns:
        request.batch_size pictures.

    Raises:
        TiledError: the model cannot make this size, the start picture or a ControlNet cannot be read, or the numbers
            broke (NaN).
    """
    if init_image is None and request.init_image is not None:
        init_image = open_image(request.init_image)
    latents = sample_latents(
        model, request, init_image=init_image, controls=controls, progress=progress, vae_settings=vae_settings
    )
    return to_images(decode(model, latents, request.tiling, vae_settings))


def make_planner(model: Model, request: Request) -> Planner:
    """The planner of a request's canvas.

    Raises:
        TiledError: a side of the canvas is not tiled, and no multiple of what the model needs.
    """
    grid_seed = request.seed if request.tiling.grid_seed is None else request.tiling.grid_seed
    planner = Planner(Extent(request.height // 8, request.width // 8), request.tiling, model.size, grid_seed)
    for name, side, tile in (
        ("height", request.height, planner.tile_size().h),
        ("width", request.width, planner.tile_size().w),
    ):
        unit = model.unit_px
        if tile * 8 == side and side % unit:
            low = side // unit * unit
            raise TiledError(
                f"{name}: got {side}, but one tile covers it and the model needs multiples of {unit}: "
                f"take {f'{low} or ' if low else ''}{low + unit}"
            )
    return planner


@torch.no_grad()
def sample_latents(
    model: Model,
    request: Request,
    *,
    init_image: Image.Image | None = None,
    controls: ControlNets | None = None,
    progress: Progress | None = None,
    vae_settings: TiledVaeSettings | None = None,
) -> Tensor:
    """The finished latents [B, 4, H / 8, W / 8] in float32, before the VAE. See `generate`."""
    noise = start_noise(model, request)
    clean = None if init_image is None else encode(model, fitted(init_image, request), request.tiling, vae_settings)
    return denoise(model, request, noise, clean, progress or Progress(), controls)


def start_noise(model: Model, request: Request) -> Tensor:
    """Standard normal noise on the canvas; image k of the batch from seed + k, and of regions from their seed + k."""
    seeds = [request.seed + k for k in range(request.batch_size)]
    channels = model.unet.config.in_channels
    noise = canvas_noise((channels, request.height // 8, request.width // 8), seeds)
    return region_noise(noise, request.tiling).to(model.device)


@torch.no_grad()
def denoise(
    model: Model,
    request: Request,
    noise: Tensor,
    clean: Tensor | None,
    progress: Progress,
    controls: ControlNets | None = None,
) -> Tensor:
    """The sampler's loop: one scheduler on the whole canvas, each prediction fused from tiles.

    Args:
        model: see load_model.
        request: what to make.
        noise: [B, 4, H, W] standard normal.
        clean: [1, 4, H, W], the start picture's latent, or None to start from noise alone.
        progress: is told of steps and tiles.
        controls: loaded ControlNets; None loads request.controls.

    Returns:
        [B, 4, H, W] float32.
    """
    planner = make_planner(model, request)
    scheduler = make_scheduler(request.sampler, model.scheduler_config)
    set_steps(scheduler, request.steps, model.device)
    timesteps, latents = _start(scheduler, request, noise, clean)
    denoiser = Denoiser.of(model, request, controls)
    generators = [keyed_generator(request.seed + k, "sampler") for k in range(request.batch_size)]
    options = step_options(scheduler, generators)
    batching = Batching(request.tiling.first_batch, progress.tiles)
    bootstrap = _bootstrap(model, request, noise)
    progress.start(len(timesteps), len(planner.plan(0).jobs))
    try:
        for call, t in enumerate(timesteps):
            latents, done = latents.float(), call / len(timesteps)
            seen = scheduler.scale_model_input(latents, t)
            prepare = _prepare(bootstrap, scheduler, t, call, done)
            prediction = denoiser.predict(seen, t, planner.plan(call, done), batching, prepare, done)
            stepped = scheduler.step(prediction, t, latents, **options)
            latents = stepped.prev_sample
            if not torch.isfinite(latents).all():
                raise TiledError(
                    f"the picture broke at step {call + 1} of {len(timesteps)}: not all numbers are finite (NaN). "
                    f"Take another sampler, a lower CFG scale, or --dtype {_wider(model.dtype)}"
                )
            progress.step(call)
            progress.denoised(stepped.get("pred_original_sample", latents))
    finally:
        progress.finish()
    return latents.float()


def _bootstrap(model: Model, request: Request, noise: Tensor) -> Bootstrap | None:
    """None where no region wants it."""
    if not any(r.enabled and r.bootstrap > 0 for r in request.tiling.regions):
        return None
    plain = plain_colours()[:, :, None, None].expand(-1, -1, 64, 64)
    latents = encode(model, plain, Settings())
    middle = latents[:, :, latents.shape[2] // 2, latents.shape[3] // 2]  # far from the border, which looks different
    return Bootstrap(request.tiling, request.seed, noise, middle)


def _prepare(bootstrap: Bootstrap | None, scheduler: Any, t: Tensor, call: int, done: float) -> Prepare:
    if bootstrap is None:
        return lambda crops, jobs: crops  # noqa: ARG005

    def add_noise(clean: Tensor, noise: Tensor) -> Tensor:
        noisy = scheduler.add_noise(clean, noise, t.reshape(1).expand(clean.shape[0]))
        return scheduler.scale_model_input(noisy, t)  # type: ignore[no-any-return]

    return lambda crops, jobs: bootstrap.apply(crops, jobs, progress=done, step=call, add_noise=add_noise)


def _wider(dtype: torch.dtype) -> str:
    return "bf16" if dtype == torch.float16 else "fp32"


def _start(s: Any, request: Request, noise: Tensor, clean: Tensor | None) -> tuple[Sequence[Tensor], Tensor]:
    """Times to run through, and the noisy latent at the first of them; s is a scheduler."""
    if clean is None:
        return s.timesteps, noise * s.init_noise_sigma
    steps = min(int(request.steps * request.denoising_strength + 1e-6), request.steps)
    if steps == 0:
        return [], clean.expand_as(noise).clone()
    begin = max(0, request.steps - steps) * s.order
    timesteps = s.timesteps[begin:]
    if hasattr(s, "set_begin_index"):
        s.set_begin_index(begin)
    return timesteps, s.add_noise(clean.expand_as(noise), noise, timesteps[:1].expand(noise.shape[0]))


Prepare = Callable[[Tensor, Sequence[Job]], Tensor]
"""Changes what the model sees of each crop: (crops [k * B, C, h, w], k jobs) -> crops."""


@dataclass
class Denoiser:
    """Evaluates tiles: the U-Net with and without prompt, and classifier-free guidance per tile.

    Attributes:
        model: see load_model.
        request: size and tiling.
        guidances: by a job's prompt number: 0 the main one, k the k-th region's.
        encoded: conditioning of every text in them.
        controls: ControlNets with their hints.
    """

    model: Model
    request: Request
    guidances: tuple[Guidance, ...]
    encoded: dict[str, Conditioning]
    controls: ControlNets = field(default_factory=ControlNets)

    @classmethod
    def of(cls, model: Model, request: Request, controls: ControlNets | None = None) -> Denoiser:
        """Loads the ControlNets of a request, unless they are given, and encodes all its prompts, once."""
        controls = load_controls(model, request) if controls is None else controls
        found = guidances(request.prompt, request.negative_prompt, request.cfg_scale, request.tiling)
        texts = list(dict.fromkeys(t for g in found for t in (*(p.text for p in g.parts), g.negative)))
        return cls(model, request, found, dict(zip(texts, Encoder(model).encode(texts), strict=True)), controls)

    def predict(
        self,
        x: Tensor,
        t: Tensor,
        plan: Plan,
        batching: Batching,
        prepare: Prepare = lambda crops, jobs: crops,  # noqa: ARG005
        done: float = 0.0,
    ) -> Tensor:
        """The canvas's prediction [B, 4, H, W] (eps or v) at time t, when a fraction of the sampling is `done`."""
        return fuse(x, plan, lambda crops, jobs: self._evaluate(prepare(crops, jobs), t, jobs, done), batching)

    def _evaluate(self, crops: Tensor, t: Tensor, jobs: Sequence[Job], done: float) -> Tensor:
        """Guided predictions; rows go to the U-Net negatives first, then first parts, then second ones, ..."""
        views = torch.split(crops, crops.shape[0] // len(jobs))
        rows = self._rows(jobs)
        predictions = self._unet([(views[k], jobs[k], text) for k, text, _ in rows], t, done)
        out = []
        for k, job in enumerate(jobs):
            own = [(p, weight) for p, (owner, _, weight) in zip(predictions, rows, strict=True) if owner == k]
            out.append(_guided(own, self.guidances[job.prompt]))
        return torch.cat(out)

    def _rows(self, jobs: Sequence[Job]) -> list[tuple[int, str, float]]:
        """(number of the job, text, weight) of every evaluation."""
        found = [self.guidances[j.prompt] for j in jobs]
        rows = [(k, g.negative, 0.0) for k, g in enumerate(found) if g.guided]
        for i in range(max(len(g.parts) for g in found)):
            rows += [(k, g.parts[i].text, g.parts[i].weight) for k, g in enumerate(found) if i < len(g.parts)]
        return rows

    def _unet(self, rows: Sequence[tuple[Tensor, Job, str]], t: Tensor, done: float) -> Sequence[Tensor]:
        """Predictions of views [B, C, h, w], each with one text."""
        dtype, images = self.model.dtype, rows[0][0].shape[0]
        conditionings = [self.encoded[text] for _, _, text in rows for _ in range(images)]
        text = torch.stack([c.text for c in conditionings]).to(dtype)
        jobs = [job for _, job, _ in rows for _ in range(images)]
        added = self._added(conditionings, jobs)
        crops = torch.cat([view for view, _, _ in rows]).to(dtype)
        on = [self._controlled(job) for job in jobs]
        more = self.controls.residuals(Call(crops, t, text, added, [job.box for job in jobs], on, done))
        out = self.model.unet(
            crops, t, encoder_hidden_states=text, added_cond_kwargs=added, return_dict=False, **more
        )[0].float()  # fmt: skip
        return torch.split(out, images)

    def _controlled(self, job: Job) -> bool:
        """Whether ControlNets act on a job: its region may switch them off."""
        return not job.prompt or self.request.tiling.regions[job.prompt - 1].controlnet

    def _added(self, rows: Sequence[Conditioning], jobs: Sequence[Job]) -> dict[str, Tensor] | None:
        """SDXL's pooled text and size conditioning: original size, crop corner, target size, each (height, width)."""
        if self.model.kind != "sdxl":
            return None
        canvas = (self.request.height, self.request.width)
        ids = []
        for job in jobs:
            if self.request.tiling.size_conditioning == "tile":
                box = job.box.scaled(8)
                ids.append((*canvas, box.y, box.x, box.h, box.w))
            else:
                ids.append((*canvas, 0, 0, *canvas))
        device, dtype = self.model.device, self.model.dtype
        pooled = torch.stack([r.pooled for r in rows if r.pooled is not None]).to(dtype)
        return {"text_embeds": pooled, "time_ids": torch.tensor(ids, device=device, dtype=dtype)}


def _guided(rows: Sequence[tuple[Tensor, float]], guidance: Guidance) -> Tensor:
    """U + s * sum_j v_j (c_j - u) of one job: its negative's prediction first, where it has one."""
    if not guidance.guided:
        return rows[0][0]
    (without, _), *parts = rows
    direction = sum((weight * (c - without) for c, weight in parts[1:]), parts[0][1] * (parts[0][0] - without))
    return without + guidance.scale * direction
