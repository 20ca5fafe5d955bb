"""The single file for ldm-based WebUIs computes what the diffusers folder computes."""

import os
import stat
from pathlib import Path

import pytest
import torch
import yaml
from diffusers import AutoencoderKL, StableDiffusionPipeline
from safetensors.torch import load_file
from transformers import CLIPTextModel, CLIPTokenizer

from tiled_diffusion import standalone
from tiled_diffusion.standalone.ldm_export import NAME, unet_to_ldm, widen_vae, write_ldm_checkpoint

CHECKPOINT = Path(standalone.__file__).parent / "checkpoint"
PROMPT = "a red house on grass, blue sky"


def random_vae(groups=8, layers=1):
    torch.manual_seed(0)
    vae = AutoencoderKL(
        down_block_types=["DownEncoderBlock2D"] * 3, up_block_types=["UpDecoderBlock2D"] * 3,
        block_out_channels=[16, 32, 48], layers_per_block=layers, latent_channels=4, norm_num_groups=groups,
    ).eval()
    with torch.no_grad():
        for name, p in vae.named_parameters():  # norms that do something, attention scores that matter
            p.add_(torch.randn_like(p) * (.5 if "norm" in name else .3 if "to_" in name else .02))
    return vae


def worst_difference(a, b, size=48):
    x = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        ma, mb = a.encode(x).latent_dist.parameters, b.encode(x).latent_dist.parameters
        z = ma[:, :4]
        return max(float((ma - mb).abs().max()), float((a.decode(z).sample - b.decode(z).sample).abs().max()))


