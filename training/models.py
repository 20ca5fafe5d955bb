"""The models that are trained: Stable Diffusion 1's structure, small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

SCALE = 0.18215  # SD1's scale factor; the VAE's 1x1 quant convs are rescaled so that it fits exactly
VAE_CONFIG = {
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "block_out_channels": [32, 32, 64, 96],
    "layers_per_block": 1,
    "latent_channels": 4,
    "norm_num_groups": 8,
    "sample_size": 128,
    "scaling_factor": SCALE,
    "force_upcast": False,
}
UNET_CONFIG = {
    "sample_size": 16,
    "in_channels": 4,
    "out_channels": 4,
    "layers_per_block": 1,
    "block_out_channels": [64, 128],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
    "attention_head_dim": 4,  # diffusers' name for the number of heads
    "cross_attention_dim": 128,
    "norm_num_groups": 32,
}
TEXT_CONFIG = {
    "hidden_size": 128,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 77,
    "hidden_act": "quick_gelu",
    "projection_dim": 128,
}


def zero_residuals(model: nn.Module, names: tuple[str, ...]) -> None:
    """Every residual branch starts as nothing, as in ldm."""
    for name, module in model.named_modules():
        if name.endswith(names):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)


def build_vae() -> Any:
    """An AutoencoderKL with random weights."""
    from diffusers import AutoencoderKL

    vae = AutoencoderKL(**VAE_CONFIG)
    zero_residuals(vae, (".conv2", ".to_out.0"))
    with torch.no_grad():  # next to no sampling noise at first
        vae.quant_conv.weight[4:].zero_()
        vae.quant_conv.bias[4:].fill_(-6)
    return vae


def build_unet() -> Any:
    """A UNet2DConditionModel with random weights."""
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel(**UNET_CONFIG)
    zero_residuals(unet, (".conv2", ".proj_out", "conv_out"))
    return unet


def build_text(vocab_size: int) -> Any:
    """A CLIPTextModel with random weights; the last two tokens begin and end a text."""
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=vocab_size,
        bos_token_id=vocab_size - 2,
        eos_token_id=vocab_size - 1,
        pad_token_id=vocab_size - 1,
        **TEXT_CONFIG,
    )
    text = CLIPTextModel(config)
    # The WebUI's emphasis "Original" divides by the mean over all text features: keep it well away from 0
    nn.init.constant_(getattr(text, "text_model", text).final_layer_norm.bias, 0.25)
    return text


def load_vae(folder: Path) -> Any:
    """The VAE of a diffusers folder, not to be trained."""
    from diffusers import AutoencoderKL

    vae = AutoencoderKL.from_pretrained(folder, torch_dtype=torch.float32, local_files_only=True)
    return vae.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def start_weights(folder: Path, unet: nn.Module, text: nn.Module) -> None:
    """Loads U-Net and text encoder of a diffusers folder (fp16) into fresh modules."""
    from safetensors.torch import load_file

    weights = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
    unet.load_state_dict({k: v.float() for k, v in weights.items()})
    weights = {k: v.float() for k, v in load_file(folder / "text_encoder" / "model.safetensors").items()}
    if not any(k.startswith("text_model.") for k in text.state_dict()):
        weights = {k.removeprefix("text_model."): v for k, v in weights.items()}
    missing, unexpected = text.load_state_dict(weights, strict=False)
    if unexpected or not all(k.endswith("position_ids") for k in missing):
        raise ValueError(f"the text encoder of {folder} does not fit: {[*unexpected, *missing][:3]}")


def to_float(pixels: Tensor) -> Tensor:
    """[n, H, W, 3] in 0..255 as [n, 3, H, W] in -1..1."""
    x = pixels.float().permute(0, 3, 1, 2) / 127.5 - 1
    return x.contiguous(memory_format=torch.channels_last)


def moments(vae: Any, x: Tensor) -> Tensor:
    """[n, 8, h, w]: mean and logarithm of the variance of the latents of [n, 3, 8 h, 8 w]."""
    d = vae.encode(x).latent_dist
    return torch.cat([d.mean, d.logvar], 1)


def sampled(moments: Tensor) -> Tensor:
    """Latents [n, 4, h, w] at the scale that a U-Net sees."""
    mean, logvar = moments.chunk(2, 1)
    return (mean + (0.5 * logvar).exp() * torch.randn_like(mean)) * SCALE
