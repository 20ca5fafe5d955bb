"""Sampling in a host of rows: tiles and regions against the host's own results."""

import itertools

import pytest
import torch
from modules import shared

from tests.webui.host_model import Job, Model, job, run

SMALL = {"width": 128, "height": 128}
TILES = {"tile_width_lp": 16, "tile_height_lp": 16, "overlap_lp": 6}
ONE, LONG = "a blue tower", "a very long prompt of many words that has another length than the others have " * 2


def whole(prompt, **more):
    return {"regions": [{"prompt": prompt, "feather": 0, **more}]}


def close(a, b, most=2e-5):
    torch.testing.assert_close(a, b, atol=most, rtol=0)


MAIN = ["a house", "a house AND a tree :0.5", "a AND b :0.3 AND c :-0.2", LONG]
OWN = [ONE, "a tower AND snow :0.4", "[a tower:snow:0.5]", LONG, "a tower AND " + LONG]
OPTIONS = [{}, {"batch_cond_uncond": False}, {"skip_early_cond": 0.5}, {"pad_cond_uncond": True}, {"pad_cond_uncond_v0": True}]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("batch", [1, 2])
def test_a_region_over_everything_is_its_prompt(batch, options):
    for key, value in options.items():
        setattr(shared.opts, key, value)
    for main, own, scale in itertools.product(MAIN, OWN, [None, 6.0]):
        expected = job(prompt=own, batch_size=batch, cfg_scale=scale or 3.0, **SMALL)
        region = whole(own) if scale is None else whole(own, cfg_scale=scale)
        close(job(region, prompt=main, batch_size=batch, **SMALL), expected)


@pytest.mark.parametrize(
    "settings", [{}, TILES, {**TILES, "method": "jittered", "wrap_x": True}, {**TILES, "tile_batch": 1}]
)
@pytest.mark.parametrize("prompt", MAIN)
def test_tiles_of_a_model_of_single_pixels_are_the_plain_job(prompt, settings):
    close(job(settings, prompt=prompt, batch_size=2), job(prompt=prompt, batch_size=2))


def test_one_tile_is_the_plain_job_bit_for_bit():
    assert torch.equal(job({}, **SMALL), job(**SMALL))


def test_two_regions_stay_in_their_places():
    found = [
        {"prompt": ONE, "w": 0.5, "feather": 0},
        {"prompt": LONG, "x": 0.5, "w": 0.5, "feather": 0, "cfg_scale": 5},
    ]
    out = job({**TILES, "regions": found})
    close(out[..., :20], job(prompt=ONE)[..., :20])
    close(out[..., 20:], job(prompt=LONG, cfg_scale=5.0)[..., 20:])


def test_an_ensemble_is_the_mean_of_directions():
    close(job(whole("a ENSEMBLE b :3"), **SMALL), job(prompt="a :0.25 AND b :0.75", **SMALL))


def test_negative_prompts_and_joins():
    close(job(whole("own", join="append", negative_prompt="bad"), negative_prompt="fog", **SMALL),
          job(prompt="a house, own", negative_prompt="fog, bad", **SMALL))  # fmt: skip
    close(job(whole("own", negative_prompt="bad"), negative_prompt="fog", **SMALL), job(prompt="own", negative_prompt="bad", **SMALL))  # fmt: skip
    close(
        job(whole("own # not this\nbut that"), styles=["oil"], **SMALL),
        job(prompt="own # not this\nbut that", styles=["oil"], **SMALL),
    )


def test_a_region_follows_the_refiner():
    refiner = Model("two", scale=0.5)

    def refined(settings=None, prompt="a house"):
        shared.sd_model = Model()
        p = Job(prompt=prompt, args=() if settings is None else (True, settings), **SMALL)
        p.refine_at, p.refiner = 2, refiner
        return run(p)

    close(refined(whole(ONE)), refined(prompt=ONE))
    wide = refined({"regions": [{"prompt": ONE, "w": 0.5, "feather": 0}]})
    close(wide[..., 8:], refined()[..., 8:])


def test_seeds_of_regions_are_their_own():
    region = {"prompt": "a house", "x": 0.5, "w": 0.5, "feather": 0, "seed": 9}
    first, second = (job({**TILES, "regions": [region]}, seed=s, batch_size=2) for s in (1, 5))
    close(first[..., 20:], second[..., 20:])
    assert not torch.equal(first[..., :20], second[..., :20])
    assert not torch.equal(first[0, ..., 20:], first[1, ..., 20:])


def test_model_calls_have_the_rows_that_the_plan_says():
    model = shared.sd_model
    job({**TILES, "tile_batch": 4}, steps=1)
    tiles = sum(shape[0] for shape, _ in model.calls) // 2
    assert all(tuple(shape[2:]) == (16, 16) for shape, _ in model.calls)
    assert max(shape[0] for shape, _ in model.calls) <= 8
    assert tiles == 8