@pytest.fixture(scope="module")
def pipeline():
    pipe = StableDiffusionPipeline.from_pretrained(
        CHECKPOINT, torch_dtype=torch.float32, safety_checker=None, local_files_only=True
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    out = tmp_path_factory.mktemp("ldm")
    return out, write_ldm_checkpoint(CHECKPOINT, out)


@pytest.mark.parametrize(("groups", "layers"), [(8, 1), (16, 1), (4, 2)])
def test_a_widened_vae_is_the_same_function(groups, layers):
    vae = random_vae(groups, layers)
    wide = widen_vae(vae)
    assert wide.config.norm_num_groups == 32
    assert wide.config.block_out_channels[0] == 16 * 32 // groups
    assert all(m.num_groups == 32 for m in wide.modules() if isinstance(m, torch.nn.GroupNorm))
    assert worst_difference(vae, wide) <= 1e-4


def test_the_attention_scale_is_compensated():
    vae = random_vae()
    wide = widen_vae(vae)
    with torch.no_grad():
        wide.encoder.mid_block.attentions[0].to_q.weight *= 2
    assert worst_difference(vae, wide) > 1e-4


def test_a_vae_of_32_groups_is_left_alone():
    vae = AutoencoderKL(block_out_channels=[32], norm_num_groups=32)
    assert widen_vae(vae) is vae


def test_groups_that_do_not_divide_32_are_refused():
    with pytest.raises(ValueError, match="12 groups"):
        widen_vae(AutoencoderKL(block_out_channels=[24], norm_num_groups=12))


def test_the_checkpoints_vae_is_widened_exactly(pipeline):
    assert worst_difference(pipeline.vae, widen_vae(pipeline.vae), 128) <= 1e-4


def test_it_says_what_it_wrote(written):
    out, files = written
    assert set(files) == {p for p in out.rglob("*") if p.is_file()}
    assert [f.name for f in files[:2]] == [f"{NAME}.safetensors", f"{NAME}.yaml"]
    assert {"vocab.json", "merges.txt", "config.json"} <= {f.name for f in files if f.parent.name == "clip"}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_others_may_read_what_it_wrote(tmp_path):
    before = os.umask(0o022)
    try:
        files = write_ldm_checkpoint(CHECKPOINT, tmp_path)
    finally:
        os.umask(before)
    assert {oct(stat.S_IMODE(f.stat().st_mode)) for f in files} == {"0o644"}


def test_names_are_those_of_ldm(written):
    out, _ = written
    state = load_file(out / f"{NAME}.safetensors")
    for key in (
        "model.diffusion_model.input_blocks.0.0.weight",
        "model.diffusion_model.output_blocks.3.0.in_layers.0.weight",
        "model.diffusion_model.out.2.weight",
        "first_stage_model.encoder.down.0.downsample.conv.weight",
        "first_stage_model.decoder.up.3.upsample.conv.weight",
        "first_stage_model.decoder.mid.attn_1.q.weight",
        "first_stage_model.post_quant_conv.bias",
        "cond_stage_model.transformer.text_model.final_layer_norm.bias",
        "cond_stage_model.transformer.text_model.embeddings.position_ids",
    ):
        assert key in state
    assert state["first_stage_model.decoder.mid.attn_1.q.weight"].ndim == 4


def test_the_yaml_describes_the_weights(written):
    out, _ = written
    params = yaml.safe_load((out / f"{NAME}.yaml").read_text())["model"]["params"]
    state = load_file(out / f"{NAME}.safetensors")
    vae = params["first_stage_config"]["params"]["ddconfig"]
    unet = params["unet_config"]["params"]
    assert params["scale_factor"] == 0.18215
    assert vae["ch"] % 32 == 0
    assert state["first_stage_model.encoder.conv_in.weight"].shape[0] == vae["ch"]
    assert state["first_stage_model.decoder.conv_in.weight"].shape[0] == vae["ch"] * vae["ch_mult"][-1]
    assert state["model.diffusion_model.input_blocks.0.0.weight"].shape[0] == unet["model_channels"]


def test_clip_folder_tokenizes_like_the_checkpoint(written, pipeline):
    out, _ = written
    tokenizer = CLIPTokenizer.from_pretrained(out / "clip")
    for text in (PROMPT, "Two Boats, unheard-of words!", ""):
        assert tokenizer(text)["input_ids"] == pipeline.tokenizer(text)["input_ids"]


def test_clip_config_fits_the_text_weights(written, pipeline):
    out, _ = written
    model = CLIPTextModel(CLIPTextModel.config_class.from_pretrained(out / "clip"))
    assert {k: v.shape for k, v in model.state_dict().items()} == {
        k: v.shape for k, v in pipeline.text_encoder.state_dict().items()
    }


def test_a_pipeline_object_gives_the_same_weights(written, pipeline, tmp_path):
    out, _ = written
    files = write_ldm_checkpoint(pipeline, tmp_path / "new" / "folder")
    a, b = load_file(files[0]), load_file(out / f"{NAME}.safetensors")
    assert a.keys() == b.keys()
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_weights_without_a_place_are_refused(pipeline):
    class Foreign:
        config = pipeline.unet.config

        def state_dict(self):
            return {**pipeline.unet.state_dict(), "surprise.weight": torch.zeros(1)}

    with pytest.raises(ValueError, match="surprise"):
        unet_to_ldm(Foreign())


def test_diffusers_draws_the_same_picture_from_the_single_file(written, pipeline):
    out, _ = written
    single = StableDiffusionPipeline.from_single_file(
        str(out / f"{NAME}.safetensors"), original_config=str(out / f"{NAME}.yaml"), config=str(CHECKPOINT),
        torch_dtype=torch.float32, safety_checker=None, local_files_only=True,
    )
    single.set_progress_bar_config(disable=True)
    single.scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config)
    assert worst_difference(single.vae, pipeline.vae, 64) <= 1e-3

    def draw(pipe):
        return pipe(PROMPT, num_inference_steps=3, guidance_scale=4, width=64, height=64, output_type="pt",
                    generator=torch.Generator().manual_seed(0)).images

    torch.testing.assert_close(draw(single), draw(pipeline), atol=2e-3, rtol=0)
