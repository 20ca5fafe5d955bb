"""Writes a pipeline's weights as one CompVis-layout file with its .yaml and tokenizer, as WebUIs on ldm load them.

ldm's autoencoder fixes 32 groups in every GroupNorm.  A VAE with fewer groups is widened exactly: each group becomes
several equal groups, and whatever reads a widened tensor reads the first copy alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from tiled_diffusion.settings.files import write_whole

NAME = "tiny-landscapes"
LDM_GROUPS = 32

State = dict[str, Tensor]

_RESNET_NAMES = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_VAE_ATTENTION_NAMES = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_CLIP_CONFIG = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "max_position_embeddings", "hidden_act", "projection_dim", "layer_norm_eps", "bos_token_id", "eos_token_id",
    "pad_token_id",
)  # fmt: skip
_CLIP_FILES = ("vocab.json", "merges.txt", "special_tokens_map.json", "tokenizer_config.json", "config.json")

_YAML = """\
# {name}: a small Stable Diffusion 1 model for tiles of 128x128 pixels (96 to 256), sizes in multiples of 16.
# Put {name}.safetensors, {name}.yaml and the folder clip/ into models/Stable-diffusion/ of the WebUI.
# clip/ is looked for relative to the WebUI's folder; TINY_LANDSCAPES_CLIP in the environment names another place.
model:
  base_learning_rate: 1.0e-04
  target: ldm.models.diffusion.ddpm.LatentDiffusion
  params:
    linear_start: {beta_start}
    linear_end: {beta_end}
    num_timesteps_cond: 1
    log_every_t: 200
    timesteps: {timesteps}
    first_stage_key: "jpg"
    cond_stage_key: "txt"
    image_size: 16
    channels: {latent_channels}
    cond_stage_trainable: false
    conditioning_key: crossattn
    monitor: val/loss_simple_ema
    scale_factor: {scale}
    use_ema: False

    unet_config:
      target: ldm.modules.diffusionmodules.openaimodel.UNetModel
      params:
        image_size: 16
        in_channels: {latent_channels}
        out_channels: {latent_channels}
        model_channels: {unet_channels}
        attention_resolutions: {attention}
        num_res_blocks: {unet_blocks}
        channel_mult: {unet_mult}
        num_heads: {heads}
        use_spatial_transformer: True
        transformer_depth: 1
        context_dim: {context}
        use_checkpoint: False
        legacy: False

    first_stage_config:
      target: ldm.models.autoencoder.AutoencoderKL
      params:
        embed_dim: {latent_channels}
        monitor: val/rec_loss
        ddconfig:
          double_z: true
          z_channels: {latent_channels}
          resolution: 128
          in_channels: 3
          out_ch: 3
          ch: {vae_channels}
          ch_mult: {vae_mult}
          num_res_blocks: {vae_blocks}
          attn_resolutions: []
          dropout: 0.0
        lossconfig:
          target: torch.nn.Identity

    cond_stage_config:
      target: ldm.modules.encoders.modules.FrozenCLIPEmbedder
      params:
        version: ${{oc.env:TINY_LANDSCAPES_CLIP,models/Stable-diffusion/clip}}
        device: cpu
