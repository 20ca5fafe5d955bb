"""Loads Stable Diffusion 1.x, 2.x, XL and 3.x and Flux models from a diffusers folder or a single .safetensors file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from tiled_diffusion.engine.model import ModelTraits, Prediction
from tiled_diffusion.errors import TiledError

from . import flow

SUPPORTED = "Stable Diffusion 1.x, 2.x and XL models for text-to-image and inpainting, SD 3.x and Flux"
CHANNELS = (4, 9)
"""What U-Nets see: a latent, and those for inpainting a mask and the latent of the masked photo too."""
_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass
class Model:
    """The parts of a loaded model.

    Attributes:
        name: file or folder name.
        kind: "sd1", "sd2", "sdxl", "sd3" or "flux".
        unet: the U-Net, or the transformer in its place.
        vae, text_encoders, tokenizers: diffusers' and transformers' objects, in eval mode.
        scheduler_config: noise schedule and prediction type.
        traits: sizes, factor, channels and prediction, as the engine needs them.
        device, dtype: of U-Net and text encoders.
        pipe: the pipeline whose text encoders are asked, for SD 3 and Flux.
        path: where it was loaded from; None: it was made of a pipeline.
    """

    name: str
    kind: str
    unet: Any
    vae: Any
    text_encoders: tuple[Any, ...]
    tokenizers: tuple[Any, ...]
    scheduler_config: dict[str, Any]
    traits: ModelTraits
    device: torch.device
    dtype: torch.dtype
    pipe: Any = None
    path: Path | None = None

    @property
    def precision(self) -> str:
        """The dtype as `load_model` calls it."""
        return next(name for name, dtype in _DTYPES.items() if dtype == self.dtype)

    @property
    def is_flow(self) -> bool:
        """Whether it is a transformer that predicts a flow's velocity."""
        return self.kind in flow.KINDS

    @property
    def unit_px(self) -> int:
        """Sides of an untiled picture, and of every tile, must be multiples of this many image pixels."""
        return self.traits.unit_px


def checkpoint_folder() -> Path:
    """The folder of the checkpoint that ships with the project."""
    return Path(__file__).parent / "checkpoint"


def load_model(path: str | Path | None = None, device: str = "auto", dtype: str = "auto") -> Model:
    """Loads a model from this machine; nothing is fetched from the network.

    Args:
        path: a diffusers folder, a single .safetensors file, or None for the shipped checkpoint.
        device: "auto" (CUDA, else Apple's MPS, else the CPU), or a torch device.
        dtype: "auto" (fp16, on the CPU fp32), "fp32", "fp16" or "bf16".

    Raises:
        TiledError: there is no such file, it is no model, or a model of a kind that is not supported.
    """
    where = _device(device)
    precision = _dtype(dtype, where)
    source = checkpoint_folder() if path is None else Path(path)
    if source.is_dir():
        pipe = _from_folder(source, precision)
    elif source.is_file():
        pipe = _from_file(source, precision)
    else:
        raise TiledError(f"model: there is no file or folder {source}")
    model = model_from_pipeline(pipe, "tiny-landscapes" if path is None else source.stem, where, precision)
    model.path = source
    return model


