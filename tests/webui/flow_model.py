"""Models of flows in Forge's stand-in: texts with what goes beside them, and noise that is put on along a straight line."""

from __future__ import annotations

from types import SimpleNamespace

import torch
from modules import prompt_parser, sd_samplers_common

from tests.webui.forge_model import TOLD, Condition, ForgeDenoiser, ForgeJob, ForgeModel, ForgeSampler, TextCondition
from tests.webui.host_model import _at, _repeated

CHANNELS, PATCH = 16, 2


def straight(sigma, noise, latent):
    """As their predictors noise."""
    return sigma * noise + (1 - sigma) * latent


class Text(dict):
    """A text and what goes with it; as long as the text is."""

    @property
    def shape(self):
        return self["crossattn"].shape


class FlowModel(ForgeModel):
    """A pixel's prediction depends on that pixel, its row's text, pooled text and guidance, and the noise level alone.

    Its class's name is that of the engine.
    """

    guided = False

    def __init__(self, name="flow"):
        super().__init__(name)
        inner = SimpleNamespace(predictor=SimpleNamespace(noise_scaling=straight), apply_model=self.apply_model)
        inner.diffusion_model = SimpleNamespace()
        self.forge_objects.unet.model = inner

    def encoded(self, text):
        tokens = prompt_parser.embedded(text)
        out = Text(crossattn=tokens, vector=tokens.mean(dim=0).repeat(CHANNELS // 4))
        if self.guided:
            out["guidance"] = torch.tensor(float(TOLD[-1]))
        return out

    def apply_model(self, x, t, c_crossattn, y, guidance=None, transformer_options=None):
        assert x.shape[1] == CHANNELS
        assert x.shape[2] % PATCH == x.shape[3] % PATCH == 0, "half a patch"
        assert (guidance is not None) == self.guided
        assert len(x) == len(t) == len(c_crossattn) == len(y) == (len(x) if guidance is None else len(guidance))
        self.calls.append((x.shape, c_crossattn.shape))
        push = (c_crossattn.mean(dim=1).repeat(1, CHANNELS // 4) + y)[:, :, None, None]
        scale = 1.0 if guidance is None else 1 + 0.1 * guidance.reshape(-1, 1, 1, 1)
        return torch.tanh(x + push * scale) * 0.5 + 0.3 * push + 0.1 * t.reshape(-1, 1, 1, 1)


class StableDiffusion3(FlowModel):
    """Guided by negative prompts."""


class Flux(FlowModel):
    """Told its guidance."""

    guided = True


class Chroma(FlowModel):
    """Known to nobody here."""


class FlowDenoiser(ForgeDenoiser):
    """Conditions of all that goes with a text."""

    def _entry(self, parts, longest=0):
        texts = [_at(part.schedules, self.step) for part in parts]
        longest = max(longest, *(t.shape[0] for t in texts))
        text = torch.stack([_repeated(t["crossattn"], longest) for t in texts])
        conditions = {"c_crossattn": TextCondition(text), "y": Condition(torch.stack([t["vector"] for t in texts]))}
        if "guidance" in texts[0]:
            conditions["guidance"] = Condition(torch.stack([t["guidance"] for t in texts]))
        return {"model_conds": conditions}


class FlowSampler(ForgeSampler):
    """Puts noise on pictures as flows have it."""

    def __init__(self, p):
        super().__init__(p)
        self.model_wrap_cfg = FlowDenoiser(self, p)

    def sample_img2img(self, p, x, noise, cond, uncond, steps=None, image_conditioning=None):
        steps, last = sd_samplers_common.setup_img2img_steps(p, steps)
        sigmas = self.get_sigmas(p, steps)[steps - last - 1 :]
        self.begun = straight(sigmas[0], noise, x)
        return self._run(p, self.begun, cond, uncond, sigmas)


class FlowJob(ForgeJob):
    """A job of such a model."""

    channels = CHANNELS
    kind = FlowSampler

    def setup_conds(self):
        TOLD.append(self.distilled_cfg_scale)
        super().setup_conds()
