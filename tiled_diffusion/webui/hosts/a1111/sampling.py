"""AUTOMATIC1111: the model, and the wrapper of the model through which a sampler asks it.

A sampler has a CFG denoiser of its own, and that a wrapper of the model, both of which die with it. What is hung is the
`forward` of that wrapper, on that instance alone, so that nothing shared is ever changed.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from modules import devices, prompt_parser, rng, script_callbacks, sd_samplers_common, shared
from torch import Tensor

from tiled_diffusion.engine.model import Level, ModelTraits, Prediction
from tiled_diffusion.webui.controlnet.controls import Controls
from tiled_diffusion.webui.controlnet.tiles import ControlTiles
from tiled_diffusion.webui.hosts.values import Beginning, Denoise, DenoiserCall, Forward

from .copies import copies as copies
from .jobs import is_hires
from .page import option

LATENT_PX = 8
FLOW = ModelTraits(128, 2, channels=16, prediction="flow")
"""Stable Diffusion 3 and Flux, which are transformers of patches of 2 x 2."""
_HUNG: weakref.WeakKeyDictionary[Any, Hung] = weakref.WeakKeyDictionary()


class Hung:
    """What stands in the place of the model of one sampler.

    Args:
        denoiser: the sampler's.
        begin: called before each denoiser call.
        denoise: asked in place of the model.
    """

    def __init__(self, denoiser: Any, begin: Callable[[DenoiserCall], None], denoise: Denoise) -> None:
        self._denoiser = weakref.ref(denoiser)
        self._begin, self._denoise = begin, denoise
        self._failure: Exception | None = None
        self._active = True
        self.asked = 0

    def arm(self, wrapper: Any) -> None:
        """Puts our forward on a wrapper of the model, once."""
        if getattr(wrapper.__dict__.get("forward"), "tiled_hung", None) is self:
            return
        original: Forward = wrapper.forward

        def forward(x: Tensor, sigma: Tensor, *args: Any, cond: Any = None, **kwargs: Any) -> Tensor:
            if not self._active or args or cond is None:
                more = kwargs if cond is None else {**kwargs, "cond": cond}
                return original(x, sigma, *args, **more)
            self.asked += 1
            if self._failure is not None:
                raise self._failure

            def model(x: Tensor, sigma: Tensor, cond: Any, negatives: Any = None) -> Tensor:  # noqa: ARG001
                return original(x, sigma, cond=cond, **kwargs)

            return self._denoise(model, x, sigma, cond, None)

        forward.tiled_hung = self  # type: ignore[attr-defined]
        wrapper.forward = forward

    def before_call(self, sigma: Tensor) -> None:
        """The denoiser is about to be called; the refiner may have made a new wrapper."""
        denoiser = self._denoiser()
        if denoiser is None or not self._active:
            return
        self.arm(denoiser.inner_model)
        try:
            self._begin(_call(denoiser, sigma))
        except Exception as e:  # noqa: BLE001 the host only reports what a callback raises, and draws
            self._failure = e

    def take_off(self) -> None:
        """The wrapper is as before; below what somebody else has put on top, ours passes everything through."""
        self._active = False
        del self._begin, self._denoise  # they may know the job, and that the denoiser by which this is kept
        denoiser = self._denoiser()
        if denoiser is None:
            return
        _HUNG.pop(denoiser, None)
        wrapper = denoiser.model_wrap
        if wrapper is not None and getattr(wrapper.__dict__.get("forward"), "tiled_hung", None) is self:
            del wrapper.forward


def start() -> None:
    """The one callback that what is hung lives by."""
    script_callbacks.on_cfg_denoiser(before_call)


def hang(
    p: Any,
    begin: Callable[[DenoiserCall], None],
    denoise: Denoise,
    call_shape: tuple[int, int, int],  # noqa: ARG001 memory is not reserved beforehand
    controls: Controls | None = None,  # noqa: ARG001 the extension has its own place in the U-Net
) -> Hung:
    """On the wrapper of the job's sampler."""
    denoiser = p.sampler.model_wrap_cfg
    hung = _HUNG[denoiser] = Hung(denoiser, begin, denoise)
    hung.arm(denoiser.inner_model)
    return hung


def controls(p: Any, *, on_cpu: bool) -> ControlTiles | None:
    """Those of the extension."""
    return ControlTiles.find(p, on_cpu=on_cpu)


