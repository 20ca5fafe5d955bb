"""Tiny random models of each kind, built from nothing but the shipped tokenizer."""

from functools import lru_cache

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
)

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


@lru_cache
def flow_pipeline(kind):
    """A pipeline of random weights that predicts velocities: sd3, flux (guidance in the model) or schnell (none)."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vae = AutoencoderKL(
            block_out_channels=(16,) * 4, down_block_types=("DownEncoderBlock2D",) * 4, latent_channels=4,
            up_block_types=("UpDecoderBlock2D",) * 4, norm_num_groups=4, layers_per_block=1, scaling_factor=1.5,
            shift_factor=0.0609, use_quant_conv=False, use_post_quant_conv=False,
        ).eval()  # fmt: skip
        if kind == "sd3":
            tokenizer, text = _text(CLIPTextModelWithProjection, 32)
            transformer = SD3Transformer2DModel(
                sample_size=16, patch_size=2, in_channels=4, out_channels=4, num_layers=2, attention_head_dim=8,
                num_attention_heads=4, joint_attention_dim=64, caption_projection_dim=32, pooled_projection_dim=64,
                pos_embed_max_size=24,
            ).eval()  # fmt: skip
            scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
            return StableDiffusion3Pipeline(
                transformer, scheduler, vae, text, tokenizer, _text(CLIPTextModelWithProjection, 32)[1], tokenizer,
                None, None,
            )  # fmt: skip
        tokenizer, text = _text(CLIPTextModel, 32)
        config = T5Config(vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
        transformer = FluxTransformer2DModel(
            patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
            num_attention_heads=2, joint_attention_dim=32, pooled_projection_dim=32, axes_dims_rope=(4, 4, 8),
            guidance_embeds=kind == "flux",
        ).eval()  # fmt: skip
        scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=kind == "flux", shift=3.0 if kind == "flux" else 1.0)
        return FluxPipeline(scheduler, vae, text, tokenizer, T5EncoderModel(config).eval(), tokenizer, transformer)


@lru_cache
def flow_model(kind) -> Model:
    return model_from_pipeline(flow_pipeline(kind), f"tiny-{kind}", torch.device("cpu"), torch.float32)
