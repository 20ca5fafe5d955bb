"""A host that samples as the WebUI does: rows, calls, guidance; its model is a function of pixel, text and noise level."""

from __future__ import annotations

import copy
import json
import re
import sys
from dataclasses import dataclass, field
from types import SimpleNamespace

import torch
from modules import extra_networks, processing, prompt_parser, script_callbacks, sd_samplers_common, shared
from torch import Tensor

from tiled_diffusion.settings.panel import panel_settings_from_dict
from tiled_diffusion.webui.hosts import host
from tiled_diffusion.webui.hosts.a1111.sampling import before_call
from tiled_diffusion.webui.script import TiledDiffusionScript


class Model(torch.nn.Module):
    """Small enough to be exact: its prediction at a pixel depends on that pixel, the text and sigma alone."""

    def __init__(self, name="one", scale=1.0):
        super().__init__()
        self.model = SimpleNamespace(diffusion_model=SimpleNamespace(channel_mult=(1, 2)), conditioning_key="crossattn")
        self.is_sdxl, self.image_size, self.cond_stage_key = False, 16, "txt"
        self.sd_checkpoint_info = SimpleNamespace(filename=name)
        self.cond_stage_model_empty_prompt = prompt_parser.embedded("")[None]
        self.scale, self.calls = scale, []

    def encoded(self, text):
        return prompt_parser.embedded(text) * self.scale

    def predict(self, x: Tensor, sigma: Tensor, cond: dict) -> Tensor:
        text = cond["c_crossattn"][0]
        assert x.shape[0] == sigma.shape[0] == text.shape[0]
        self.calls.append((x.shape, text.shape))
        push = text.mean(dim=1)[:, :, None, None] * self.scale
        return torch.tanh(x + push) * 0.5 + push + 0.1 * sigma.reshape(-1, 1, 1, 1)


class Wrapper(torch.nn.Module):
    """Around the model, made anew for each sampler."""

    def __init__(self, model):
        super().__init__()
        self.inner_model, self.sigmas = model, torch.linspace(0, 1, 10)

    def forward(self, x, sigma, cond=None):
        return self.inner_model.predict(x, sigma, cond)


class Denoiser(torch.nn.Module):
    """Guidance over rows: each picture's parts, then the negatives; in one call or several."""

    def __init__(self, sampler, p):
        super().__init__()
        self.sampler, self.p = sampler, p
        self.model_wrap, self.step, self.total_steps, self.cond_scale_miltiplier = None, 0, p.steps, 1.0
        self.fail_at = None

    @property
    def inner_model(self):
        if self.model_wrap is None:
            self.model_wrap = Wrapper(shared.sd_model)
        return self.model_wrap

    def forward(self, x, sigma):
        if shared.state.interrupted or shared.state.skipped:
            raise sd_samplers_common.InterruptedException
        extra, p = self.sampler.sampler_extra_args, self.p
        parts = [[_at(part.schedules, self.step) for part in image] for image in extra["cond"].batch]
        weights = [[part.weight for part in image] for image in extra["cond"].batch]
        longest = max(t.shape[0] for image in parts for t in image)
        cond = torch.stack([_repeated(t, longest) for image in parts for t in image])
        uncond = torch.stack([_at(s, self.step) for s in extra["uncond"]])
        images = x.shape[0]
        x_in = torch.cat([x[i : i + 1] for i in range(images) for _ in parts[i]] + [x])
        sigma_in = sigma[:1].expand(x_in.shape[0])
        params = SimpleNamespace(denoiser=self, x=x_in, sigma=sigma_in, text_cond=cond, text_uncond=uncond)
        for callback in script_callbacks.registered.get("cfg_denoiser", []):
            callback(params)
        if self.fail_at == self.step:
            raise RuntimeError("broken on purpose")
        early = getattr(shared.opts, "skip_early_cond", 0)
        skips = early != 0 and self.step / self.total_steps <= early
        rows = cond.shape[0] if skips else x_in.shape[0]
        cond, uncond = _padded(cond, uncond)
        out = self._calls(x_in[:rows], sigma_in[:rows], cond, uncond, images, skips)
        self.step += 1
        result = []
        first = 0
        for i in range(images):
            own = out[first : first + len(weights[i])]
            u = own[0] if skips else out[cond.shape[0] + i]
            scale = 1.0 if skips else p.cfg_scale
            result.append(u + sum((c - u) * (w * scale) for c, w in zip(own, weights[i], strict=True)))
            first += len(weights[i])
        return torch.stack(result)

    def _calls(self, x, sigma, cond, uncond, images, skips):
        joint = cond.shape[1] == uncond.shape[1]
        if skips or joint:
            text = cond if skips else torch.cat([cond, uncond])
            step = x.shape[0] if getattr(shared.opts, "batch_cond_uncond", True) else images
            spans = [(a, min(a + step, x.shape[0])) for a in range(0, x.shape[0], step)]
            return torch.cat([self._call(x[a:b], sigma[a:b], text[a:b]) for a, b in spans])
        step, count = images * (2 if getattr(shared.opts, "batch_cond_uncond", True) else 1), cond.shape[0]
        spans = [(a, min(a + step, count)) for a in range(0, count, step)]
        out = [self._call(x[a:b], sigma[a:b], cond[a:b]) for a, b in spans]
        return torch.cat([*out, self._call(x[count:], sigma[count:], uncond)])

    def _call(self, x, sigma, text):
        dummy = torch.zeros(x.shape[0] + 1, 5, 1, 1)
        return self.inner_model(x, sigma, cond={"c_crossattn": [text], "c_concat": [dummy]})


