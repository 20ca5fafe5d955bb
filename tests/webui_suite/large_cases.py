"""One large picture in the WebUI: ElasticDiffusion with every sampler, split calls, AND, hires fix and its errors."""

from __future__ import annotations

import json
from functools import partial

from .client import BASE, ApiError, Webui, written
from .registry import case, of_each
from .tiling_cases import drawn, field, is_blank, repeated, same

LARGE = {"width": 256, "height": 256}
ELASTIC = {"version": 2, "method": "elastic", "elastic_rounds": 2}
PUBLISHED = {**ELASTIC, "elastic_pull": 0.015, "elastic_decay": 10, "elastic_until": 1.0}
"""As the paper has it: the small picture gives the structure to the end."""


@case("elastic: a canvas of the model's size is the plain job, every sampler")
def _(w: Webui):
    samplers = w.names("/sdapi/v1/samplers", "name")
    of_each(samplers, lambda name: same(w.txt2img(sampler_name=name), w.txt2img(sampler_name=name, tiled=ELASTIC)))
    return f"{len(samplers)} samplers"


@case("elastic: drawn and repeated, every sampler")
def _(w: Webui):
    samplers, blank, unsolved = w.names("/sdapi/v1/samplers", "name"), [], []

    def check(name: str) -> None:
        try:
            first = w.txt2img(sampler_name=name, tiled=PUBLISHED, **LARGE)
        except ApiError as e:
            assert "max_num_steps exceeded" in str(e), e  # a limit of the host's own solvers
            unsolved.append(name)
            return
        if is_blank(first) and is_blank(w.txt2img(sampler_name=name, **LARGE)):
            blank.append(name)
            return
        drawn(first)
        again = w.txt2img(sampler_name=name, tiled={**PUBLISHED, "tile_batch": 1}, **LARGE)
        repeated(first, again, partial(w.txt2img, sampler_name=name, **LARGE), PUBLISHED)

    of_each(samplers, check)
    plain = w.txt2img(tiled={"method": "mixture"}, **LARGE)
    assert plain.difference(w.txt2img(tiled=PUBLISHED, **LARGE)) > 20, "the method changes nothing"
    said = [f"; blank, and without the method too: {', '.join(blank)}"] if blank else []
    said += [f"; more steps than the host's solver takes: {', '.join(unsolved)}"] if unsolved else []
    return f"{len(samplers)} samplers{''.join(said)}"


@case("elastic: however the rows come")
def _(w: Webui):
    long = "a red house on green grass, blue sky, " * 12
    for settings in (ELASTIC, PUBLISHED):
        for prompt in (BASE["prompt"], long):
            together = w.txt2img(prompt=prompt, negative_prompt="fog", tiled=settings, **LARGE)
            drawn(together)
            w.options(batch_cond_uncond=False)
            try:
                same(together, w.txt2img(prompt=prompt, negative_prompt="fog", tiled=settings, **LARGE), 2)
            finally:
                w.options(batch_cond_uncond=True)
    for options in ({"skip_early_cond": 0.4}, {"pad_cond_uncond": True}, {"s_min_uncond_all": True}):
        w.options(**options)
        try:
            drawn(w.txt2img(prompt=long, tiled=PUBLISHED, s_min_uncond=3.0, **LARGE))
        finally:
            w.options(skip_early_cond=0.0, pad_cond_uncond=False, s_min_uncond_all=False)


@case("elastic: AND of two halves is the one prompt")
def _(w: Webui):
    for sampler in ("Euler a", "DDIM", "UniPC"):
        one = w.txt2img(tiled=PUBLISHED, sampler_name=sampler, **LARGE)
        text = f"{BASE['prompt']} :0.5 AND {BASE['prompt']} :0.5"
        same(one, w.txt2img(prompt=text, tiled=PUBLISHED, sampler_name=sampler, **LARGE), 3)


@case("elastic: batch, ring, frame, local prompt, hires pass")
def _(w: Webui):
    both = w.txt2img(tiled={**PUBLISHED, "grid_seed": 3}, batch_size=2, **LARGE)
    alone = w.txt2img(tiled={**PUBLISHED, "grid_seed": 3}, seed=2, **LARGE)
    gap = abs(both.pictures[-1].astype(int) - alone.pictures[0]).max()
    assert gap <= 3, f"the second picture of a batch differs from the one drawn alone by {gap}"
    for more in ({"wrap_x": True}, {"elastic_reference": "pad"}, {"elastic_local_prompt": "grass, blue sky"}):
        drawn(w.txt2img(tiled={**PUBLISHED, **more}, **LARGE))
    hires = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent", "denoising_strength": 0.9}
    for settings in (ELASTIC, PUBLISHED):
        result = w.txt2img(tiled=settings, **hires)
        drawn(result)
        assert result.pictures[0].shape == (256, 256, 3)


@case("elastic: its record draws it again")
def _(w: Webui):
    settings = {**PUBLISHED, "elastic_local_prompt": "grass"}
    first = w.txt2img(tiled=settings, **LARGE)
    record = json.loads(json.loads(field(first.infotexts[0], "Tiled Diffusion")))
    assert record == written(settings), record
    return same(first, w.txt2img(tiled=record, **LARGE))


@case("elastic: what it cannot draw is named, and the next job is as before")
def _(w: Webui):
    before = w.txt2img(**LARGE)
    wrong = [
        ({}, {"cfg_scale": 1}, "cfg_scale: got 1"),
        ({"regions": [{"prompt": "a tree", "w": 0.5}]}, {}, "elastic draws one prompt"),
        ({"elastic_rounds": 21}, {}, "elastic_rounds"),
    ]
    for settings, more, message in wrong:
        try:
            w.txt2img(tiled={**ELASTIC, **settings}, **{**LARGE, **more})
        except ApiError as e:
            assert e.status == 422, f"{e.status}"
            assert message in e.text, e.text[:300]
        else:
            raise AssertionError(f"no error for {settings} {more}")
    return same(before, w.txt2img(**LARGE))
