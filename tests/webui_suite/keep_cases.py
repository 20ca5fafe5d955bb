"""Keep the picture (noise inversion) in the real WebUI: every sampler, whatever is beside it, records and the page."""

from __future__ import annotations

import json

import numpy as np

from .batch_cases import anchored
from .client import ApiError, Result, Webui, encoded, written
from .editor_cases import opened, page_of, shot
from .registry import Skipped, case, of_each
from .tiling_cases import BASE, OTHER, TILES, WIDE, _decoded, _picture, _xyz, drawn, field, is_blank, same

SIZES = {"tile_width": 128, "tile_height": 128, "overlap": 48, "version": 2}
KEEP = {**SIZES, "keep_picture": True, "inversion_freedom": 0.0, "keep_size": False}
OFF = {**KEEP, "keep_picture": False}


def away(result: Result, source: np.ndarray) -> float:
    """Root mean square distance to the input picture, levels of 255."""
    return float(np.sqrt(((result.pictures[0].astype(float) - source) ** 2).mean()))


def named(result: Result, sampler: str) -> None:
    """Refuses a record of another sampler."""
    assert f"Sampler: {sampler}," in result.infotexts[0], result.infotexts[0]


DRAWS_NOISE = (
    " a", "SDE", "LCM", "Restart", "DPM adaptive", "DPM fast", "DDPM",
    " A ", "Ancestral", "Dy", "DY", "Negative", "SEEDS", "SA-Solver", "RES Solver", "Yog", "ODE",
)  # fmt: skip
"""What is in the names of samplers that add fresh noise on their way, or choose their own steps."""
STEPS = {"IPNDM": 24, "DEIS": 24, "Gradient Estimation": 24}
"""In the 8 of the others these, which go by several steps before, are off by as much as fresh noise is."""


@case("keep: closer to the picture than fresh noise, every sampler, each by its own name")
def _(w: Webui):
    source, samplers = _picture(w), w.names("/sdapi/v1/samplers", "name")
    more, distances, blank = {"init_images": [encoded(source)], "denoising_strength": 0.6, **WIDE}, {}, []

    def check(name: str) -> None:
        own = {"steps": 24, "cfg_scale": 1} if "CFG++" in name else {"steps": STEPS.get(name, 8)}  # for low scales
        kept, plain = (w.img2img(sampler_name=name, tiled=tiled, **own, **more) for tiled in (KEEP, OFF))
        named(kept, name)
        if is_blank(kept) and is_blank(plain):
            blank.append(name)
            return
        drawn(kept)
        assert kept.difference(plain) > 2, "nothing changed"
        distances[name] = ours, theirs = away(kept, source), away(plain, source)
        assert ours < theirs or draws_noise(name), f"{ours:.1f} from the picture, fresh noise {theirs:.1f}"

    of_each(samplers, check)
    nearer = [ours < theirs for ours, theirs in distances.values()]
    steady = [name for name in distances if not draws_noise(name)]
    remark = f"nearer with all {len(steady)} that draw no noise, and with {sum(nearer)} of {len(nearer)}"
    return remark + (f"; nothing is drawn, with fresh noise either, by {', '.join(blank)}" if blank else "")


def draws_noise(sampler: str) -> bool:
    """Whether a sampler adds fresh noise on its way, or chooses its own steps."""
    return any(word in sampler for word in DRAWS_NOISE)


@case("keep: freedom 1 and no rounds are plain img2img, bit for bit")
def _(w: Webui):
    source = _picture(w)
    for sampler in ("Euler", "Euler a", "DPM++ 2M SDE", "DDIM", "UniPC"):
        more = {"init_images": [encoded(source)], "sampler_name": sampler, **WIDE}
        plain = w.img2img(tiled=OFF, **more)
        for off in ({"inversion_freedom": 1.0}, {"inversion_rounds": 0}):
            same(plain, w.img2img(tiled={**KEEP, **off}, **more))
    return "5 samplers"


@case("keep: without guidance the picture comes back, in one round and in two")
def _(w: Webui):
    source, gaps = _picture(w), []
    for rounds in (0, 1, 2):
        more = {"init_images": [encoded(source)], "sampler_name": "Euler", "cfg_scale": 1, "steps": 20, **WIDE}
        gaps.append(away(w.img2img(tiled={**KEEP, "inversion_rounds": rounds}, denoising_strength=0.6, **more), source))
    assert max(gaps[1:]) < 0.6 * gaps[0], gaps
    return "fresh, 1 round, 2 rounds: " + ", ".join(f"{gap:.1f}" for gap in gaps)


@case("keep: one tile, batch, regions, AND, mask, moving tiles, empty prompt, steps of its own")
def _(w: Webui):
    source = _picture(w)
    mask = np.zeros((128, 320, 3), dtype=np.uint8)
    mask[40:100, 100:220] = 255
    region = {"prompt": "a tree AND fog :0.5", "x": 0.5, "w": 0.5, "cfg_scale": 6, "negative_prompt": "snow"}
    cases = [
        ({"tile_width": 320}, {}), ({}, {"batch_size": 3}), ({"regions": [region]}, {"batch_size": 2}),
        ({}, {"prompt": "a red house AND a tree :0.5"}), ({}, {"prompt": "[a red house:a blue tower:0.5] on grass"}),
        ({}, {"mask": encoded(mask), "inpaint_full_res": False}), ({"method": "jittered", "overlap": 16}, {}),
        ({"inversion_prompt": "empty"}, {}), ({"inversion_steps": 2}, {}), ({"inversion_detail_map": True}, {}),
    ]  # fmt: skip
    for settings, more in cases:
        pair = [w.img2img(init_images=[encoded(source)], tiled={**t, **settings}, **WIDE, **more) for t in (KEEP, OFF)]
        drawn(pair[0])
        if "detail_map" not in str(settings):
            assert pair[0].difference(pair[1]) > 2, f"{settings}, {more}: nothing changed"
    return f"{len(cases)} cases"


