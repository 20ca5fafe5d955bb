"""Loading models, and saying clearly what cannot be loaded."""

import json
import shutil

import pytest
import torch
from safetensors.torch import save_file

from tests.standalone.tiny import pipeline, tiny_model
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.ldm_export import write_ldm_checkpoint
from tiled_diffusion.standalone.model import checkpoint_folder, load_model, model_from_pipeline
from tiled_diffusion.standalone.sampling import sample_latents


@pytest.mark.parametrize("kind", ["sd1", "sd2", "sdxl"])
def test_a_folder(kind, tmp_path):
    pipeline(kind).save_pretrained(tmp_path)
    model = load_model(tmp_path, device="cpu")
    request = Request("a red house", width=128, height=64, steps=2)
    assert model.kind == kind
    torch.testing.assert_close(sample_latents(model, request), sample_latents(tiny_model(kind), request), atol=1e-4, rtol=0)


def test_the_shipped_checkpoint_from_its_folder_and_from_one_file(tmp_path):
    shipped = load_model(device="cpu")
    assert (shipped.kind, shipped.traits.native, shipped.traits.multiple) == ("sd1", 16, 2)
    [file] = [f for f in write_ldm_checkpoint(checkpoint_folder(), tmp_path) if f.suffix == ".safetensors"]
    single = load_model(file, device="cpu")
    request = Request("a red house on grass, blue sky", width=192, height=128, steps=3)
    a, b = sample_latents(shipped, request), sample_latents(single, request)
    torch.testing.assert_close(a, b, atol=1e-3, rtol=0)


@pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp16"])
def test_precision(dtype):
    model = load_model(device="cpu", dtype=dtype)
    latents = sample_latents(model, Request("a red house", width=192, height=128, steps=2))
    assert model.unet.dtype == {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[dtype]
    assert latents.dtype == torch.float32
    assert torch.isfinite(latents).all()


def _cascade(folder):
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "StableCascadeDecoderPipeline"}))
    return folder


def _sd3_file(folder):
    save_file({"model.diffusion_model.joint_blocks.0.x": torch.zeros(1)}, folder / "sd3.safetensors")
    return folder / "sd3.safetensors"


def _lora_file(folder):
    save_file({"lora_unet_x": torch.zeros(1)}, folder / "lora.safetensors")
    return folder / "lora.safetensors"


def _text_file(folder):
    (folder / "model.safetensors").write_text("no tensors")
    return folder / "model.safetensors"


def _damaged(folder):
    shutil.copytree(checkpoint_folder(), folder / "damaged")
    (folder / "damaged/unet/diffusion_pytorch_model.safetensors").write_bytes(b"broken")
    return folder / "damaged"


def _broken_index(folder):
    (folder / "model_index.json").write_text("[1")
    return folder


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda f: f / "missing", "there is no file or folder"),
        (lambda f: f, "is no diffusers model, it has no model_index.json"),
        (_cascade, "holds a StableCascadeDecoderPipeline; supported are Stable Diffusion 1.x, 2.x and XL"),
        (_broken_index, "model_index.json cannot be read"),
        (_sd3_file, "sd3.safetensors cannot be loaded .* Put a diffusers folder of a model of the same kind beside it"),
        (_lora_file, "is no model of a kind that is known"),
        (_text_file, "is no .safetensors file"),
        (_damaged, "damaged cannot be loaded"),
    ],
)
def test_what_is_no_model_is_told(make, message, tmp_path):
    with pytest.raises(TiledError, match=message) as e:
        load_model(make(tmp_path))
    assert str(e.value).startswith("model")
    assert "\n" not in str(e.value)


def test_a_single_file_without_a_folder_beside_it_says_what_is_missing(tmp_path, monkeypatch):
    def connect(*args):
        raise AssertionError("the network was asked")

    monkeypatch.setattr("socket.socket.connect", connect)
    save_file({"model.diffusion_model.input_blocks.0.0.weight": torch.zeros(4, 4, 3, 3)}, tmp_path / "m.safetensors")
    with pytest.raises(TiledError, match="Put a diffusers folder .* named m,") as e:
        load_model(tmp_path / "m.safetensors", device="cpu")
    assert "the network was asked" not in str(e.value)


def test_a_refiner_is_refused():
    class Pipe:
        text_encoder = None

        class unet:  # noqa: N801
            class config:  # noqa: N801
                in_channels = 4

    with pytest.raises(TiledError, match="this is an SDXL refiner"):
        model_from_pipeline(Pipe(), "x", torch.device("cpu"), torch.float32)


def test_an_image_editing_model_is_refused():
    class Config(dict):
        in_channels = 8

    class Pipe:
        class unet:  # noqa: N801
            config = Config()

    with pytest.raises(TiledError, match="image-editing model of 8 channels"):
        model_from_pipeline(Pipe(), "x", torch.device("cpu"), torch.float32)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "gpu"}, "device: got 'gpu', allowed is auto, cpu, cuda"),
        ({"dtype": "fp8"}, "dtype: got 'fp8', allowed is auto, fp32, fp16, bf16"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(TiledError, match=message):
        load_model(**options)
