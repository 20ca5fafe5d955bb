"""The canvas of Mixture of Diffusers as JSON: what it becomes, and how a wrong one fails."""

import json

import pytest

from tiled_diffusion.errors import SettingsError
from tiled_diffusion.settings.canvas_file import is_canvas, request_from_canvas
from tiled_diffusion.settings.values import Region, Reroll
from tiled_diffusion.standalone.cli.arguments import read_request
from tiled_diffusion.standalone.cli.parser import build_parser

BOX = {"row_init": 0, "row_end": 512, "col_init": 256, "col_end": 768}
LEFT = {**BOX, "col_init": 0, "col_end": 512}
TEXT = {**BOX, "prompt": "a  house\nin a valley", "guidance_scale": 8, "mask_type": "constant", "mask_weight": 2}
PICTURE = {**LEFT, "reference_image": "photo.png", "strength": 0.6}
CANVAS = {"canvas_height": 512, "canvas_width": 1024, "regions": [TEXT, PICTURE], "num_inference_steps": 30, "seed": 7,
          "reroll_regions": [{**LEFT, "region_seed": 3, "reroll_mode": "reset"}], "cpu_vae": False, "decode_steps": False}  # fmt: skip


def test_everything_has_its_place():
    request = request_from_canvas(CANVAS)
    assert (request.width, request.height, request.steps, request.seed, request.sampler) == (1024, 512, 30, 7, "LMS")
    assert request.prompt == "a house in a valley"
    assert request.tiling.regions == (
        Region("a house in a valley", x=0.25, w=0.5, cfg_scale=8, weight=2, feather=0.0),
        Region("", w=0.5, picture="photo.png", keep=0.6, fit="stretch", feather=0.0),
    )
    assert request.tiling.rerolls == (Reroll(3, w=0.5),)


@pytest.mark.parametrize(("kind", "edge"), [("gaussian", (1.0, "smooth")), ("quartic", (1.0, "quadratic")), ("constant", (0.0, "smooth"))])  # fmt: skip
def test_masks_are_soft_edges(kind, edge):
    (region,) = request_from_canvas({**CANVAS, "regions": [{**TEXT, "mask_type": kind}]}).tiling.regions
    assert (region.feather, region.feather_shape) == edge


def test_what_is_left_open():
    text = {k: v for k, v in TEXT.items() if k not in ("guidance_scale", "mask_type", "mask_weight")}
    canvas = {"canvas_height": 512, "canvas_width": 1024, "regions": [{**text, "region_seed": None, "noise_eps": 1.0}]}
    request = request_from_canvas(canvas)
    (region,), (reroll,) = request.tiling.regions, request.tiling.rerolls
    assert (region.cfg_scale, region.feather, request.cfg_scale, request.steps) == (None, 1.0, 7.5, 50)
    assert (reroll.seed, reroll.noise) == (12346, pytest.approx(0.5**0.5)), "half of the noise's variance is new"


def test_a_region_without_weight_is_left_out():
    assert request_from_canvas({**CANVAS, "regions": [{**TEXT, "mask_weight": 0}]}).tiling.regions == ()


def test_the_command_line_reads_it(tmp_path):
    (tmp_path / "canvas.json").write_text(json.dumps(CANVAS), encoding="utf-8")
    assert read_request(build_parser().parse_args(["generate", str(tmp_path / "canvas.json")])) == request_from_canvas(CANVAS)
    assert not is_canvas({"prompt": "x"})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"canvas_width": 100}, "canvas.canvas_width: got 100"), ({"colour": 1}, "canvas: unknown key colour"),
        ({"regions": 3}, "regions: allowed is a list"), ({"regions": [{}]}, r"regions\[0\]: allowed is an object with one of"),
        ({"regions": [{**TEXT, "reference_image": "a.png"}]}, r"regions\[0\]: allowed"),
        ({"regions": [{**TEXT, "row_end": 0}]}, r"regions\[0\].row_end: got 0, allowed is more than row_init, 0"),
        ({"regions": [{**TEXT, "col_end": 2048}]}, r"regions\[0\].col_end: got 2048"),
        ({"regions": [{**TEXT, "mask_type": "round"}]}, r"regions\[0\].mask_type: got 'round'"),
        ({"regions": [{**PICTURE, "reference_image": [[0, 1]]}]}, r"regions\[0\].reference_image"),
        ({"regions": [{**PICTURE, "strength": 2}]}, r"regions\[0\].strength: got 2"),
        ({"reroll_regions": [{**LEFT, "reroll_mode": "x"}]}, r"reroll_regions\[0\].reroll_mode"),
        ({"seed": -1}, "canvas.seed: got -1"),
    ],
)  # fmt: skip
def test_an_error_names_the_key(change, words):
    with pytest.raises(SettingsError, match=words):
        request_from_canvas({**CANVAS, **change})