def before_call(params: Any) -> None:
    """Called before each denoiser call of every sampler; does nothing for those that nothing hangs on."""
    hung = _HUNG.get(params.denoiser)
    if hung is not None:
        hung.before_call(params.sigma)


def before_each_call(callback: Callable[[Any], None]) -> None:
    """By the callback of denoisers, which know their job once they run."""

    def called(params: Any) -> None:
        p = getattr(params.denoiser, "p", None)
        if p is not None:
            callback(p)

    script_callbacks.on_cfg_denoiser(called)


def _call(denoiser: Any, sigma: Tensor) -> DenoiserCall:
    extra = denoiser.sampler.sampler_extra_args
    return DenoiserCall(
        denoiser.step,
        denoiser.total_steps,
        [[part.weight for part in parts] for parts in extra["cond"].batch],
        extra["cond_scale"] * denoiser.cond_scale_miltiplier,
        _skips_negatives(denoiser, sigma),
    )


def _skips_negatives(denoiser: Any, sigma: Tensor) -> bool:
    """By the rules of "skip early CFG" and of NGMS; the latter leaves out every other step, or all."""
    early = option("skip_early_cond", 0.0)
    if early != 0 and denoiser.step / denoiser.total_steps <= early:
        return True
    least = denoiser.sampler.sampler_extra_args.get("s_min_uncond", 0) or 0
    turn = denoiser.step % 2 or option("s_min_uncond_all", False)
    return bool(turn and least > 0 and float(sigma[0]) < least and not is_edit_model())


def model_size() -> ModelTraits:
    """Read off the model itself."""
    return traits_of(shared.sd_model, network())


def network() -> Any:
    """Of the loaded checkpoint."""
    return getattr(getattr(shared.sd_model, "model", None), "diffusion_model", None)


def traits_of(model: Any, unet: Any) -> ModelTraits:
    """Of a model and its U-Net, or None."""
    if _is_flow():
        return FLOW
    multiple = 2 ** (len(getattr(unet, "channel_mult", (1, 2, 4, 4))) - 1)
    if getattr(model, "is_sdxl", False):
        return ModelTraits(128, multiple)
    if getattr(model, "is_sd2", False) and getattr(model, "parameterization", "eps") == "v":
        return ModelTraits(96, multiple)
    size = getattr(model, "image_size", 64)
    return ModelTraits(size if isinstance(size, int) else 64, multiple)


def checkpoint() -> str:
    """Its file."""
    return str(shared.sd_model.sd_checkpoint_info.filename)


def unseen_model() -> None:
    """All that it loads."""


def _is_flow() -> bool:
    """Stable Diffusion 3, by its own way of adding noise; there is no other one."""
    return hasattr(shared.sd_model, "add_noise_to_latent")


def is_edit_model() -> bool:
    """By what it is conditioned on."""
    return getattr(shared.sd_model, "cond_stage_key", None) == "edit"


def free_bytes() -> int | None:
    """On a CUDA device, what torch has reserved and not given out counts as free."""
    device = shared.device
    if getattr(device, "type", "") != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    reserved = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(free) + int(reserved)


def draw_noise(seed: int, shape: tuple[int, int, int], image: int) -> Any:
    """By the source that the settings name: GPU, CPU or NV."""
    return rng.randn_local(seed + image, shape)


def hypertile_is_on(*, hires: bool) -> bool:
    """By its settings."""
    on = option("hypertile_enable_unet", False) or (hires and option("hypertile_enable_unet_secondpass", False))
    return bool(on)


