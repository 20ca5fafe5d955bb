"""ElasticDiffusion on diffusers' models: plain where it should be, told by inspect, and the same picture again."""

import json
from dataclasses import replace

import pytest
import torch

from tests.standalone.tiny import flow_model, tiny_model
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.request import Request, request_from_json
from tiled_diffusion.settings.values import Region, Settings
from tiled_diffusion.standalone.cli import main
from tiled_diffusion.standalone.inspection import inspect_plan
from tiled_diffusion.standalone.sampling import make_planner, sample_latents

ELASTIC = Settings(method="elastic", elastic_rounds=1)
WIDE = Request("a house", width=192, height=128, steps=5, cfg_scale=4.0, sampler="DDIM", seed=3, tiling=ELASTIC)


def recorded_rows(model, request):
    """(rows, height, width) of all calls of the U-Net, call by call."""
    calls = []
    handle = model.unet.register_forward_pre_hook(lambda _, args: calls.append(tuple(args[0].shape)))
    try:
        return sample_latents(model, request), calls
    finally:
        handle.remove()


@pytest.mark.parametrize("kind", ["sd1", "sd2", "sdxl"])
def test_a_canvas_of_the_models_size_is_the_untiled_picture(kind):
    model, small = tiny_model(kind), replace(WIDE, width=64, height=64)
    untiled = replace(small, tiling=Settings())
    assert torch.equal(sample_latents(model, small), sample_latents(model, untiled))


@pytest.mark.parametrize("kind", ["sd1", "sd2", "sdxl"])
@pytest.mark.parametrize("reference", ["area", "pad"])
def test_the_model_sees_what_the_settings_say(kind, reference):
    """First the small picture alone, then it and the tiles without the prompt, then tiles with it."""
    model = tiny_model(kind)
    request = replace(WIDE, tiling=replace(ELASTIC, elastic_reference=reference, tile_batch=64))
    latents, calls = recorded_rows(model, request)
    assert torch.isfinite(latents).all()
    planner = make_planner(model, request)
    rows = [call[0] for call in calls]
    assert rows[0] == 2, "of the first step: the small picture, with the prompt and without"
    assert rows[-1] == 2 * len(planner.late_plan().tiles)
    sides = {call[2:] for call in calls}
    assert (8, 8) in sides
    assert max(h * w for h, w in sides) <= 8 * 8 * 2


def test_it_draws_with_a_flow_which_begins_with_noise_alone():
    request = replace(WIDE, width=384, height=192, sampler="Euler", tiling=replace(ELASTIC, elastic_until=0.5))
    latents, plain = (sample_latents(flow_model("sd3"), r) for r in (request, replace(request, tiling=Settings())))
    assert torch.isfinite(latents).all()
    assert (latents - plain).abs().max() > 1e-3


@pytest.mark.parametrize("sampler", ["Euler", "Euler a", "Heun", "DPM++ 2M Karras", "UniPC", "LCM"])
def test_every_sampler_draws_it(sampler):
    latents = sample_latents(tiny_model("sd1"), replace(WIDE, sampler=sampler))
    assert torch.isfinite(latents).all()
    plain = sample_latents(tiny_model("sd1"), replace(WIDE, sampler=sampler, tiling=Settings()))
    assert (latents - plain).abs().max() > 1e-3


def test_a_picture_of_a_batch_is_the_picture_alone():
    grid = replace(WIDE, tiling=replace(ELASTIC, grid_seed=9))
    both = sample_latents(tiny_model("sd1"), replace(grid, batch_size=2))
    alone = sample_latents(tiny_model("sd1"), replace(grid, seed=4))
    torch.testing.assert_close(both[1:], alone, atol=1e-4, rtol=0)


def test_a_ring_has_its_first_cell_anywhere():
    planner = make_planner(tiny_model("sd1"), replace(WIDE, tiling=replace(ELASTIC, wrap_x=True)))
    offsets = {tile.view.offset.w for step in range(12) for tile in planner.plan(step).tiles if tile.role == "direction"}
    assert len(offsets) > 4
    assert {tile.view.offset.h for tile in planner.plan().tiles if tile.role == "direction"} == {0}
    assert torch.isfinite(sample_latents(tiny_model("sd1"), replace(WIDE, tiling=replace(ELASTIC, wrap_x=True)))).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cfg_scale": 1.0}, "cfg_scale: got 1, but elastic draws by what the prompt changes: take a CFG scale above 1"),
        ({"tiling": replace(ELASTIC, regions=(Region("a", w=0.5),))}, "regions: elastic draws one prompt"),
    ],
)
def test_what_it_cannot_draw_is_named(change, message):
    with pytest.raises(TiledError, match=message):
        sample_latents(tiny_model("sd1"), replace(WIDE, **change))


def test_inspect_tells_of_the_small_picture():
    model = tiny_model("sd1")
    report = inspect_plan(make_planner(model, WIDE), WIDE)
    assert report.small == (2, 128, 64) or report.small[0] == 2
    assert f"of these   2 are small pictures of the whole, {report.small[1]} x {report.small[2]} px" in report.lines()
    tiles = report.tiles[0] - 2
    assert report.rows == (tiles + 2 * 2, tiles + 2 * 2)
    assert json.loads(json.dumps(report.to_dict()))["small"] == list(report.small)


def test_flags_and_json_say_the_same(tmp_path, capsys):
    words = ["--method", "elastic", "--elastic-rounds", "2", "--elastic-pull", "0.02", "--elastic-decay", "4",
             "--elastic-until", "0.7", "--elastic-reference", "pad", "--elastic-local-prompt", "grass"]  # fmt: skip
    assert main(["inspect", "a house", "--size", "256x256", *words, "--json", "--out", str(tmp_path / "plan.png")]) == 0
    told = json.loads(capsys.readouterr().out)
    tiling = {"method": "elastic", "elastic_rounds": 2, "elastic_pull": 0.02, "elastic_decay": 4, "elastic_until": 0.7,
              "elastic_reference": "pad", "elastic_local_prompt": "grass"}  # fmt: skip
    request = request_from_json(json.dumps({"prompt": "a house", "width": 256, "height": 256, "tiling": tiling}))
    assert told["plan"]["small"] == [3, 128, 128]
    assert Settings(**tiling).to_dict() == {"version": 2, **tiling} == request.tiling.to_dict()
