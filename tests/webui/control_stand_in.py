"""A stand-in of the ControlNet extension: what its units keep from call to call, and what acts although it is stopped.

Its model's prediction at a pixel depends on what the units hold for that pixel alone (and, for units of the whole
picture, on what they hold for that row), so tiles that are shown the right things give exactly the untiled result.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from modules import prompt_parser, script_callbacks, shared
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d

from tests.webui.host_model import Job, Model, run

MARK = 1024.0
MAPS = ("ControlNet", "ControlLoRA", "ControlNetUnion", "InstantID")


class Params:
    """A unit, as the extension keeps it."""

    def __init__(self, hint, kind="ControlNet", mask=None, hires=None, model=None, preprocessor="none", **more):
        self._hint, self.hr_hint_cond, self.effective_region_mask = hint, hires, mask
        self.control_model_type, self.guidance_stopped = SimpleNamespace(name=kind), False
        self.control_model, self.weight, self.sets = model or SimpleNamespace(), 1.0, 0
        self.preprocessor = {"name": preprocessor}
        self.start_guidance_percent, self.stop_guidance_percent = 0.0, 1.0
        self.cfg_injection = self.soft_injection = False
        self.advanced_weighting, self.hr_option = None, "Both"
        self.used_hint_cond = self.used_hint_cond_latent = self.used_hint_inpaint_hijack = None
        self.__dict__.update(more)

    @property
    def hint_cond(self):
        return self._hint

    @hint_cond.setter
    def hint_cond(self, value):
        self._hint, self.sets = value, self.sets + 1
        self.used_hint_cond = self.used_hint_cond_latent = self.used_hint_inpaint_hijack = None

    @property
    def kind(self):
        return self.control_model_type.name

    def off(self, hires):
        return self.guidance_stopped or self.hr_option == ("Low res only" if hires else "High res only")


class Adapter:
    """A T2I-Adapter: the first hint's features are kept until it is told to forget them."""

    def __init__(self):
        self.control, self.resets = None, 0

    def reset(self):
        self.control, self.resets = None, self.resets + 1

    def __call__(self, hint):
        if self.control is None:
            self.control = avg_pool2d(hint, 8).mean(1, keepdim=True)
        return self.control.clone()


class IpAdapter:
    """Keys of an embedding: made for the rows of the first call, and kept."""

    def __init__(self, strength=0.4, mask=None, size=(0, 0)):
        self.cache, self.strength, self.p_start, self.p_end = {}, strength, 0.0, 1.0
        self.effective_region_mask, (self.latent_height, self.latent_width) = mask, size

    def reset(self):
        self.cache = {}

    def __call__(self, x, marks, progress):
        if not self.p_start <= progress <= self.p_end:
            return 0.0
        if "key" not in self.cache:
            self.cache["key"] = self.strength * (0.5 + marks)
        out = self.cache["key"].reshape(x.shape[0], 1, 1, 1).expand(x.shape[0], 1, *x.shape[-2:])
        if self.effective_region_mask is None:
            return out
        assert (self.latent_height, self.latent_width) == tuple(x.shape[-2:])
        mask = interpolate(self.effective_region_mask, size=x.shape[-2:], mode="bilinear").squeeze()
        return out * mask.repeat(x.shape[0], 1, 1)[:, None]