def encoded_colours(p: Any, colours: Tensor) -> Tensor:
    """By the VAE, as large as it takes for the middle not to see the border."""
    plain = ((colours + 1) / 2)[:, :, None, None].expand(-1, -1, 256, 256)
    plain = plain.to(shared.device, dtype=devices.dtype_vae)
    latents: Tensor = sd_samplers_common.images_tensor_to_samples(plain, 0, p.sd_model)
    return latents[:, :, latents.shape[2] // 2, latents.shape[3] // 2]


def noise_level(p: Any, sigma: Tensor) -> tuple[Level, Prediction]:
    """By the kind of sampler, whatever the model itself predicts.

    k-diffusion's samplers work on x = clean + sigma * noise and ask for the clean latent; those of timesteps work on
    variance preserving latents and ask for the noise.
    """
    if hasattr(p.sampler.model_wrap_cfg.inner_model, "sigmas"):
        return _level(sigma), "x0"
    return Level.of_alphas_cumprod(shared.sd_model.alphas_cumprod[sigma.long()]), "eps"


def encoded(p: Any, pixels: Tensor) -> Tensor:
    """By the VAE, whose random numbers are always the same ones."""
    pictures = ((pixels + 1) / 2).to(shared.device, dtype=devices.dtype_vae)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        latents: Tensor = sd_samplers_common.images_tensor_to_samples(pictures, 0, p.sd_model)
    return latents.float()


def start_level(p: Any, *, from_picture: bool) -> tuple[Level, Tensor]:
    """As `sample` and `sample_img2img` of both kinds of samplers begin."""
    sampler = p.sampler
    second = (getattr(p, "hr_second_pass_steps", 0) or p.steps) if is_hires(p) else None
    steps, last = (second or p.steps), 0
    if from_picture:
        steps, last = sd_samplers_common.setup_img2img_steps(p, second)
    if not hasattr(sampler, "get_sigmas"):
        times = sampler.get_timesteps(p, steps)
        level = Level.of_alphas_cumprod(shared.sd_model.alphas_cumprod[times[last if from_picture else -1]].reshape(1))
        return level, level.sigma if from_picture else torch.ones(1)
    sigmas = sampler.get_sigmas(p, steps)
    sigma = sigmas[steps - last - 1 if from_picture else 0].reshape(1)
    more = not from_picture and option("sgm_noise_multiplier", False)
    return _level(sigma), (1 + sigma**2).sqrt() if more else sigma


def _level(sigma: Tensor) -> Level:
    """Of k-diffusion's samplers."""
    return Level.of_flow(sigma) if _is_flow() else Level.of_sigma(sigma)


def model_call(p: Any) -> Forward:
    """The wrapper of the model that belongs to the sampler."""
    forward: Forward = p.sampler.model_wrap_cfg.inner_model.forward

    def model(x: Tensor, sigma: Tensor, cond: Any, negatives: Any = None) -> Tensor:  # noqa: ARG001
        return forward(x, sigma, cond=cond)

    return model


def before_img2img(p: Any, change: Callable[[Beginning], None]) -> None:
    """On the sampler, whose method img2img and the hires pass call right afterwards."""
    sampler = p.sampler
    original = sampler.sample_img2img

    def begin(
        p: Any, x: Tensor, noise: Tensor, cond: Any, uncond: Any, steps: Any = None, image_conditioning: Any = None
    ) -> Any:
        sampler.__dict__.pop("sample_img2img", None)
        change(Beginning(x, noise, cond, image_conditioning, steps))
        return original(p, x, noise, cond, uncond, steps=steps, image_conditioning=image_conditioning)

    sampler.sample_img2img = begin


def noise_values(p: Any, steps: int | None, *, from_picture: bool = True) -> list[float]:
    """Sigmas of k-diffusion's samplers without the last 0, timesteps of the others."""
    every, last = sd_samplers_common.setup_img2img_steps(p, steps) if from_picture else (p.steps, None)
    if hasattr(p.sampler, "get_sigmas"):
        values = p.sampler.get_sigmas(p, every)[0 if last is None else every - last - 1 :]
    else:
        values = p.sampler.get_timesteps(p, every)[:last]
    return sorted({float(value) for value in values if value > 0})


def rows_at_first(p: Any, begin: Beginning) -> tuple[list[list[float]], dict[str, Any]]:  # noqa: ARG001 the protocol's
    """As the sampler's denoiser makes them."""
    every, text = prompt_parser.reconstruct_multicond_batch(begin.cond, 0)
    cond: dict[str, Any] = dict(text) if isinstance(text, dict) else {"c_crossattn": [text]}
    if begin.image is not None:
        rows = begin.image[[i for i, parts in enumerate(every) for _ in parts]]
        adm = getattr(shared.sd_model.model, "conditioning_key", "") == "crossattn-adm"
        cond |= {"c_adm": rows} if adm else {"c_concat": [rows]}
    return [[weight for _, weight in parts] for parts in every], cond
