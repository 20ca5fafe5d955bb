"""The WebUI, as far as it is used: everything imported from `modules` is named here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import Depends, HTTPException, Request
from modules import (
    devices,
    extra_networks,
    images,
    paths_internal,
    prompt_parser,
    rng,
    script_callbacks,
    scripts,
    sd_samplers,
    sd_samplers_common,
    shared,
)
from modules.sd_hijack import model_hijack
from modules.ui_components import InputAccordion

from tiled_diffusion.engine.model import Level, ModelTraits, Prediction
from tiled_diffusion.webui.conditioning import repeated, tokens, with_empty

TYPICAL_STEPS = 20
Script = scripts.Script
ALWAYS_VISIBLE = scripts.AlwaysVisible
INTERRUPT: type[BaseException] = sd_samplers_common.InterruptedException
LATENT_PX = 8


def on_cfg_denoiser(callback: Callable[[Any], None]) -> None:
    """Registers what is called before each denoiser call of every sampler."""
    script_callbacks.on_cfg_denoiser(callback)


def option(name: str, default: Any) -> Any:
    """A setting of the WebUI, or the default where it has none of that name."""
    return getattr(shared.opts, name, default)


def stop_wanted() -> bool:
    """Whether the user pressed Interrupt or Skip."""
    return bool(shared.state.interrupted or shared.state.skipped)


def model_size() -> ModelTraits:
    """What the loaded model likes, read off the model itself."""
    model = shared.sd_model
    unet = getattr(getattr(model, "model", None), "diffusion_model", None)
    multiple = 2 ** (len(getattr(unet, "channel_mult", (1, 2, 4, 4))) - 1)
    if getattr(model, "is_sdxl", False):
        return ModelTraits(128, multiple)
    if getattr(model, "is_sd2", False) and getattr(model, "parameterization", "eps") == "v":
        return ModelTraits(96, multiple)
    size = getattr(model, "image_size", 64)
    return ModelTraits(size if isinstance(size, int) else 64, multiple)


def checkpoint() -> str:
    """Which checkpoint is loaded."""
    return str(shared.sd_model.sd_checkpoint_info.filename)


def is_edit_model() -> bool:
    """Whether the loaded model is of the instruct-pix2pix kind, with three rows a picture."""
    return getattr(shared.sd_model, "cond_stage_key", None) == "edit"


def free_bytes() -> int | None:
    """Free memory of the device that draws, or None where it does not say."""
    import torch

    device = shared.device
    if getattr(device, "type", "") != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    reserved = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(free) + int(reserved)


def draw_noise(seed: int, shape: tuple[int, int, int], image: int) -> Any:
    """Noise by the WebUI's own source of random numbers (GPU, CPU or NV); its global generator is not touched."""
    return rng.randn_local(seed + image, shape)


def steps_of(p: Any) -> tuple[int, int | None]:
    """(steps, hires steps) in denoiser calls, as prompt editing counts them; the latter None in the first pass."""
    first = _calls(p.sampler_name, p.steps)
    if not getattr(p, "is_hr_pass", False):
        return first, None
    return first, _calls(p.hr_sampler_name or p.sampler_name, p.hr_second_pass_steps or p.steps)


def _calls(sampler: str, steps: int) -> int:
    config = sd_samplers.find_sampler_config(sampler)
    return int(config.total_steps(steps)) if config else steps


def encode(p: Any, prompts: list[str], size: tuple[int, int], negative: bool) -> list[list[tuple[list[Any], float]]]:
    """Conditioning of prompts: for each a list of (schedules, weight), one for each part of an AND composition."""
    steps, hires_steps = steps_of(p)
    texts = prompt_parser.SdConditioning(prompts, is_negative_prompt=negative, width=size[0], height=size[1])
    old = option("use_old_scheduling", False)
    with devices.autocast():
        if negative:
            found = prompt_parser.get_learned_conditioning(shared.sd_model, texts, steps, hires_steps, old)
            return [[(schedules, 1.0)] for schedules in found]
        both = prompt_parser.get_multicond_learned_conditioning(shared.sd_model, texts, steps, hires_steps, old)
    return [[(part.schedules, part.weight) for part in parts] for parts in both.batch]


def note_what_was_encoded(p: Any) -> None:
    """The text encoder's remarks on what it has read (embeddings and their hashes, texts too long) go to the job."""
    p.extra_generation_params.update(model_hijack.extra_generation_params)
    for remark in model_hijack.comments:
        p.comment(remark)


def prompt_length(text: str) -> tuple[int | str, int | str]:
    """(tokens, how many fit) of the longest thing that a prompt becomes in its course; "-" without a model."""
    words, _ = extra_networks.parse_prompt(text)
    _, parts, _ = prompt_parser.get_multicond_prompt_list([words])
    schedules = prompt_parser.get_learned_conditioning_prompt_schedules(parts, TYPICAL_STEPS)
    lengths = [model_hijack.get_prompt_lengths(part) for schedule in schedules for _, part in schedule]
    count, fits = max(lengths, key=lambda length: length[0])
    return count, fits


def hypertile_is_on(*, hires: bool) -> bool:
    """Whether the built-in Hypertile divides the U-Net's attention in this pass."""
    on = option("hypertile_enable_unet", False) or (hires and option("hypertile_enable_unet_secondpass", False))
    return bool(on)