def model_from_pipeline(pipe: Any, name: str, device: torch.device, dtype: torch.dtype) -> Model:
    """The model in a diffusers pipeline.

    Raises:
        TiledError: the U-Net is neither one for plain text-to-image nor for inpainting.
    """
    kind = flow.kind_of(pipe)
    if kind is not None:
        return _flow_model(pipe, kind, name, device, dtype)
    unet = pipe.unet
    if unet.config.in_channels not in CHANNELS:
        channels = unet.config.in_channels
        kind = {8: "image-editing", 5: "depth"}.get(channels, "special")
        raise TiledError(f"model {name}: this is an {kind} model of {channels} channels; supported are {SUPPORTED}")
    encoders = [pipe.text_encoder, getattr(pipe, "text_encoder_2", None)]
    if encoders[0] is None:
        raise TiledError(f"model {name}: this is an SDXL refiner; supported are {SUPPORTED}")
    tokenizers = [pipe.tokenizer, getattr(pipe, "tokenizer_2", None)]
    for part in (unet, pipe.vae, *filter(None, encoders)):
        part.to(device).eval().requires_grad_(False)
        if part.dtype != dtype:
            part.to(dtype)
    if dtype == torch.float16 and pipe.vae.config.get("force_upcast"):
        pipe.vae.to(torch.float32)
    return Model(
        name=name,
        kind="sdxl" if encoders[1] is not None else "sd2" if unet.config.cross_attention_dim == 1024 else "sd1",
        unet=unet,
        vae=pipe.vae,
        text_encoders=tuple(e for e in encoders if e is not None),
        tokenizers=tuple(t for t in tokenizers if t is not None),
        scheduler_config=dict(pipe.scheduler.config),
        traits=_traits(unet, pipe.vae, str(pipe.scheduler.config.get("prediction_type", "epsilon"))),
        device=device,
        dtype=dtype,
    )


def _flow_model(pipe: Any, kind: str, name: str, device: torch.device, dtype: torch.dtype) -> Model:
    encoders = [getattr(pipe, f"text_encoder{number}", None) for number in ("", "_2", "_3")]
    tokenizers = [getattr(pipe, f"tokenizer{number}", None) for number in ("", "_2", "_3")]
    for part in (pipe.transformer, pipe.vae, *filter(None, encoders)):
        part.to(device).eval().requires_grad_(False)
        if part.dtype != dtype:
            part.to(dtype)
    return Model(
        name=name, kind=kind, unet=pipe.transformer, vae=pipe.vae,
        text_encoders=tuple(e for e in encoders if e is not None),
        tokenizers=tuple(t for t in tokenizers if t is not None),
        scheduler_config=dict(pipe.scheduler.config), traits=flow.traits_of(pipe), device=device, dtype=dtype,
        pipe=pipe,
    )  # fmt: skip


_PREDICTIONS: dict[str, Prediction] = {"epsilon": "eps", "v_prediction": "v", "sample": "x0"}


def _traits(unet: Any, vae: Any, prediction_type: str) -> ModelTraits:
    """Each level of a U-Net but the last halves its input, and each of a VAE's encoder."""
    native = unet.config.sample_size or 64
    return ModelTraits(
        native=min(native) if isinstance(native, (list, tuple)) else native,
        multiple=2 ** (len(unet.config.block_out_channels) - 1),
        factor=2 ** (len(vae.config.block_out_channels) - 1),
        channels=vae.config.latent_channels,
        prediction=_PREDICTIONS[prediction_type],
        scaling=vae.config.scaling_factor,
        shift=vae.config.get("shift_factor") or 0.0,
    )