"""


def write_ldm_checkpoint(pipeline_or_folder: Any, out_dir: Path) -> list[Path]:
    """Writes NAME.safetensors (half precision), NAME.yaml and clip/ into a folder.

    Args:
        pipeline_or_folder: a StableDiffusionPipeline of SD1 layout, or the diffusers folder of one.
        out_dir: where to write; made if it is not there.

    Returns:
        The files written: weights, configuration, then those of clip/.
    """
    pipeline = _load(pipeline_or_folder)
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    vae = widen_vae(pipeline.vae)
    weights_by_name = unet_to_ldm(pipeline.unet) | vae_to_ldm(vae) | text_to_ldm(pipeline.text_encoder)
    state = {name: value.detach().cpu().half().contiguous() for name, value in weights_by_name.items()}
    positions = torch.arange(pipeline.text_encoder.config.max_position_embeddings)[None].clone()
    state["cond_stage_model.transformer.text_model.embeddings.position_ids"] = positions
    weights = out_dir / f"{NAME}.safetensors"
    write_whole(weights, save(state, metadata={"format": "pt", "modelspec.title": NAME}))
    config = out_dir / f"{NAME}.yaml"
    config.write_text(_yaml(pipeline, vae), encoding="utf-8")
    return [weights, config, *_write_clip(pipeline, out_dir / "clip")]


def widen_vae(vae: Any) -> Any:
    """An AutoencoderKL with 32 groups in every norm that computes what `vae` computes; `vae` itself if it has 32."""
    groups = vae.config.norm_num_groups
    if groups == LDM_GROUPS:
        return vae
    if LDM_GROUPS % groups:
        raise ValueError(f"{groups} groups cannot be widened to {LDM_GROUPS}")
    copies = LDM_GROUPS // groups
    config = dict(vae.config)
    config["norm_num_groups"] = LDM_GROUPS
    config["block_out_channels"] = [c * copies for c in vae.config.block_out_channels]
    wide = type(vae).from_config(config)
    state = {k: v.detach().float().cpu() for k, v in vae.state_dict().items()}
    wide.load_state_dict({k: _widen(k, v, groups, copies) for k, v in state.items()})
    return wide.eval()


def _widen(key: str, value: Tensor, groups: int, copies: int) -> Tensor:
    """The widened tensor: its outputs come in `copies`, of its inputs only the first copy is read."""
    if key.startswith(("quant_conv", "post_quant_conv")):
        return value  # latents keep their channels
    if ".to_q." in key:  # scores sum over all copies, while their scale is 1 / sqrt(width)
        value = value * copies**-0.5
    if ".conv_out." not in key:
        parts = value.reshape(groups, 1, -1, *value.shape[1:])
        value = parts.expand(-1, copies, *parts.shape[2:]).reshape(copies * value.shape[0], *value.shape[1:])
    if value.ndim > 1 and ".conv_in." not in key:
        parts = value.reshape(value.shape[0], groups, -1, *value.shape[2:])
        spread = parts.new_zeros(value.shape[0], groups, copies, *parts.shape[2:])
        spread[:, :, 0] = parts
        value = spread.reshape(value.shape[0], copies * value.shape[1], *value.shape[2:])
    return value


def unet_to_ldm(unet: Any) -> State:
    """The state of a UNet2DConditionModel under the names of ldm's openaimodel.UNetModel."""
    state: State = dict(unet.state_dict())
    out: State = {}
    for source, target in _unet_places(unet.config):
        for key in [k for k in state if k.startswith(source + ".")]:
            out[f"model.diffusion_model.{target}{key[len(source) :]}"] = state.pop(key)
    if state:
        raise ValueError(f"no place in ldm's layout for {sorted(state)[:5]}")
    return out


def _unet_places(config: Any) -> Iterator[tuple[str, str]]:
    """Where every module of the U-Net goes, as (diffusers' name, ldm's name)."""
    layers, levels = config.layers_per_block, len(config.block_out_channels)
    yield from (("time_embedding.linear_1", "time_embed.0"), ("time_embedding.linear_2", "time_embed.2"))
    yield from (("conv_in", "input_blocks.0.0"), ("conv_norm_out", "out.0"), ("conv_out", "out.2"))
    resnets = [("mid_block.resnets.0", "middle_block.0"), ("mid_block.resnets.1", "middle_block.2")]
    yield "mid_block.attentions.0", "middle_block.1"
    for level in range(levels):
        first = 1 + level * (layers + 1)
        for j in range(layers):
            resnets.append((f"down_blocks.{level}.resnets.{j}", f"input_blocks.{first + j}.0"))
            yield f"down_blocks.{level}.attentions.{j}", f"input_blocks.{first + j}.1"
        yield f"down_blocks.{level}.downsamplers.0.conv", f"input_blocks.{first + layers}.0.op"
        attends = config.up_block_types[level].startswith("CrossAttn")
        first = level * (layers + 1)
        for j in range(layers + 1):
            resnets.append((f"up_blocks.{level}.resnets.{j}", f"output_blocks.{first + j}.0"))
            yield f"up_blocks.{level}.attentions.{j}", f"output_blocks.{first + j}.1"
        yield f"up_blocks.{level}.upsamplers.0.conv", f"output_blocks.{first + layers}.{2 if attends else 1}.conv"
    for source, target in resnets:
        for a, b in _RESNET_NAMES.items():
            yield f"{source}.{a}", f"{target}.{b}"