class LiteModule:
    """A module of an LLLite: it keeps what it makes of its picture."""

    def __init__(self):
        self.cond_image = self.cond_emb = None

    def set_cond_image(self, image):
        self.cond_image, self.cond_emb = image, None

    def __call__(self, x):
        if self.cond_emb is None:
            self.cond_emb = avg_pool2d(self.cond_image, 8).mean(1, keepdim=True)
        assert self.cond_emb.shape[-2:] == x.shape[-2:], "the picture is no crop of the tile"
        return self.cond_emb.repeat(x.shape[0] // self.cond_emb.shape[0], 1, 1, 1)


class Lite:
    """An LLLite, hung into the U-Net with a hint."""

    def __init__(self, hint, start=0.0, end=1.0):
        self.modules, self.start, self.end = {"one": LiteModule(), "two": LiteModule()}, start, end
        for module in self.modules.values():
            module.set_cond_image(hint * 2 - 1)


class Network:
    """The extension's hook of the U-Net."""

    def __init__(self, units, in_channels=4):
        self.control_params, self.encoded = units, []
        self.model = SimpleNamespace(in_channels=in_channels)

    def call_vae_using_process(self, p, x, batch_size=None, mask=None):
        """Latents; like a VAE's, they depend on the whole picture."""
        self.encoded.append(tuple(x.shape))
        x = x[:, :3] * 2 - 1
        x = x if mask is None else x * (1 - mask)
        pooled = avg_pool2d(x, 8)
        latent = torch.cat([pooled, pooled.mean(1, keepdim=True)], dim=1) + 0.2 * pooled.mean((1, 2, 3), keepdim=True)
        if batch_size is not None and latent.shape[0] != batch_size:
            latent = torch.cat([latent] * batch_size)
        return latent

    def schedule(self, params):
        """Before each denoiser call."""
        progress = params.denoiser.step / params.denoiser.total_steps
        self.model.current_sampling_percent = progress
        for u in self.control_params:
            u.guidance_stopped = not u.start_guidance_percent <= progress <= u.stop_guidance_percent


class Controlled(Model):
    """A model with the extension's hook in it."""

    def __init__(self, network):
        super().__init__()
        self.network, self.hires_seen = network, []

    def predict(self, x, sigma, cond):
        text, marks = unmarked(cond["c_crossattn"][0])
        out, units = super().predict(x, sigma, {**cond, "c_crossattn": [text]}), self.network.control_params
        hires = self._choose(units, x)
        self.hires_seen.append(hires)
        for u in units:
            if u.used_hint_cond_latent is None and needs_latent(u):
                u.used_hint_cond_latent = self.network.call_vae_using_process(None, u.used_hint_cond, x.shape[0])
        for u in units:
            out = out + self._one(u, x, marks, hires)
        for u in units:
            out = self._filled(u, out)
        for u in units:
            out = restored(u, out)
        return out

    @staticmethod
    def _choose(units, x):
        hires = False
        for u in units:
            u.used_hint_cond = u.hint_cond if u.used_hint_cond is None else u.used_hint_cond
            pair = u.hint_cond, u.hr_hint_cond
            if all(isinstance(h, torch.Tensor) and h.dim() == 4 for h in pair):
                far = [abs(x.shape[-2] * 8 - h.shape[-2]) for h in pair]
                hires = far[0] >= far[1]
                if u.used_hint_cond is not pair[hires]:
                    u.used_hint_cond, u.used_hint_cond_latent, u.used_hint_inpaint_hijack = pair[hires], None, None
        return hires

    def _one(self, u, x, marks, hires):
        progress = getattr(self.network.model, "current_sampling_percent", 0.5)
        if u.kind == "IPAdapter":
            return u.control_model(x, marks, progress) if isinstance(u.control_model, IpAdapter) else 0.0
        if u.kind == "Controlllite":
            lite = u.control_model
            if not isinstance(lite, Lite):
                return 0.0
            acts = lite.start <= progress <= lite.end and not hires
            return sum(m(x) for m in lite.modules.values()) * u.weight if acts else 0.0
        if u.off(hires):
            return 0.0
        if u.kind == "AttentionInjection":
            assert u.used_hint_cond_latent.shape[0] == x.shape[0], "a reference for other rows"
            return u.weight * u.used_hint_cond_latent.abs().amax((1, 2, 3), keepdim=True)
        return added(u, x, marks) if u.kind in (*MAPS, "T2I_Adapter") else 0.0

    def _filled(self, u, out):
        """An inpainting checkpoint sees the hint's masked picture."""
        hint = u.used_hint_cond
        if self.network.model.in_channels != 9 or not isinstance(hint, torch.Tensor) or hint.shape[1] != 4:
            return out
        if u.used_hint_inpaint_hijack is None:
            hidden, rows = (hint[:, 3:] > 0.5).float(), out.shape[0]
            latent = self.network.call_vae_using_process(None, hint[:, :3], rows, mask=hidden)
            hidden = max_pool2d(hidden, 8)
            hidden = hidden if hidden.shape[0] == rows else torch.cat([hidden] * rows)
            u.used_hint_inpaint_hijack = torch.cat([hidden, latent], dim=1)
        assert u.used_hint_inpaint_hijack.shape[0] == out.shape[0]
        return out + 0.3 * u.used_hint_inpaint_hijack[:, 1:] + 0.1 * u.used_hint_inpaint_hijack[:, :1]


def unmarked(text):
    """Texts without the marks, and 1 for prompts' rows and 0 for negative prompts'."""
    first = text[:, 0]
    if not bool((first.abs() == MARK).all()):
        return text, torch.ones(text.shape[0])
    return text[:, 1:], (first[:, 0] > 0).float()


def needs_latent(u):
    """Whether it works on its hint's latent."""
    return u.kind == "AttentionInjection" or any(n in u.preprocessor["name"] for n in ("inpaint_only", "colorfix"))


def added(u, x, marks):
    """What a unit adds: two layers, weighted as the extension's modes ask."""
    hint = u.used_hint_cond
    if hint.shape[1] == 4:
        hidden = (hint[:, 3:] > 0.5).float()
        hint = hint[:, :3] * (1 - hidden) - hidden
    seen = u.control_model(hint) if u.kind == "T2I_Adapter" else avg_pool2d(hint, 8).mean(1, keepdim=True)
    assert seen.shape[-2:] == x.shape[-2:], "the hint is no crop of the tile"
    assert seen.shape[0] in (1, x.shape[0])
    layers = [0.5 * seen, 0.25 * seen]
    if u.cfg_injection:
        if u.kind == "T2I_Adapter":
            layers = [torch.cat([layer] * x.shape[0]) for layer in layers]
        layers = [layer * marks[:, None, None, None] for layer in layers]
    scales = [u.weight * 0.825, u.weight] if u.soft_injection else [u.weight] * 2
    total = sum(layer * scale for layer, scale in zip(layers, u.advanced_weighting or scales, strict=True))
    if u.effective_region_mask is None:
        return total
    return total * interpolate(u.effective_region_mask, size=x.shape[-2:], mode="bilinear")


def restored(u, out):
    """Known colours or pixels are put back, whether guidance is stopped or not."""
    latent, name, weight = u.used_hint_cond_latent, u.preprocessor["name"], max(0.0, min(1.0, float(u.weight)))
    if latent is None or not ("colorfix" in name or "inpaint_only" in name):
        return out
    assert latent.shape[-2:] == out.shape[-2:], "the latent is no crop of the tile"
    if "colorfix" in name:
        return out * (1 - weight) + weight * (0.5 * out + 0.5 * latent)
    if u.used_hint_cond.shape[1] != 4:
        return out
    hidden = max_pool2d(u.used_hint_cond[:, 3:], 8)
    return out * (1 - weight) + weight * (out * hidden + latent * (1 - hidden))


class ControlledJob(Job):
    """A job whose prompts are marked by the extension, and which may be the hires pass of another one."""

    @property
    def hr_prompts(self):
        return self.prompts

    @property
    def hr_negative_prompts(self):
        return self.negative_prompts

    hr_sampler_name, hr_second_pass_steps = None, 0

    def setup_conds(self):
        super().setup_conds()
        for part in (p for image in self.c.batch for p in image):
            part.schedules = [marked(s, MARK) for s in part.schedules]
        self.uc = [[marked(s, -MARK) for s in schedules] for schedules in self.uc]


def marked(schedule, mark):
    """A text with a first token that says whether it is a prompt."""
    token = torch.full_like(schedule.cond[:1], mark)
    return prompt_parser.ScheduledPromptConditioning(schedule.end_at_step, torch.cat([token, schedule.cond]))


def hint_of(seed, batch=1, size=(160, 320), channels=3):
    """Every pixel differs."""
    return torch.rand((batch, channels, *size), generator=torch.Generator().manual_seed(seed))


def inpainted(seed, size=(160, 320)):
    """A hint with what is to be painted anew as its fourth channel: one or zero, on whole latent pixels."""
    hidden = interpolate((hint_of(seed + 100, size=(size[0] // 8, size[1] // 8))[:, :1] > 0.5).float(), scale_factor=8)
    return torch.cat([hint_of(seed, size=size), hidden], dim=1)


def controlled(units, settings=None, *, hires=False, in_channels=4, script=None, **more):
    """(latent, job, network) of a job with units."""
    network = Network(units, in_channels)
    shared.sd_model = Controlled(network)
    script_callbacks.registered["cfg_denoiser"] = []
    script_callbacks.on_cfg_denoiser(network.schedule)
    p = ControlledJob(args=() if settings is None else (True, settings), **{"width": 320, "height": 160, **more})
    p.is_hr_pass = hires
    own = SimpleNamespace(
        latest_network=network, title=lambda: "ControlNet", filename="", args_from=0, args_to=0, **(script or {})
    )
    p.scripts.alwayson_scripts = [own]
    return run(p), p, network