def styled(text: str, styles: list[str], negative: bool) -> str:
    """A prompt with the styles that the main prompt has."""
    book = shared.prompt_styles
    apply = book.apply_negative_styles_to_prompt if negative else book.apply_styles_to_prompt
    return str(apply(text, styles))


def extra_networks_of(text: str) -> tuple[str, dict[str, list[Any]]]:
    """A prompt without its <lora:...> tags, and the tags by kind."""
    found, tags = extra_networks.parse_prompt(text)
    return found, dict(tags)


def upscalers() -> list[str]:
    """Names of the upscalers, the first one meaning none."""
    names = [u.name for u in getattr(shared, "sd_upscalers", [])]
    return names or ["None"]


def enlarged(image: Any, upscaler: str, width: int, height: int) -> Any:
    """A picture enlarged to a size by an upscaler."""
    return images.resize_image(0, image, width, height, upscaler_name=upscaler)


def accordion(label: str, elem_id: str) -> Any:
    """An accordion with a tick box in its header."""
    return InputAccordion(bool(option("tiled_diffusion_on", False)), label=label, elem_id=elem_id)


def padded(parts: list[Any], negative: Any) -> tuple[list[Any], Any]:
    """Texts of equal length, where the user's settings ask for it: as the host does to its own before it draws."""
    own, other = tokens(parts[0]), tokens(negative)
    if own == other:
        return parts, negative
    if option("pad_cond_uncond_v0", False):
        return parts, repeated(negative, own)
    if option("pad_cond_uncond", False):
        empty = shared.sd_model.cond_stage_model_empty_prompt[0]
        return [with_empty(t, empty, other) for t in parts], with_empty(negative, empty, own)
    return parts, negative


def skips_negatives(denoiser: Any, sigma: Any) -> bool:
    """Whether the host leaves the negative prompts out of the denoiser call that is about to come."""
    early = option("skip_early_cond", 0.0)
    if early != 0 and denoiser.step / denoiser.total_steps <= early:
        return True
    least = denoiser.sampler.sampler_extra_args.get("s_min_uncond", 0) or 0
    turn = denoiser.step % 2 or option("s_min_uncond_all", False)
    return bool(turn and least > 0 and float(sigma[0]) < least and not is_edit_model())


def noise_level(sampler: Any, sigma: Any) -> tuple[Level, Prediction]:
    """How noisy the latent of a denoiser call is, and what the sampler's model says of it.

    k-diffusion's samplers work on x = clean + sigma * noise and ask for the clean latent; those of timesteps work on
    variance preserving latents and ask for the noise, whatever the model itself predicts.
    """
    if hasattr(sampler.model_wrap_cfg.inner_model, "sigmas"):
        return Level.of_sigma(sigma), "x0"
    return Level.of_alphas_cumprod(shared.sd_model.alphas_cumprod[sigma.long()]), "eps"


def encoded_colours(model: Any, colours: Any) -> Any:
    """[n, 3] RGB in -1..1 to latents [n, C]: the middle of plain pictures."""
    plain = ((colours + 1) / 2)[:, :, None, None].expand(-1, -1, 256, 256)
    plain = plain.to(shared.device, dtype=devices.dtype_vae)
    latents = sd_samplers_common.images_tensor_to_samples(plain, 0, model)
    return latents[:, :, latents.shape[2] // 2, latents.shape[3] // 2]


def xyz_module() -> Any:
    """The module of the X/Y/Z plot script, or None."""
    found = (d.module for d in scripts.scripts_data if str(d.path).endswith("xyz_grid.py"))
    return next(found, None)


def before_ui(callback: Callable[[], None]) -> None:
    """Registers what is called before the page is built."""
    script_callbacks.on_before_ui(callback)


def on_app_started(callback: Callable[[Any, Any], None]) -> None:
    """Registers what is called with (blocks, FastAPI application) once the server runs."""
    script_callbacks.on_app_started(callback)


def on_infotext_pasted(callback: Callable[[str, dict[str, Any]], None]) -> None:
    """Registers what is called with a pasted record, as text and parsed, before the fields are filled."""
    script_callbacks.on_infotext_pasted(callback)


def on_ui_settings(callback: Callable[[], None]) -> None:
    """Registers what is called when the settings page is built."""
    script_callbacks.on_ui_settings(callback)


def add_option(name: str, default: Any, label: str, component: Any = None, arguments: Any = None) -> None:
    """Adds a setting to the section of this extension."""
    info = shared.OptionInfo(default, label, component, arguments, section=("tiled_diffusion", "Tiled Diffusion & VAE"))
    shared.opts.add_option(name, info)


def data_folder() -> Path:
    """Where the WebUI keeps its user's files."""
    return Path(paths_internal.data_path)


def log_in(app: Any) -> list[Any]:
    """What a route has to ask for where the page asks for a name and a password."""
    if not (shared.cmd_opts.gradio_auth or shared.cmd_opts.gradio_auth_path):
        return []

    def current_user(request: Request) -> None:
        token = request.cookies.get("access-token") or request.cookies.get("access-token-unsecure")
        if token not in app.tokens:
            raise HTTPException(401, "not logged in")

    return [Depends(current_user)]
