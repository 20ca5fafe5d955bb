"""What the suite cannot bring about through the API: a VAE that overflows, foreign hooks, a U-Net that fails.

Forge keeps nothing of a checkpoint's config, and takes every model like Stable Diffusion 1 for one of 512 px: it is told
the size of the shipped one.
"""

import gradio as gr
import torch
from modules import script_callbacks, scripts, shared


class VAEHook:
    """Stands for the peer extension's hook, by its name."""

    def __init__(self, net):
        self.net, self.calls = net, 0

    def __call__(self, x):
        self.calls += 1
        return type(self.net).forward(self.net, x)


def vae():
    """Of the model in use, in every WebUI."""
    found = getattr(shared.sd_model, "first_stage_model", None)
    return found if found is not None else shared.sd_model.forge_objects.vae.first_stage_model


class SuiteHelper(scripts.Script):
    def title(self):
        return "Suite helper"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        return [gr.Textbox("", label="What to do", visible=False)]

    def before_process(self, p, what):
        self.handle = self.hook = None
        decoder = vae().decoder
        if what == "overflow":
            self.handle = decoder.conv_in.register_forward_hook(overflow)
        if what == "hook":
            self.hook = decoder.forward = VAEHook(decoder)

    def process_before_every_sampling(self, p, what, **kwargs):
        if what == "fail":
            unet = p.sd_model.forge_objects.unet.clone()
            unet.set_model_unet_function_wrapper(Failing())
            p.sd_model.forge_objects.unet = unet
        if what.startswith("roll "):
            _, axis, by = what.split()
            kwargs["noise"].copy_(kwargs["noise"].roll(int(by), 2 if axis == "y" else 3))

    def postprocess(self, p, processed, what):
        decoder = vae().decoder
        if self.handle is not None:
            self.handle.remove()
        if self.hook is not None:
            processed.infotexts = [f"hook calls: {self.hook.calls}", *processed.infotexts]
            decoder.__dict__.pop("forward", None)
        if what == "patcher":
            processed.infotexts = [f"left: {on_patchers()}", *processed.infotexts]
        if what == "state":
            own = [item for net in (decoder, vae().encoder, shared.sd_model) for item in net.__dict__.items()]
            left = [n for n, it in own if n in ("forward", "decode_first_stage") and not is_hosts(it)]
            processed.infotexts = [f"left: {left}", *processed.infotexts]


def is_hosts(function):
    """Whether the host itself has put a function there, as reForge does."""
    return getattr(function, "__module__", "").startswith("modules")


class Failing:
    """A wrapper of the U-Net that fails in the middle of a sampling."""

    def __init__(self):
        self.calls = 0

    def __call__(self, apply, args):
        self.calls += 1
        if self.calls > 5:
            raise RuntimeError("the suite has broken this job")
        return apply(args["input"], args["timestep"], **args["c"])


def on_patchers():
    """What is on the U-Net's patchers of the model that is loaded."""
    names = ("forge_objects", "forge_objects_original", "forge_objects_after_applying_lora")
    patchers = [getattr(shared.sd_model, name).unet for name in names if getattr(shared.sd_model, name, None)]
    keys = ("conditioning_modifiers", "model_function_wrapper", "memory_peak_estimation_modifier")
    return sorted({key for patcher in patchers for key in keys if patcher.model_options.get(key)})


def overflow(module, args, out):
    return torch.full_like(out, float("nan")) if out.dtype == torch.float32 else out


def tell_size(model):
    """Of the shipped checkpoint, latent pixels, as its config says."""
    if not hasattr(model, "image_size") and "tiny-landscapes" in model.sd_checkpoint_info.filename:
        model.image_size = 16


script_callbacks.on_model_loaded(tell_size)