def vae_to_ldm(vae: Any) -> State:
    """The state of an AutoencoderKL under the names of ldm's autoencoder."""
    out: State = {}
    levels = len(vae.config.block_out_channels)
    renames = {"mid_block.resnets.0": "mid.block_1", "mid_block.resnets.1": "mid.block_2", "conv_norm_out": "norm_out"}
    for i in range(levels):
        renames[f"encoder.down_blocks.{i}."] = f"encoder.down.{i}."
        renames[f"decoder.up_blocks.{i}."] = f"decoder.up.{levels - 1 - i}."
    for a, b in _VAE_ATTENTION_NAMES.items():
        renames[f"mid_block.attentions.0.{a}."] = f"mid.attn_1.{b}."
    renames |= {
        ".resnets.": ".block.",
        "downsamplers.0.conv": "downsample.conv",
        "upsamplers.0.conv": "upsample.conv",
        "conv_shortcut": "nin_shortcut",
    }
    for old, value in vae.state_dict().items():
        linear = "mid_block.attentions" in old and value.ndim == 2
        key = old
        for a, b in renames.items():
            key = key.replace(a, b)
        out["first_stage_model." + key] = value[:, :, None, None] if linear else value
    return out


def text_to_ldm(text: Any) -> State:
    """The state of a CLIPTextModel under ldm's names (transformers 5 dropped the `text_model.` prefix)."""
    prefix = "cond_stage_model.transformer.text_model."
    return {prefix + k.removeprefix("text_model."): v for k, v in text.state_dict().items() if "position_ids" not in k}


def _load(pipeline_or_folder: Any) -> Any:
    if not isinstance(pipeline_or_folder, (str, Path)):
        return pipeline_or_folder
    from diffusers import StableDiffusionPipeline

    return StableDiffusionPipeline.from_pretrained(
        str(pipeline_or_folder), torch_dtype=torch.float32, safety_checker=None, local_files_only=True
    )


def _yaml(pipeline: Any, vae: Any) -> str:
    u, v, s = pipeline.unet.config, vae.config, pipeline.scheduler.config
    return _YAML.format(
        name=NAME,
        beta_start=s.beta_start,
        beta_end=s.beta_end,
        timesteps=s.num_train_timesteps,
        latent_channels=v.latent_channels,
        scale=v.scaling_factor,
        unet_channels=u.block_out_channels[0],
        attention=[2**i for i, kind in enumerate(u.down_block_types) if kind.startswith("CrossAttn")],
        unet_blocks=u.layers_per_block,
        unet_mult=[c // u.block_out_channels[0] for c in u.block_out_channels],
        heads=u.attention_head_dim,
        context=u.cross_attention_dim,
        vae_channels=v.block_out_channels[0],
        vae_mult=[c // v.block_out_channels[0] for c in v.block_out_channels],
        vae_blocks=v.layers_per_block,
    )


def _write_clip(pipeline: Any, folder: Path) -> list[Path]:
    """The tokenizer and the text encoder's configuration in the form that every transformers reads."""
    folder.mkdir(exist_ok=True)
    tokenizer = pipeline.tokenizer
    tokenizer.save_pretrained(str(folder))
    fast = folder / "tokenizer.json"
    if not (folder / "vocab.json").exists():  # transformers 5 writes tokenizer.json alone
        model = json.loads(fast.read_text(encoding="utf-8"))["model"]
        merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
        _dump(folder / "vocab.json", model["vocab"])
        (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", encoding="utf-8")
    fast.unlink(missing_ok=True)
    special = {k: str(getattr(tokenizer, k)) for k in ("bos_token", "eos_token", "unk_token", "pad_token")}
    _dump(folder / "special_tokens_map.json", special)
    _dump(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "CLIPTokenizer",
            "model_max_length": pipeline.text_encoder.config.max_position_embeddings,
            "do_lower_case": True,
            "errors": "replace",
            "add_prefix_space": False,
            **special,
        },
    )
    config = {name: getattr(pipeline.text_encoder.config, name) for name in _CLIP_CONFIG}
    _dump(folder / "config.json", {"architectures": ["CLIPTextModel"], "model_type": "clip_text_model", **config})
    return [folder / name for name in _CLIP_FILES]


def _dump(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1), encoding="utf-8")
