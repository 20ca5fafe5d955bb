"""`generate --match`: a batch whose edges fit, and its record."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.standalone.tiny import tiny_model
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.control import Control
from tiled_diffusion.settings.growth import Growth
from tiled_diffusion.settings.match import MatchKind
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.cli import main
from tiled_diffusion.standalone.host import DiffusersHost
from tiled_diffusion.standalone.metadata import read_png
from tiled_diffusion.standalone.sampling import generate, sample_latents

ALL = MatchKind().from_text("match", "1.right=2.left,1.right=1.left,2.right=1.left,2.right=2.left")
PAIR = Request("a house", width=128, height=64, steps=3, cfg_scale=3.0, batch_size=2, seed=4, match=ALL)


@pytest.mark.parametrize("kind", ["sd1", "sd2", "sdxl"])
@pytest.mark.parametrize("sampler", ["DDIM", "Euler a", "DPM++ 2M"])
def test_edges_of_a_group_are_the_same_and_the_rest_is_not(kind, sampler):
    latents = sample_latents(tiny_model(kind), replace(PAIR, sampler=sampler))
    assert torch.isfinite(latents).all()
    assert torch.equal(latents[0, ..., :1], latents[1, ..., :1])
    assert torch.equal(latents[0, ..., -1:], latents[1, ..., -1:])
    assert (latents[0, ..., 4:-4] - latents[1, ..., 4:-4]).abs().max() > 0.1
    alone = sample_latents(tiny_model(kind), replace(PAIR, sampler=sampler, match=None))
    assert (latents - alone).abs().max() > 0.1


def test_pictures_have_their_size():
    pictures = generate(tiny_model("sd1"), PAIR)
    assert [picture.size for picture in pictures] == [(128, 64)] * 2


def test_the_record_draws_the_whole_set_again(tmp_path):
    words = ["generate", "a red house on grass, blue sky", "--size", "128x128", "--steps", "3", "--batch-size", "2",
             "--match", "1.right=2.left,2.right=1.left", "--device", "cpu", "--quiet", "--out"]  # fmt: skip
    assert main([*words, str(tmp_path / "a")]) == 0
    first = sorted((tmp_path / "a").glob("*.png"))
    assert len(first) == 2
    assert main(["generate", str(first[1]), "--device", "cpu", "--quiet", "--out", str(tmp_path / "b")]) == 0
    for a, b in zip(first, sorted((tmp_path / "b").glob("*.png")), strict=True):
        assert np.array_equal(np.asarray(Image.open(a)), np.asarray(Image.open(b)))
    assert read_png(first[1]).batch_size == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--match", "1.right=2.right"], "right with left, bottom with top"),
        (["--match", "1.right=3.left"], "match: got the picture 3, allowed is at most 2, the batch size"),
        (["--match", "1.right=2.left", "--wrap-x"], "match: got seamless axes too"),
    ],
)
def test_wrong_pairs_are_told(words, message, tmp_path, capsys):
    assert main(["generate", "a", "--size", "128x128", "--batch-size", "2", *words, "--out", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err


def test_what_does_not_go_together_is_named():
    control = Control("edges", "x.png")
    with pytest.raises(TiledError, match="match: pictures that fit together know neither ControlNets nor masks"):
        sample_latents(tiny_model("sd1"), replace(PAIR, controls=(control,)), controls=None)
    from tiled_diffusion.recipes.progressive import progressive

    with pytest.raises(TiledError, match="match: pictures that fit together are drawn at once"):
        progressive(DiffusersHost(tiny_model("sd1")), replace(PAIR, growth=Growth()))


def test_every_picture_of_a_group_has_the_same_pixels_at_its_edge():
    """Across the border itself they are one decoded strip, whose neighbouring columns differ as they do elsewhere."""
    for text, turned in (("1.right=2.left,2.right=1.left,1.right=1.left", False), ("1.bottom=2.top,1.bottom=1.top", True)):
        request = replace(PAIR, match=MatchKind().from_text("match", text), width=128, height=128)
        pixels = [np.asarray(picture).astype(int) for picture in generate(tiny_model("sd1"), request)]
        a, b = (p.swapaxes(0, 1) if turned else p for p in pixels)
        assert np.abs(a[:, 0] - b[:, 0]).max() <= 1
        assert np.abs(a[:, 40:-40] - b[:, 40:-40]).mean() > 1
