"""A host that samples as Forge does: conditions in batches of its own order, modifiers, a wrapper, patchers that are cloned."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from types import SimpleNamespace

import torch
from modules import prompt_parser, script_callbacks, sd_samplers_common, shared

from tests.webui.host_model import Denoiser, Job, Model, Sampler, _at, _repeated

TOLD = []
"""The scales of guidance with which texts were to be encoded."""


class ForgeConditioning(prompt_parser.SdConditioning):
    """Texts to be encoded, as Forge has them."""

    def __init__(
        self, prompts, is_negative_prompt=False, width=None, height=None, copy_from=None, distilled_cfg_scale=None
    ):
        super().__init__(prompts, is_negative_prompt, width, height, copy_from)
        TOLD.append(distilled_cfg_scale)


class Condition:
    """Rows of anything."""

    def __init__(self, cond):
        self.cond = cond


class TextCondition(Condition):
    """Rows of texts."""


class Patcher:
    """A U-Net and what is called around it; copies options when it is cloned."""

    def __init__(self, model, options=None):
        self.model, self.model_options, self.controlnet_linked_list = model, options or {}, None

    def clone(self):
        twin = Patcher(self.model, copy.deepcopy(self.model_options))
        twin.controlnet_linked_list = self.controlnet_linked_list
        return twin

    def add_patched_controlnet(self, cnet):
        cnet.set_previous_controlnet(self.controlnet_linked_list)
        self.controlnet_linked_list = cnet

    def add_conditioning_modifier(self, modifier):
        self.model_options.setdefault("conditioning_modifiers", []).append(modifier)

    def set_model_unet_function_wrapper(self, wrapper):
        self.model_options["model_function_wrapper"] = wrapper

    def set_memory_peak_estimation_modifier(self, modifier):
        self.model_options["memory_peak_estimation_modifier"] = modifier

    def memory_required(self, shape):
        return math.prod(shape)

    def list_controlnets(self):
        every, control = [], self.controlnet_linked_list
        while control is not None:
            every.append(control)
            control = control.previous_controlnet
        return every


def patcher_chain(control):
    """All of a chain."""
    while control is not None:
        yield control
        control = control.previous_controlnet


class ControlNet:
    """What it says of a pixel is its hint there, by the weights of pictures, of kinds of rows, and of places."""

    def __init__(self, hint, strength=1.0, **weightings):
        self.cond_hint_original, self.strength, self.cond_hint = hint, strength, None
        self.previous_controlnet, self.transformer_options, self.timestep_range = None, {}, None
        self.advanced_frame_weighting = self.advanced_mask_weighting = self.negative = None
        vars(self).update(weightings)

    def set_previous_controlnet(self, controlnet):
        self.previous_controlnet = controlnet
        return self

    def pre_run(self, model, percent_to_timestep_function):
        self.timestep_range = (99.0, 0.0)

    def cleanup(self):
        self.timestep_range = self.cond_hint = None

    def get_control(self, x_noisy, t, cond, batched_number):
        before = None
        if self.previous_controlnet is not None:
            before = self.previous_controlnet.get_control(x_noisy, t, cond, batched_number)
        if self.timestep_range is not None and not self.timestep_range[1] <= t[0] <= self.timestep_range[0]:
            return before
        size = (x_noisy.shape[2] * 8, x_noisy.shape[3] * 8)
        if self.cond_hint is None or tuple(self.cond_hint.shape[2:]) != size:
            assert tuple(self.cond_hint_original.shape[2:]) == size, "the hint would be squeezed into a tile"
            self.cond_hint = self.cond_hint_original
        if self.cond_hint.shape[0] not in (1, x_noisy.shape[0]):
            self.cond_hint = torch.cat([self.cond_hint[: len(x_noisy) // batched_number]] * batched_number)
        out = torch.nn.functional.avg_pool2d(self.cond_hint, 8).mean(1, keepdim=True) * self.strength
        out = (out * self._weights(len(x_noisy))[:, None, None, None]).expand(len(x_noisy), 4, -1, -1)
        if self.advanced_mask_weighting is not None:
            out = out * torch.nn.functional.avg_pool2d(self.advanced_mask_weighting, 8)
        return {"middle": [out if before is None else out + before["middle"][0]]}

    def _weights(self, rows):
        """As Forge weights: each picture's, for each mark; and by mark."""
        options, out = self.transformer_options, torch.ones(rows)
        if self.advanced_frame_weighting is not None:
            out = torch.Tensor(self.advanced_frame_weighting * len(options["cond_or_uncond"]))
            assert len(out) == len(options["cond_mark"]) == rows, "weights of other rows"
        return out if self.negative is None else out * (1 + (self.negative - 1) * options["cond_mark"])