def _at(schedules, step):
    return next((s.cond for s in schedules if step <= s.end_at_step), schedules[0].cond)


def _padded(cond, uncond):
    """As the settings ask: negatives repeated or cut to the prompts' length, or the shorter ones filled with empties."""
    longer, shorter = cond.shape[1], uncond.shape[1]
    if longer != shorter and getattr(shared.opts, "pad_cond_uncond_v0", False):
        fill = uncond[:, -1:].expand(-1, max(0, longer - shorter), -1)
        return cond, torch.cat([uncond, fill], dim=1)[:, :longer]
    if longer != shorter and getattr(shared.opts, "pad_cond_uncond", False):
        empty = shared.sd_model.cond_stage_model_empty_prompt

        def filled(t, length):
            return torch.cat(
                [t, *[empty.expand(t.shape[0], -1, -1)] * ((length - t.shape[1]) // empty.shape[1])], dim=1
            )

        return filled(cond, shorter), filled(uncond, longer)
    return cond, uncond


def _repeated(text, length):
    return torch.cat([text, text[-1:].expand(length - text.shape[0], -1)])


def euler(x, sigma, denoiser, past):
    """One call a step."""
    return x - 0.3 * (x - denoiser(x, sigma))


def heun(x, sigma, denoiser, past):
    """Two calls a step, the second one at another place."""
    first = x - denoiser(x, sigma)
    second = x - 0.3 * first
    return x - 0.15 * (first + second - denoiser(second, 0.9 * sigma))


def multistep(x, sigma, denoiser, past):
    """What came out in the last step counts too."""
    past.append(denoiser(x, sigma))
    return x - 0.3 * (x - 1.2 * past[-1] + 0.2 * past[max(0, len(past) - 2)])


def ancestral(x, sigma, denoiser, past):
    """Fresh noise at every step."""
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(len(past)))
    past.append(None)
    return euler(x, sigma, denoiser, past) + 0.05 * noise


def other_sizes(x, sigma, denoiser, past):
    """As "SMEA Dy" samplers do: also a step on every second pixel, and one on an enlarged latent."""
    x, size = euler(x, sigma, denoiser, past).clone(), x.shape[-2:]
    x[..., 1::2, 1::2] = euler(x[..., 1::2, 1::2], sigma, denoiser, past)
    large = torch.nn.functional.interpolate(x, scale_factor=1.25, mode="nearest-exact")
    return torch.nn.functional.interpolate(euler(large, sigma, denoiser, past), size=size, mode="nearest-exact")


FAMILIES = {"Euler": euler, "Heun": heun, "DPM++ 2M": multistep, "Euler a": ancestral}
SAMPLERS = {**FAMILIES, "Euler SMEA Dy": other_sizes}


class Sampler:
    """A few sigmas, by the families of the WebUI's samplers."""

    def __init__(self, p):
        self.model_wrap_cfg, self.sampler_extra_args = Denoiser(self, p), {}
        self.last = None

    def get_sigmas(self, p, steps):
        return torch.linspace(1, 0.1, steps)

    def sample(self, p, x, cond, uncond, steps=None, image_conditioning=None):
        return self._run(p, x, cond, uncond, self.get_sigmas(p, steps or p.steps))

    def sample_img2img(self, p, x, noise, cond, uncond, steps=None, image_conditioning=None):
        steps, last = sd_samplers_common.setup_img2img_steps(p, steps)
        sigmas = self.get_sigmas(p, steps)[steps - last - 1 :]
        self.begun = x + noise * sigmas[0]
        return self._run(p, self.begun, cond, uncond, sigmas)

    def _run(self, p, x, cond, uncond, sigmas):
        self.sampler_extra_args = {"cond": cond, "uncond": uncond, "cond_scale": p.cfg_scale, "s_min_uncond": 0}
        past, self.last = [], x
        step = SAMPLERS.get(p.sampler_name, euler)
        try:
            for i, sigma in enumerate(sigmas):
                if i == getattr(p, "refine_at", None):
                    self._refine(p)
                x = step(x, sigma.reshape(1).expand(x.shape[0]), self.model_wrap_cfg, past)
                self.last = x
        except sd_samplers_common.InterruptedException:
            return self.last
        return x

    def _refine(self, p):
        shared.sd_model = p.refiner
        p.setup_conds()
        self.model_wrap_cfg.model_wrap = None
        self.sampler_extra_args.update(cond=p.c, uncond=p.uc)


@dataclass
class Job:
    """The host's job."""

    prompt: str = "a house"
    negative_prompt: str = ""
    width: int = 320
    height: int = 160
    batch_size: int = 1
    n_iter: int = 1
    steps: int = 4
    cfg_scale: float = 3.0
    sampler_name: str = "Euler"
    styles: list = field(default_factory=list)
    seed: int = 1
    init_images: list = field(default_factory=list)
    args: tuple = ()
    comments: list = field(default_factory=list)
    extra_generation_params: dict = field(default_factory=dict)
    rewrites: list = field(default_factory=list)
    fail_in_init: bool = False
    fail_at: int | None = None
    init_latent: Tensor | None = None
    denoising_strength: float = 0.6
    hr_resize_x: int = 0
    hr_resize_y: int = 0
    hr_upscale_to_x: int = 640
    hr_upscale_to_y: int = 320

    def __post_init__(self):
        count = self.batch_size * self.n_iter
        self.all_seeds, self.iteration = [self.seed + i for i in range(count)], 0
        self.script = TiledDiffusionScript()
        self.script.control_names = ()
        self.scripts, self.script_args, self.sd_model = SimpleNamespace(alwayson_scripts=[]), (), None
        self.sampler, self.infotexts, self.processed = None, [], None

    def comment(self, text):
        self.comments.append(text)

    def setup_prompts(self):
        count, book = self.batch_size * self.n_iter, shared.prompt_styles
        self.all_prompts = [book.apply_styles_to_prompt(self.prompt, self.styles)] * count
        self.all_negative_prompts = [book.apply_negative_styles_to_prompt(self.negative_prompt, self.styles)] * count

    def setup_conds(self):
        model = shared.sd_model
        self.c = prompt_parser.get_multicond_learned_conditioning(model, self.prompts, self.steps)
        self.uc = prompt_parser.get_learned_conditioning(model, self.negative_prompts, self.steps)

    def init(self, *args):
        if self.fail_in_init:
            raise RuntimeError("broken on purpose")

    def sample(self):
        self.sampler = Sampler(self)
        self.sampler.model_wrap_cfg.fail_at = self.fail_at
        noise = torch.stack(
            [
                torch.randn(4, self.height // 8, self.width // 8, generator=torch.Generator().manual_seed(s))
                for s in self.seeds
            ]
        )
        x = noise if self.init_latent is None else self.init_latent
        self.script.process_before_every_sampling(self, *self.args, x=x, noise=noise, c=self.c, uc=self.uc)
        if self.init_latent is None:
            return self.sampler.sample(self, noise, self.c, self.uc)
        return self.sampler.sample_img2img(self, x, noise, self.c, self.uc)


def run(p: Job) -> Tensor:
    """One job, with the events in the WebUI's order."""
    if before_call not in script_callbacks.registered.get("cfg_denoiser", []):
        host.sampling.start()
    p.infotexts = []
    p.script.before_process(p, *p.args)
    p.setup_prompts()
    strip_comments(p)
    for rewrite in p.rewrites:
        rewrite(p)
    p.script.process(p, *p.args)
    p.init(p.all_prompts, p.all_seeds, [])
    out = torch.cat([_batch(p, n) for n in range(p.n_iter)])
    p.grid_infotext = _infotext(p, 0, use_main_prompt=True)
    p.processed = SimpleNamespace(extra_generation_params=p.extra_generation_params)
    p.script.postprocess(p, p.processed, *p.args)
    return out


def _batch(p: Job, number: int) -> Tensor:
    p.iteration, own = number, slice(number * p.batch_size, (number + 1) * p.batch_size)
    p.prompts, p.negative_prompts, p.seeds = p.all_prompts[own], p.all_negative_prompts[own], p.all_seeds[own]
    p.script.before_process_batch(p, *p.args)
    p.tagged = p.prompts
    p.prompts = [extra_networks.parse_prompt(text)[0] for text in p.prompts]
    activate(p)
    p.script.process_batch(p, *p.args)
    p.setup_conds()
    out = p.sample()
    p.infotexts += [_infotext(p, i) for i in range(len(p.prompts))]
    return out


def activate(p: Job) -> None:
    """Loads the networks of the first prompt's tags, where the WebUI has its built-in extension for them."""
    module = sys.modules.get("networks")
    if module is not None:
        tags = extra_networks.parse_prompt(p.tagged[0])[1].get("lora", [])
        module.loaded_networks[:] = [network(*tag.items) for tag in tags]
    p.script.after_extra_networks_activate(p, *p.args)


def network(name: str, text: str = "1", unet: str | None = None) -> SimpleNamespace:
    """One that is loaded."""
    return SimpleNamespace(
        name=name, mentioned_name=name, te_multiplier=float(text), unet_multiplier=float(unet or text), dyn_dim=None
    )


def _infotext(p: Job, index: int, use_main_prompt: bool = False) -> str:
    """As the host asks for it: with the lists of the present batch, and an index within it."""
    return processing.create_infotext(p, p.prompts, p.seeds, p.seeds, use_main_prompt=use_main_prompt, index=index)


def field(infotext: str, name: str = "Tiled Diffusion") -> dict | None:
    """The settings in a picture's text."""
    line = infotext.splitlines()[-1]
    if f"{name}: " not in line:
        return None
    return json.loads(json.JSONDecoder().raw_decode(line, line.index(f"{name}: ") + len(name) + 2)[0])


def strip_comments(p: Job) -> None:
    """As the host does, among the scripts that rewrite prompts."""
    for name in ("all_prompts", "all_negative_prompts"):
        setattr(p, name, [re.sub("#[^\n]*(\n|$)", "\n", text) for text in getattr(p, name)])


def job(settings=None, **more) -> Tensor:
    """A job with (or without) the extension."""
    return run(Job(args=() if settings is None else (True, settings), **more))


def copied(p: Job) -> Job:
    """As plot scripts copy jobs."""
    return copy.copy(p)


def written(settings) -> dict:
    """What a record says of settings: in the present version, with what differs from the defaults."""
    return panel_settings_from_dict(settings).to_dict()
