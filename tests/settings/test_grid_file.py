"""Grid files of Mixture of Diffusers: what they become, and how a wrong one fails."""

import json

import pytest

from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.model import ModelTraits
from tiled_diffusion.engine.plan import Planner
from tiled_diffusion.errors import SettingsError, TiledError
from tiled_diffusion.settings.grid_file import request_from_grid
from tiled_diffusion.standalone.cli.arguments import read_request, scaled_to
from tiled_diffusion.standalone.cli.commands import main
from tiled_diffusion.standalone.cli.parser import build_parser
from tiled_diffusion.standalone.metadata import read_png
from tiled_diffusion.standalone.model import load_model

ROW = {"prompt": [["a", "b", "c"]], "seed": 7, "gc": 8, "scheduler": "lms", "steps": 50, "cpu_vae": True,
       "tile_height": 768, "tile_width": 512, "tile_row_overlap": 256, "tile_col_overlap": 256}  # fmt: skip


def test_a_grid_is_as_large_as_its_tiles():
    request = request_from_grid(ROW)
    assert (request.width, request.height) == (512 + 2 * 256, 768)
    assert (request.sampler, request.steps, request.cfg_scale, request.seed) == ("LMS", 50, 8, 7)
    assert [r.prompt for r in request.tiling.regions] == ["a", "b", "c"]


def test_the_model_sees_each_whole_tile():
    request = request_from_grid(ROW)
    plan = Planner(Extent(96, 128), request.tiling, ModelTraits(), 0).plan()
    assert sorted((j.prompt, *j.box.scaled(8)) for j in plan.tiles) == [
        (1, 0, 0, 768, 512), (2, 0, 256, 768, 512), (3, 0, 512, 768, 512),
    ]  # fmt: skip


def test_guidance_and_seeds_of_tiles():
    request = request_from_grid(
        {**ROW, "gc_tiles": [[2, None, 9]], "seed_tiles": [[None, 4, 5]], "seed_tiles_mode": [["full", "full", "exclusive"]],
         "seed_reroll_regions": [[0, 100, 8, 64, 6]]}
    )  # fmt: skip
    assert [r.cfg_scale for r in request.tiling.regions] == [2, None, 9]
    boxes = [(r.seed, r.x * 1024, r.y * 768, r.w * 1024, r.h * 768) for r in request.tiling.rerolls]
    assert boxes == [(4, 256, 0, 512, 768), (5, 768, 0, 256, 768), (6, 8, 0, 56, 96)]


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"prompt": [[]]}, "prompt"), ({"prompt": []}, "prompt"), ({"prompt": [["a"], ["b", "c"]]}, "prompt"),
        ({"prompt": [[1]]}, "prompt"), ({"prompt": ["a"]}, "prompt"), ({"prompt": [["a"] * 1025]}, "prompt"),
        ({"scheduler": "pndm"}, "scheduler"), ({"seed": -1}, "seed"), ({"tile_width": 500}, "tile_width"),
        ({"tile_col_overlap": 512}, "tile_col_overlap"), ({"gc_tiles": [[1]]}, "gc_tiles"), ({"gc": 0}, "cfg_scale"),
        ({"seed_tiles": 3}, "seed_tiles"), ({"seed_tiles": [[1, 2, 3]], "seed_tiles_mode": "x"}, "seed_tiles_mode"),
        ({"seed_reroll_regions": [[1, 2]]}, "seed_reroll_regions"), ({"colour": 1}, "colour"), ({"cpu_vae": 1}, "cpu_vae"),
    ],
)  # fmt: skip
def test_an_error_names_the_key(change, key):
    with pytest.raises(SettingsError, match=f"^{key}"):
        request_from_grid({**ROW, **change})


def test_a_file_runs_at_the_size_of_the_model(tmp_path):
    file = tmp_path / "grid.json"
    file.write_text(json.dumps({**ROW, "steps": 1}))
    out = tmp_path / "a.png"
    words = [str(file), "--scale-to-model", "--device", "cpu", "--quiet", "--out", str(out)]
    assert main(["generate", *words]) == 0
    made = read_png(out)
    assert (made.width, made.height, made.tiling.tile_width, made.tiling.tile_height) == (256, 192, 128, 192)
    wanted = read_request(build_parser().parse_args(["generate", str(file)]))
    assert made == scaled_to(load_model(device="cpu"), wanted)


def test_a_wrong_file_is_named(tmp_path):
    file = tmp_path / "grid.json"
    file.write_text(json.dumps({**ROW, "gc_tiles": 1}))
    with pytest.raises(TiledError, match=r"grid\.json: gc_tiles"):
        read_request(build_parser().parse_args(["generate", str(file)]))