@case("keep: the pictures of a batch are as alone")
def _(w: Webui):
    sources = [_picture(w), w.txt2img(prompt=OTHER, steps=4, **WIDE).pictures[0]]
    more = {"sampler_name": "Euler", **WIDE}
    anchored(w)
    both = w.img2img(init_images=[encoded(s) for s in sources], batch_size=2, tiled=KEEP, **more)
    anchored(w)
    alone = w.img2img(init_images=[encoded(sources[0])], tiled=KEEP, **more)
    first = Result([both.pictures[-2]], [], [])
    return same(first, Result([alone.pictures[-1]], [], []), 3)


@case("keep: hires fix")
def _(w: Webui):
    hires = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Lanczos", "denoising_strength": 0.6, "width": 160}
    for more in ({}, {"hr_sampler_name": "DDIM"}, {"hr_second_pass_steps": 4}):
        kept, plain = (w.txt2img(tiled=tiled, **hires, **more) for tiled in (KEEP, OFF))
        drawn(kept)
        assert kept.difference(plain) > 2, f"{more}: nothing changed"


@case("keep: the second run finds the first one's noise, and another method does not")
def _(w: Webui):
    source = _picture(w)
    more = {"init_images": [encoded(source)], "sampler_name": "Euler", **WIDE}
    first = w.img2img(tiled=KEEP, **more)
    return same(first, w.img2img(tiled=KEEP, **more))


@case("keep: record, wrong values, another extension's record")
def _(w: Webui):
    source = _picture(w)
    tiled = {**KEEP, "inversion_rounds": 2, "inversion_freedom": 0.3}
    result = w.img2img(init_images=[encoded(source)], tiled=tiled, **WIDE)
    record = json.loads(json.loads(field(result.infotexts[0], "Tiled Diffusion")))
    assert record == written(tiled), record
    for wrong in ({"inversion_freedom": 2}, {"inversion_rounds": 9}, {"inversion_prompt": "none"}):
        try:
            w.img2img(init_images=[encoded(source)], tiled={**KEEP, **wrong}, **WIDE)
        except ApiError as e:
            assert e.status == 422, e
            assert next(iter(wrong)) in e.text, e.text
        else:
            raise AssertionError(f"{wrong} was accepted")


@case("keep: SDXL")
def _(w: Webui):
    if "tiny-xl" not in w.names("/sdapi/v1/sd-models", "model_name"):
        raise Skipped("there is no checkpoint 'tiny-xl'")
    source = _picture(w, 512, 256)
    w.options(sd_model_checkpoint="tiny-xl", show_progress_type="Approx cheap")
    try:
        tiles = {"tile_width": 256, "tile_height": 256, "overlap": 64, "version": 2, "keep_size": False}
        size = {"width": 512, "height": 256, "steps": 3, "init_images": [encoded(source)]}
        kept, plain = (w.img2img(tiled={**tiles, "keep_picture": on}, **size) for on in (True, False))
        drawn(kept)
        assert kept.difference(plain) > 2, "nothing changed"
    finally:
        w.options(sd_model_checkpoint="tiny-landscapes")


@case("keep: X/Y/Z axes")
def _(w: Webui):
    source = _picture(w)
    args = _xyz(w, "[Tiled Diffusion] Keep the picture", "false,true", "[Tiled Diffusion] Freedom", "0,0.5", img2img=True)
    answer = w.call("/sdapi/v1/img2img", {
        **BASE, **WIDE, "init_images": [encoded(source)], "script_name": "x/y/z plot", "script_args": args,
        "alwayson_scripts": {"tiled diffusion": {"args": [True, {**TILES, "keep_size": False}]}},
    })  # fmt: skip
    cells = [_decoded(i) for i in answer["images"]][1:]
    distinct = {c.tobytes() for c in cells}
    assert len(distinct) == 3, f"{len(distinct)} different cells of {len(cells)}, plain ones are the same"
    return f"{len(cells)} cells"


@case("keep: the fold is in both tabs, and its controls are the script's arguments")
def _(w: Webui):
    for script in [s for s in w.call("/sdapi/v1/script-info") if s["name"] == "tiled diffusion"]:
        labels = [a["label"] for a in script["args"]]
        assert {"Keep the picture", "Freedom", "Accuracy", "Inversion steps"} <= set(labels), labels
    with page_of(w) as page:
        opened(page, "txt2img")
        page.locator("#td_txt2img_keep").scroll_into_view_if_needed()
        page.locator("#td_txt2img_keep .label-wrap").first.click()
        page.locator("#td_txt2img_keep_picture input").wait_for(state="visible")
        shot(page, "keep-fold")
