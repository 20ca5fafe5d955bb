"""Records and files of other extensions."""

import json

import pytest

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.foreign import KEY, document_of, upgrade
from tiled_diffusion.settings.panel import panel_settings_from_json

SLOT = {"enable": True, "x": 0.5, "y": 0.04, "w": 0.6, "h": 0.9, "prompt": 'a "tall" tree, {x}', "neg_prompt": "fog",
        "blend_mode": "Foreground", "feather_ratio": 0.3, "seed": 7}  # fmt: skip
OFF = {**SLOT, "enable": False, "prompt": "", "neg_prompt": ""}
RECORD = {"Method": "Mixture of Diffusers", "Tile tile width": 96, "Tile tile height": 64, "Tile Overlap": 48,
          "Tile batch size": 2, "Upscaler": "Lanczos", "Upscale factor": 2, "Keep input size": True,
          "NoiseInv": True, "Region control": {"Region 1": SLOT}}  # fmt: skip


def pasted(record, params=None):
    params = dict(params or {})
    upgrade(f"a prompt\nSteps: 20, Seed: 1, {KEY}: {record}, Model: x, Version: v1.10.1", params)
    return params.get(KEY)


@pytest.mark.parametrize("written", [json.dumps(RECORD), repr(RECORD)])
def test_the_peers_record_becomes_ours(written):
    job = panel_settings_from_json(pasted(written))
    t = job.tiling
    assert (t.method, t.tile_width, t.tile_height, t.overlap, t.tile_batch) == ("mixture", 768, 512, 384, 2)
    assert (job.upscaler, job.upscale_factor, job.keep_size) == ("Lanczos", 2, True)
    (own,) = t.regions
    assert (own.prompt, own.negative_prompt, own.seed, own.feather) == (SLOT["prompt"], "fog", 7, 0.3)
    assert (own.layer, own.join, own.enabled) == ("foreground", "append", True)
    assert own.x + own.w == pytest.approx(1)


@pytest.mark.parametrize("ratio", [{}, {"feather_ratio": 0.6}])
def test_its_backgrounds_have_hard_edges(ratio):
    slot = {**{k: v for k, v in SLOT.items() if k != "feather_ratio"}, "blend_mode": "Background", **ratio}
    own = panel_settings_from_json(pasted(json.dumps({**RECORD, "Region control": {"Region 1": slot}}))).tiling.regions[0]
    assert (own.layer, own.feather) == ("background", 0)
    assert document_of({"bbox_controls": [slot]})["regions"][0]["feather"] == 0


def test_regions_at_the_top_level_are_found_too():
    top = {k: v for k, v in RECORD.items() if k != "Region control"}
    assert len(panel_settings_from_json(pasted(json.dumps({**top, "Region 1": SLOT, "Region 2": SLOT}))).tiling.regions) == 2


NOISE = {"NoiseInv": True, "NoiseInv Steps": 10, "NoiseInv Retouch": 1, "NoiseInv Renoise strength": 0.5,
         "NoiseInv Kernel size": 64}  # fmt: skip


@pytest.mark.parametrize(("more", "kept"), [
    ({}, (True, 10, 0.25, True)), ({"NoiseInv Renoise strength": 2}, (True, 10, 1.0, True)),
    ({"NoiseInv": False}, (False, None, 0.2, False)),
])  # fmt: skip
def test_its_noise_inversion_is_kept(more, kept):
    job = panel_settings_from_json(pasted(json.dumps({**RECORD, **NOISE, **more})))
    own = job.inversion
    assert (job.keep_picture, own.steps, own.freedom, own.detail_map) == kept
    assert (job.tiling.tile_width, job.tiling.compose) == (768, 0.0)


def test_a_retouch_is_left_out_and_said(caplog):
    with caplog.at_level("WARNING", "tiled_diffusion"):
        assert panel_settings_from_json(pasted(json.dumps({**RECORD, **NOISE, "NoiseInv Retouch": 2}))).keep_picture
    assert "retouch" in caplog.text


def test_forges_record_becomes_ours():
    params = {"multidiffusion_enabled": "True", "multidiffusion_method": "MultiDiffusion", "multidiffusion_tile_width": "768",
              "multidiffusion_tile_height": "512", "multidiffusion_tile_overlap": "64", "multidiffusion_tile_batch_size": "4"}  # fmt: skip
    upgrade("", params)
    t = panel_settings_from_json(params[KEY]).tiling
    assert (t.method, t.tile_width, t.tile_height, t.overlap, t.tile_batch) == ("multidiffusion", 768, 512, 64, 4)


@pytest.mark.parametrize("record", ["{", "{'Method': }", '{"Method": "no such"}', '{"Method": "MultiDiffusion", "Tile Overlap": -4}',
                                    '{"Method": "MultiDiffusion", "Region control": 3}'])  # fmt: skip
def test_what_cannot_be_read_changes_nothing(record):
    assert pasted(record) is None


def test_our_own_record_is_left_alone():
    ours = {KEY: '{"version":1}'}
    upgrade(f'Steps: 20, {KEY}: "{{\\"version\\":1}}", Seed: 1', ours)
    assert ours == {KEY: '{"version":1}'}


def test_files():
    document = document_of({"bbox_controls": [SLOT, OFF]})
    assert [r["prompt"] for r in document["regions"]] == [SLOT["prompt"]]
    assert document_of(RECORD) == document
    assert document_of(document) == document
    with pytest.raises(TiledError, match="region"):
        document_of({"bbox_controls": [{**SLOT, "x": "left"}]})
    with pytest.raises(TiledError, match="regions"):
        document_of({"anything": 1})
