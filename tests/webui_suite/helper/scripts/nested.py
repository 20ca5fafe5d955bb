"""Jobs within a job, as scripts that repair faces or compare settings start them, and what a job has to say."""

import json
from copy import copy

import gradio as gr
import torch
from modules import script_callbacks, scripts, shared
from modules.processing import StableDiffusionProcessingImg2Img, process_images
from PIL import Image

WISHES = "_suite_nested"
"""Where a job keeps what is to be done within it, or seen of it, and what came of that."""


class SuiteNested(scripts.Script):
    def title(self):
        return "Suite nested"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        return [gr.Textbox("", label="What to do within the job", visible=False)]

    def before_process(self, p, wish):
        inside = p.__dict__.pop("_suite_inside", False)
        p.__dict__.pop(WISHES, None)
        if wish:
            torch.manual_seed(0)  # the host's encoder draws from what the last job has left
        if wish and not inside:
            wishes = p.__dict__[WISHES] = {**json.loads(wish), "found": [], "inputs_seen": {}}
            if wishes.get("inputs"):
                wishes["handle"] = watched(unet(), wishes["inputs_seen"])

    def postprocess_image(self, p, pp, wish):
        within(p, "after")

    def postprocess(self, p, processed, wish):
        wishes = p.__dict__.get(WISHES)
        if wishes is None:
            return
        for inner in wishes["found"]:
            processed.images.append(inner.images[0])
            processed.infotexts.append(inner.infotexts[0])
        if wishes.get("inputs"):
            wishes["handle"].remove()
            processed.infotexts.append(json.dumps(list(wishes["inputs_seen"].values())))
        if wishes.get("comments"):
            processed.infotexts.append(processed.comments)


def unet():
    """Of the model in use, in every WebUI."""
    objects = getattr(shared.sd_model, "forge_objects", None)
    return (shared.sd_model.model if objects is None else objects.unet.model).diffusion_model


def watched(unet, found):
    """Notes every different row that a U-Net is given: the latent, and what an inpainting model has behind it."""

    def note(module, args):
        for row in args[0].float().cpu().numpy():
            found.setdefault(row.tobytes(), row.tolist())

    return unet.register_forward_pre_hook(note)


def within(p, where):
    """Runs a job within a job, once, where that is wanted."""
    wishes = p.__dict__.get(WISHES)
    if wishes is None or wishes.get("where") != where or wishes["found"]:
        return
    inner = {"copy": copy, "off": without_tiles, "new": another}[wishes["how"]](p)
    inner._suite_inside = True
    inner.do_not_save_grid = inner.do_not_save_samples = True
    wishes["found"].append(process_images(inner))


def without_tiles(p):
    """The same job with both of the extension's scripts switched off."""
    inner = copy(p)
    inner.script_args = list(p.script_args)
    for script in p.scripts.alwayson_scripts:
        if script.title() in ("Tiled Diffusion", "Tiled VAE"):
            inner.script_args[script.args_from] = False
    return inner


def another(p):
    """A job of another kind with the same scripts and what they were told."""
    source = Image.linear_gradient("L").resize((p.width, p.height)).convert("RGB")
    inner = StableDiffusionProcessingImg2Img(init_images=[source], denoising_strength=0.6)
    inner.scripts, inner.script_args = p.scripts, p.script_args  # which sets the sampler and the seed anew
    for name in (
        "prompt",
        "negative_prompt",
        "steps",
        "width",
        "height",
        "seed",
        "cfg_scale",
        "sampler_name",
        "scheduler",
    ):
        setattr(inner, name, getattr(p, name))
    return inner


def while_sampling(params):
    """Amid the steps of a job."""
    p = getattr(params.denoiser, "p", None)
    if p is not None and params.denoiser.step == 2:
        within(p, "sampling")


script_callbacks.on_cfg_denoiser(while_sampling)
