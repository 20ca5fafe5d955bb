"""What the parts run on: a card with models of full size, or a processor with models of the same shape in small."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from bench.memory import peak_bytes
from tiled_diffusion.standalone.model import Model, checkpoint_folder, model_from_pipeline

MIB = 2**20

UNETS: dict[str, dict[str, Any]] = {
    "sd1": {
        "sample_size": 64,
        "block_out_channels": (320, 640, 1280, 1280),
        "attention_head_dim": 8,
        "cross_attention_dim": 768,
    },
    "sdxl": {
        "sample_size": 128,
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "attention_head_dim": (5, 10, 20),
        "transformer_layers_per_block": (1, 2, 10),
        "cross_attention_dim": 2048,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 1280 + 6 * 256,
    },
}
"""What differs from diffusers' defaults, which are Stable Diffusion 1.5's; SDXL: arXiv 2307.01952, table 1."""
SMALL: dict[str, dict[str, Any]] = {
    "sd1": {"sample_size": 8, "block_out_channels": (32, 32, 64, 64), "cross_attention_dim": 64},
    "sdxl": {
        "sample_size": 8,
        "block_out_channels": (32, 32, 64),
        "attention_head_dim": (1, 2, 4),
        "transformer_layers_per_block": (1, 1, 2),
        "cross_attention_dim": 128,
        "projection_class_embeddings_input_dim": 64 + 6 * 256,
    },
}
"""The same networks with a tenth of the channels, for a processor."""
TEXT_WIDTHS = {("sd1", False): (768,), ("sdxl", False): (768, 1280), ("sd1", True): (64,), ("sdxl", True): (64, 64)}
VAE_CHANNELS = {False: (128, 256, 512, 512), True: (32, 32, 64, 64)}
SCALINGS = {"sd1": 0.18215, "sdxl": 0.13025}


@dataclass(frozen=True)
class Stage:
    """Where the parts run.

    Attributes:
        device: the card, or the processor.
    """

    device: torch.device

    @classmethod
    def here(cls) -> Stage:
        """The card, if there is one."""
        return cls(torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu"))

    @property
    def small(self) -> bool:
        """Whether there is no card."""
        return self.device.type == "cpu"

    @property
    def dtypes(self) -> dict[str, torch.dtype]:
        """Number types to compare; fp16 is slow on a processor."""
        bf16 = {"bf16": torch.bfloat16}
        return bf16 if self.small else {"fp16": torch.float16, **bf16}

    def told(self) -> dict[str, Any]:
        """What the figures were measured on."""
        out: dict[str, Any] = {"device": self.device.type, "torch": torch.__version__, "small": self.small}
        if not self.small:
            card = torch.cuda.get_device_properties(self.device)
            free, total = torch.cuda.mem_get_info(self.device)
            out |= {"card": card.name, "memory_gib": total / 2**30, "free_gib": free / 2**30}
        return out

    def wait(self) -> None:
        """Until all that was asked of the card is done."""
        if not self.small:
            torch.cuda.synchronize(self.device)

    def seconds(self, run: Callable[[], Any]) -> float:
        """Wall time of a call, the card's work included."""
        self.wait()
        start = time.perf_counter()
        run()
        self.wait()
        return time.perf_counter() - start

    def best(self, run: Callable[[], Any], times: int = 3) -> float:
        """The least of several wall times, after one that does not count; in small, where none matters, the first."""
        first = self.seconds(run)
        if self.small:
            return first
        return min(self.seconds(run) for _ in range(times))

    def peak(self, run: Callable[[], Any]) -> int:
        """Most bytes that a call had beyond what was there before: of the card's allocator, or of counted tensors."""
        self.clear()
        if self.small:
            return peak_bytes(run)
        before = torch.cuda.memory_allocated(self.device)
        torch.cuda.reset_peak_memory_stats(self.device)
        run()
        self.wait()
        return torch.cuda.max_memory_allocated(self.device) - before

    def clear(self) -> None:
        """Gives back what nobody uses."""
        gc.collect()
        if not self.small:
            torch.cuda.empty_cache()

    def noise(self, *shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
        """Standard normal numbers on the device."""
        generator = torch.Generator(self.device).manual_seed(seed)
        return torch.randn(shape, generator=generator, device=self.device).to(dtype)

    def unet(self, kind: str, dtype: torch.dtype) -> Any:
        """A U-Net of this shape, random weights."""
        from diffusers import UNet2DConditionModel

        return filled(lambda: UNet2DConditionModel(**unet_config(kind, self.small)), self.device, dtype)

    def vae(self, kind: str, dtype: torch.dtype) -> Any:
        """The VAE of Stable Diffusion, random weights."""
        from diffusers import AutoencoderKL

        def made() -> Any:
            return AutoencoderKL(
                block_out_channels=VAE_CHANNELS[self.small], layers_per_block=1 if self.small else 2,
                scaling_factor=SCALINGS[kind],
                down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
            )  # fmt: skip

        return filled(made, self.device, dtype)

    def model(self, kind: str, dtype: torch.dtype) -> Model:
        """A whole model: text encoders have the widths of the real ones and two layers."""
        return _model(self, kind, dtype)


def unet_config(kind: str, small: bool) -> dict[str, Any]:
    """Arguments of UNet2DConditionModel."""
    return UNETS[kind] | (SMALL[kind] if small else {})


def filled(make: Callable[[], nn.Module], device: torch.device, dtype: torch.dtype) -> Any:
    """A network made on the device: norms do nothing, and every other weight is drawn so that numbers stay finite."""
    with torch.device("meta"):
        net = make()
    net = net.to(dtype).to_empty(device=device).eval().requires_grad_(False)
    generator = torch.Generator(device).manual_seed(0)
    for name, weight in net.named_parameters():
        if weight.dim() >= 2:
            fan_in = weight[0].numel()
            weight.copy_(torch.randn(weight.shape, generator=generator, device=device) * (0.5 / fan_in**0.5))
        else:
            weight.fill_(1.0 if name.endswith("weight") else 0.0)
    return net


def _encoder(width: int, projected: bool, device: torch.device, dtype: torch.dtype) -> tuple[Any, Any]:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(checkpoint_folder() / "tokenizer")
    size = len(tokenizer)
    config = CLIPTextConfig(
        hidden_size=width, intermediate_size=width, num_hidden_layers=2, num_attention_heads=width // 64,
        vocab_size=size, projection_dim=width, bos_token_id=size - 2, eos_token_id=size - 1, pad_token_id=size - 1,
    )  # fmt: skip
    encoder = (CLIPTextModelWithProjection if projected else CLIPTextModel)(config)
    return tokenizer, encoder.to(device, dtype).eval()


@lru_cache(maxsize=1)
def _model(stage: Stage, kind: str, dtype: torch.dtype) -> Model:
    from diffusers import DDIMScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline

    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, clip_sample=False
    )
    texts = [
        _encoder(width, number > 0, stage.device, dtype) for number, width in enumerate(TEXT_WIDTHS[kind, stage.small])
    ]
    unet, vae = stage.unet(kind, dtype), stage.vae(kind, dtype)
    if kind == "sdxl":
        (first, one), (second, two) = texts
        pipe: Any = StableDiffusionXLPipeline(vae, one, two, first, second, unet, scheduler)
    else:
        [(tokenizer, text)] = texts
        pipe = StableDiffusionPipeline(
            vae, text, tokenizer, unet, scheduler, None, None, requires_safety_checker=False
        )
    return model_from_pipeline(pipe, f"random-{kind}", stage.device, dtype)