class Layer(torch.nn.Module):
    """A layer of an LLLite: keeps what it has made of the hint, and counts its calls."""

    def __init__(self, image, num_steps, start_step, end_step):
        super().__init__()
        self.cond_image, self.cond_emb, self.multiplier, self.current_step = image, None, 1.0, 0
        self.num_steps, self.start_step, self.end_step = num_steps, start_step, end_step

    def set_cond_image(self, cond_image):
        self.cond_image, self.cond_emb, self.current_step = cond_image, None, 0

    def forward(self, x):
        now, self.current_step = self.current_step, (self.current_step + 1) % max(self.num_steps, 1)
        if self.num_steps and not self.start_step <= now < self.end_step:
            return torch.zeros_like(x)
        if self.cond_emb is None:
            self.cond_emb = torch.nn.functional.avg_pool2d(self.cond_image, 8).mean(1, keepdim=True)
        out = self.cond_emb
        if x.shape[0] != out.shape[0]:
            out = out.repeat(x.shape[0] // out.shape[0], 1, 1, 1)
        return out.expand_as(x) * self.multiplier * 0.5


class Lllite:
    """As the hosts hang it: a patch of the attention, one object for both kinds."""

    def __init__(self, image, num_steps=4, start_step=0, end_step=4):
        self.modules = {name: Layer(image, num_steps, start_step, end_step) for name in ("first", "second")}

    def __call__(self, x):
        return sum(layer(x) for layer in self.modules.values())


class ForgeModel(Model):
    """Has patchers, and says what it has read."""

    def __init__(self, name="one", scale=1.0):
        super().__init__(name, scale)
        predictor = SimpleNamespace(noise_scaling=lambda sigma, noise, latent: latent + sigma * noise)
        inner = SimpleNamespace(
            diffusion_model=self.model.diffusion_model, predictor=predictor, apply_model=self.apply_model
        )
        self.forge_objects = SimpleNamespace(unet=Patcher(inner), vae=None)
        self.extra_generation_params, self.comments = {}, []

    def apply_model(self, x, t, c_crossattn, transformer_options=None, control=None, control_model=None):
        assert transformer_options is None or len(transformer_options["cond_or_uncond"]) in (1, 2, 3, x.shape[0])
        out = self.predict(x, t, {"c_crossattn": [c_crossattn]})
        for added in [] if control is None else [control["middle"].pop()]:  # what is taken is gone
            assert added.shape[-2:] == x.shape[-2:], "the hint is not the tile's"
            out = out + added
        for patch in (transformer_options or {}).get("patches", {}).get("attn1_patch", []):
            out = out + patch(x)
        return out


class ForgeDenoiser(Denoiser):
    """Guidance as Forge has it: one condition for each part over all pictures, the last ones first."""

    def forward(self, x, sigma):
        if shared.state.interrupted or shared.state.skipped:
            raise sd_samplers_common.InterruptedException
        extra = self.sampler.sampler_extra_args
        for callback in script_callbacks.registered.get("cfg_denoiser", []):
            callback(SimpleNamespace(denoiser=self, x=x, sigma=sigma))
        if self.fail_at == self.step:
            raise RuntimeError("broken on purpose")
        model, patcher = shared.sd_model, shared.sd_model.forge_objects.unet
        longest = max(_at(part.schedules, self.step).shape[0] for parts in extra["cond"].batch for part in parts)
        cond = [self._entry(parts, longest) for parts in zip(*extra["cond"].batch, strict=True)]
        for entry, part in zip(cond, extra["cond"].batch[0], strict=True):
            entry["strength"] = part.weight
        uncond = [self._entry([SimpleNamespace(schedules=s) for s in extra["uncond"]])]
        if patcher.controlnet_linked_list is not None:
            for entry in (*cond, *uncond):
                entry["control"] = patcher.controlnet_linked_list
        given = (
            model,
            x,
            sigma,
            uncond,
            cond,
            1.0 if self.step in self.skips else self.p.cfg_scale,
            patcher.model_options,
            0,
        )
        for modifier in patcher.model_options.get("conditioning_modifiers", []):
            given = modifier(*given)
        _, x, sigma, uncond, cond, scale, options, _ = given
        rows = [(e, 0) for e in cond] + ([] if math.isclose(scale, 1.0) else [(e, 1) for e in uncond])
        out = self._predictions(model, x, sigma, rows, options)
        self.step += 1
        weights = [e["strength"] for e in cond]
        own = sum(o * w for o, w in zip(out, weights, strict=False)) / sum(weights)
        base = out[len(cond)] if len(out) > len(cond) else torch.zeros_like(x)
        return base + (own - base) * scale * sum(weights)

    skips = ()

    def _entry(self, parts, longest=0):
        """All parts are as long as the longest one."""
        texts = [_at(part.schedules, self.step) for part in parts]
        longest = max(longest, *(t.shape[0] for t in texts))
        text = torch.stack([_repeated(t, longest) for t in texts])
        return {"model_conds": {"c_crossattn": TextCondition(text)}}

    def _predictions(self, model, x, sigma, rows, options):
        """Of each condition; those with texts of one length go together, in reverse order."""
        out = {}
        lengths = [entry["model_conds"]["c_crossattn"].cond.shape[1] for entry, _ in rows]
        for length in dict.fromkeys(lengths):
            batch = [i for i, own in enumerate(lengths) if own == length][::-1]
            conds = [rows[i][0]["model_conds"] for i in batch]
            c = {key: torch.cat([own[key].cond for own in conds]) for key in conds[0]}
            marks = [rows[i][1] for i in batch]
            by_row = [mark for mark in marks for _ in range(len(x))]
            own = {"cond_or_uncond": marks, "sigmas": sigma, "cond_mark": torch.Tensor(by_row)}
            c["transformer_options"] = {**options.get("transformer_options", {}), **own}
            many = {"input": torch.cat([x] * len(batch)), "timestep": torch.cat([sigma] * len(batch)), "c": c}
            control = rows[batch[0]][0].get("control")
            if control is not None:
                for each in patcher_chain(control):
                    each.transformer_options = c["transformer_options"]
                c["control"] = control.get_control(many["input"], many["timestep"], dict(c), len(marks))
                c["control_model"] = control
            wrapper = options.get("model_function_wrapper")
            if wrapper is None:
                done = model.apply_model(many["input"], many["timestep"], **c)
            else:
                done = wrapper(model.apply_model, {**many, "cond_or_uncond": marks})
            out.update(zip(batch, done.chunk(len(batch)), strict=True))
        return [out[i] for i in range(len(rows))]


class ForgeSampler(Sampler):
    """The same samplers, around another denoiser."""

    def __init__(self, p):
        super().__init__(p)
        self.model_wrap_cfg = ForgeDenoiser(self, p)


@dataclass
class ForgeJob(Job):
    """A job whose sampler may be announced twice, as in the hires pass; with the scale that some models are told."""

    distilled_cfg_scale: float = 3.5
    announced = 1
    channels = 4
    kind = ForgeSampler

    @property
    def sd_model(self):
        return shared.sd_model

    @sd_model.setter
    def sd_model(self, model):
        pass

    def sample(self):
        self.sampler = self.kind(self)
        self.sampler.model_wrap_cfg.fail_at = self.fail_at
        shape = self.channels, self.height // 8, self.width // 8
        noise = torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(s)) for s in self.seeds])
        x = noise if self.init_latent is None else self.init_latent
        for _ in range(self.announced):
            self.script.process_before_every_sampling(self, *self.args, x=x, noise=noise, c=self.c, uc=self.uc)
        self.before_sampling()
        if self.init_latent is None:
            return self.sampler.sample(self, noise, self.c, self.uc)
        return self.sampler.sample_img2img(self, x, noise, self.c, self.uc)

    def before_sampling(self):
        """What another script does afterwards."""