def free_bytes(device: torch.device) -> int | None:
    """Free memory of a graphics card, with what PyTorch holds and does not use; None for other devices."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return int(free) + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def _device(name: str) -> torch.device:
    if name == "auto":
        mps = torch.backends.mps.is_available()
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if mps else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as e:
        raise TiledError(f"device: got {name!r}, allowed is auto, cpu, cuda, cuda:0 or mps") from e
    if device.type == "cuda" and not torch.cuda.is_available():
        raise TiledError(f"device: got {name!r}, but PyTorch sees no CUDA device here")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise TiledError(f"device: got {name!r}, but PyTorch sees no MPS device here")
    return device


def _dtype(name: str, device: torch.device) -> torch.dtype:
    if name == "auto":
        return torch.float32 if device.type == "cpu" else torch.float16
    if name not in _DTYPES:
        raise TiledError(f"dtype: got {name!r}, allowed is auto, {', '.join(_DTYPES)}")
    return _DTYPES[name]


def _from_folder(folder: Path, dtype: torch.dtype) -> Any:
    from diffusers import FluxPipeline, StableDiffusion3Pipeline, StableDiffusionPipeline, StableDiffusionXLPipeline

    index = folder / "model_index.json"
    if not index.is_file():
        raise TiledError(f"model: {folder} is no diffusers model, it has no model_index.json")
    try:
        class_name = str(json.loads(index.read_text(encoding="utf-8")).get("_class_name", "?"))
    except (ValueError, AttributeError, OSError) as e:
        raise TiledError(f"model: {index} cannot be read ({e})") from e
    plain = {"StableDiffusion3Pipeline": StableDiffusion3Pipeline, "FluxPipeline": FluxPipeline}
    pipeline: Any
    options: dict[str, Any] = {}
    if class_name in plain:
        pipeline = plain[class_name]
        if class_name == "StableDiffusion3Pipeline":  # its third text encoder, T5, may be left away
            options = {name: None for name in ("text_encoder_3", "tokenizer_3") if not (folder / name).is_dir()}
    elif class_name.startswith("StableDiffusionXL"):
        pipeline = StableDiffusionXLPipeline
    elif class_name.startswith("StableDiffusion") and "3" not in class_name:
        pipeline = StableDiffusionPipeline
        options = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    else:
        raise TiledError(f"model: {folder} holds a {class_name}; supported are {SUPPORTED}")
    try:
        return pipeline.from_pretrained(folder, dtype=dtype, local_files_only=True, **options)
    except (OSError, ValueError, RuntimeError, SafetensorError) as e:
        raise TiledError(f"model: {folder} cannot be loaded ({_first_line(e)})") from e


def _from_file(path: Path, dtype: torch.dtype) -> Any:
    """A single file in CompVis layout.

    The tokenizer and the shapes come from a diffusers folder of the same name beside it, if there is one; for this
    project's own checkpoint from the shipped folder; else from what diffusers finds in its cache. Nothing is fetched.
    """
    keys = _keys(path)
    pipeline, options = _pipeline_of(path, keys)
    config = path.with_suffix("")
    embedding = keys.get("cond_stage_model.transformer.text_model.embeddings.token_embedding.weight")
    if config.is_dir():
        options["config"] = str(config)
    elif embedding is not None and embedding[1] == 128:
        options["config"] = str(checkpoint_folder())
    if path.with_suffix(".yaml").is_file():
        options["original_config"] = str(path.with_suffix(".yaml"))
    try:
        return pipeline.from_single_file(str(path), dtype=dtype, local_files_only=True, **options)
    except Exception as e:
        raise TiledError(
            f"model: {path} cannot be loaded ({_first_line(e)}). Put a diffusers folder of a model of the same kind "
            f"beside it, named {config.name}, for its tokenizer and shapes"
        ) from e


def _pipeline_of(path: Path, keys: Iterable[str]) -> tuple[Any, dict[str, Any]]:
    """The pipeline's class for a file with tensors of these names, and how it is made."""
    from diffusers import FluxPipeline, StableDiffusion3Pipeline, StableDiffusionPipeline, StableDiffusionXLPipeline

    if any(".joint_blocks." in k or k.startswith("joint_blocks.") for k in keys):
        return StableDiffusion3Pipeline, {}
    if any(".double_blocks." in k or k.startswith("double_blocks.") for k in keys):
        return FluxPipeline, {}
    if not any(k.startswith("model.diffusion_model.input_blocks.") for k in keys):
        raise TiledError(f"model: {path} is no model of a kind that is known; supported are {SUPPORTED}")
    if any(k.startswith("conditioner.embedders.1.") for k in keys):
        return StableDiffusionXLPipeline, {}
    return StableDiffusionPipeline, {"safety_checker": None, "feature_extractor": None}


def _keys(path: Path) -> dict[str, list[int]]:
    """Names and shapes of the tensors in a .safetensors file."""
    try:
        with safe_open(path, framework="pt") as f:
            return {k: f.get_slice(k).get_shape() for k in f.keys()}  # noqa: SIM118 the file is no dict
    except (SafetensorError, OSError) as e:
        raise TiledError(f"model: {path} is no .safetensors file ({_first_line(e)})") from e


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
