"""Writes the trained models as a diffusers folder that every version of the libraries reads."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from training.models import TEXT_CONFIG, load_vae
from training.state import WORK, log
from training.train_unet import load_trained


def pipeline(tokenizer: Any, text: Any, unet: Any) -> Any:
    """The models as a StableDiffusionPipeline in half precision."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        num_train_timesteps=1000,
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="epsilon",
    )
    return StableDiffusionPipeline(
        vae=load_vae(WORK / "vae"),
        text_encoder=text,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).to(torch.float16)


def edit_json(file: Path, edit: Callable[[dict[str, Any]], object], indent: int) -> None:
    """Changes a file of JSON in place."""
    values = json.loads(file.read_text())
    edit(values)
    file.write_text(json.dumps(values, indent=indent))


def write_text_encoder(folder: Path, text: Any) -> None:
    """Replaces the weights: transformers 5 dropped the `text_model.` prefix that everything else expects."""
    from safetensors.torch import save_file

    for file in folder.glob("*.safetensors"):
        file.unlink()
    weights = {
        (k if k.startswith("text_model.") else "text_model." + k): v.half().contiguous()
        for k, v in text.state_dict().items()
        if not k.endswith("position_ids")
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    kind = {"model_type": "clip_text_model", "architectures": ["CLIPTextModel"], "torch_dtype": "float16"}
    edit_json(folder / "config.json", lambda config: config.update(**kind, **TEXT_CONFIG), indent=1)


def stage_export(options: argparse.Namespace) -> None:
    """Writes the folder beside its place and puts it there as a whole."""
    tokenizer, text, unet, state = load_trained()
    log("exporting step", state["step"], "samples", state["samples"])
    new = options.out.with_name(options.out.name + ".tmp")
    shutil.rmtree(new, ignore_errors=True)
    pipeline(tokenizer, text, unet).save_pretrained(new, safe_serialization=True)
    write_text_encoder(new / "text_encoder", text)
    # a path of this machine
    edit_json(new / "vae" / "config.json", lambda config: config.pop("_name_or_path", None), indent=2)
    shutil.rmtree(new / "tokenizer", ignore_errors=True)
    shutil.copytree(WORK / "tokenizer", new / "tokenizer")
    shutil.rmtree(options.out, ignore_errors=True)
    new.replace(options.out)
    size = sum(file.stat().st_size for file in options.out.rglob("*") if file.is_file())
    log(f"{options.out}: {size / 1e6:.2f} MB")
