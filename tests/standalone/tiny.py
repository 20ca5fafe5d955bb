"""Tiny random models of each kind, built from nothing but the shipped tokenizer."""

from functools import lru_cache

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from tiled_diffusion.standalone.model import Model, checkpoint_folder, model_from_pipeline


def _text(cls, width):
    tokenizer = CLIPTokenizer.from_pretrained(checkpoint_folder() / "tokenizer")
    size = len(tokenizer)
    config = CLIPTextConfig(
        hidden_size=width, intermediate_size=2 * width, num_hidden_layers=2, num_attention_heads=2, vocab_size=size,
        projection_dim=width, bos_token_id=size - 2, eos_token_id=size - 1, pad_token_id=size - 1,
    )  # fmt: skip
    return tokenizer, cls(config).eval()


@lru_cache
def pipeline(kind):
    """A pipeline of random weights: sd1 (three halvings), sd2 (v prediction) or sdxl (two halvings)."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        cross = {"sd1": 32, "sd2": 1024, "sdxl": 64}[kind]
        levels = 3 if kind == "sdxl" else 4
        unet = UNet2DConditionModel(
            sample_size=8, layers_per_block=1, block_out_channels=(32,) * levels, norm_num_groups=8, attention_head_dim=8,
            cross_attention_dim=cross, down_block_types=("DownBlock2D",) * (levels - 1) + ("CrossAttnDownBlock2D",),
            up_block_types=("CrossAttnUpBlock2D",) + ("UpBlock2D",) * (levels - 1),
            **({"addition_embed_type": "text_time", "addition_time_embed_dim": 8,
                "projection_class_embeddings_input_dim": 32 + 6 * 8} if kind == "sdxl" else {}),
        ).eval()  # fmt: skip
        vae = AutoencoderKL(
            block_out_channels=(16,) * 4, down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4, norm_num_groups=4, latent_channels=4, layers_per_block=1,
        ).eval()  # fmt: skip
        scheduler = DDIMScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, clip_sample=False,
            prediction_type="v_prediction" if kind == "sd2" else "epsilon",
        )  # fmt: skip
        if kind == "sdxl":
            tokenizer, text = _text(CLIPTextModel, 32)
            tokenizer_2, text_2 = _text(CLIPTextModelWithProjection, 32)
            return StableDiffusionXLPipeline(vae, text, text_2, tokenizer, tokenizer_2, unet, scheduler)
        tokenizer, text = _text(CLIPTextModel, cross)
        return StableDiffusionPipeline(
            vae,
            text,
            tokenizer,
            unet,
            scheduler,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )


@lru_cache
def tiny_model(kind) -> Model:
    return model_from_pipeline(pipeline(kind), f"tiny-{kind}", torch.device("cpu"), torch.float32)
