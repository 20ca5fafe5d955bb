"""Makes pictures: prompts, start noise, the sampler's loop over the canvas, and the VAE at both ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tiled_diffusion.errors import TiledError
from tiled_diffusion.fuse import Batching, fuse
from tiled_diffusion.geometry import Extent
from tiled_diffusion.noise import canvas_noise, keyed_generator
from tiled_diffusion.plan import Job, Plan, Planner
from tiled_vae import TiledVaeSettings

from .model import Model
from .progress import Progress
from .prompts import Conditioning, Encoder
from .request import Request
from .samplers import make_scheduler, set_steps, step_options
from .vae import decode, encode


def generate(
    model: Model,
    request: Request,
    *,
    init_image: Image.Image | None = None,
    progress: Progress | None = None,
    vae_settings: TiledVaeSettings | None = None,
) -> list[Image.Image]:
    """Makes the pictures of a request.

    Args:
        model: see load_model.
        request: what to make.
        init_image: the picture to start from; None opens request.init_image, if that is set. Any size: it is resized
            to the canvas.
        progress: is told of steps and tiles.
        vae_settings: how the VAE is tiled; by default as memory asks for.

    Returns:
        request.batch_size pictures.

    Raises:
        TiledError: the model cannot make this size, the start picture cannot be read, or the numbers broke (NaN).
    """
    if init_image is None and request.init_image is not None:
        init_image = open_image(request.init_image)
    latents = sample_latents(model, request, init_image=init_image, progress=progress, vae_settings=vae_settings)
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
    progress: Progress | None = None,
    vae_settings: TiledVaeSettings | None = None,
) -> Tensor:
    """The finished latents [B, 4, H / 8, W / 8] in float32, before the VAE. See `generate`."""
    noise = start_noise(model, request)
    clean = None if init_image is None else encode(model, fitted(init_image, request), request.tiling, vae_settings)
    return denoise(model, request, noise, clean, progress or Progress())


def start_noise(model: Model, request: Request) -> Tensor:
    """Standard normal noise on the canvas; image k of the batch from seed + k."""
    seeds = [request.seed + k for k in range(request.batch_size)]
    channels = model.unet.config.in_channels
    return canvas_noise((channels, request.height // 8, request.width // 8), seeds).to(model.device)


@torch.no_grad()
def denoise(model: Model, request: Request, noise: Tensor, clean: Tensor | None, progress: Progress) -> Tensor:
    """The sampler's loop: one scheduler on the whole canvas, each prediction fused from tiles.

    Args:
        model: see load_model.
        request: what to make.
        noise: [B, 4, H, W] standard normal.
        clean: [1, 4, H, W], the start picture's latent, or None to start from noise alone.
        progress: is told of steps and tiles.

    Returns:
        [B, 4, H, W] float32.
    """
    planner = make_planner(model, request)
    scheduler = make_scheduler(request.sampler, model.scheduler_config)
    set_steps(scheduler, request.steps, model.device)
    timesteps, latents = _start(scheduler, request, noise, clean)
    denoiser = Denoiser.of(model, request)
    generators = [keyed_generator(request.seed + k, "sampler") for k in range(request.batch_size)]
    options = step_options(scheduler, generators)
    batching = Batching(request.tiling.first_batch, progress.tiles)
    progress.start(len(timesteps), len(planner.plan(0).jobs))
    try:
        for call, t in enumerate(timesteps):
            latents = latents.float()
            prediction = denoiser.predict(scheduler.scale_model_input(latents, t), t, planner.plan(call), batching)
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


@dataclass
class Denoiser:
    """Evaluates tiles: the U-Net with and without prompt, and classifier-free guidance per tile.

    Attributes:
        model: see load_model.
        request: size, CFG scale.
        prompts, negatives: conditioning by a job's prompt number: 0 the main one, k the k-th region's.
    """

    model: Model
    request: Request
    prompts: list[Conditioning]
    negatives: list[Conditioning]

    @classmethod
    def of(cls, model: Model, request: Request) -> Denoiser:
        """Encodes all prompts of a request, once."""
        regions = request.tiling.regions
        positive = [request.prompt, *(r.prompt for r in regions)]
        main = request.negative_prompt
        negative = [main, *(main if r.negative_prompt is None else r.negative_prompt for r in regions)]
        encoded = Encoder(model).encode([*positive, *negative])
        return cls(model, request, encoded[: len(positive)], encoded[len(positive) :])

    def predict(self, x: Tensor, t: Tensor, plan: Plan, batching: Batching) -> Tensor:
        """The canvas's prediction [B, 4, H, W] (eps or v, as the model was trained) at time t."""
        return fuse(x, plan, lambda crops, jobs: self._evaluate(crops, t, jobs, x.shape[0]), batching)

    def _evaluate(self, crops: Tensor, t: Tensor, jobs: Sequence[Job], images: int) -> Tensor:
        guided = self.request.cfg_scale > 1
        rows = [self.prompts[j.prompt] for j in jobs for _ in range(images)]
        if guided:
            rows = [self.negatives[j.prompt] for j in jobs for _ in range(images)] + rows
            crops = torch.cat([crops, crops])
        dtype = self.model.dtype
        text = torch.stack([r.text for r in rows]).to(dtype)
        added = self._added(rows, [j for j in jobs for _ in range(images)] * (2 if guided else 1))
        out: Tensor = self.model.unet(
            crops.to(dtype), t, encoder_hidden_states=text, added_cond_kwargs=added, return_dict=False
        )[0].float()
        if not guided:
            return out
        without, with_prompt = out.chunk(2)
        return without + self.request.cfg_scale * (with_prompt - without)

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


def open_image(path: str) -> Image.Image:
    """Opens a picture; raises TiledError that names the file."""
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except (OSError, Image.DecompressionBombError) as e:
        raise TiledError(f"init_image: {path} cannot be read as a picture ({e})") from e


def fitted(image: Image.Image, request: Request) -> Tensor:
    """The picture in the canvas's size: [1, 3, H, W] in -1..1; transparent parts on white."""
    if "A" in image.getbands() or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    size = (request.width, request.height)
    image = image.convert("RGB")
    if image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS)
    return torch.from_numpy(np.asarray(image, dtype=np.float32)).permute(2, 0, 1)[None] / 127.5 - 1


def to_images(pixels: Tensor) -> list[Image.Image]:
    """[B, 3, H, W] in -1..1 to pictures."""
    rounded = ((pixels.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return [Image.fromarray(p) for p in rounded]
