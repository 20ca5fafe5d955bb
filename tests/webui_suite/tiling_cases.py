"""Tiled Diffusion in the WebUI: grids, regions, stops, errors, records."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

import numpy as np

from .client import BASE, HOST, ApiError, Result, Webui, encoded, written
from .registry import Skipped, case, of_each

WIDE = {"width": 320, "height": 128}
TILES = {"tile_width_lp": 16, "tile_height_lp": 16, "overlap_lp": 6}
OTHER = "a blue tower on snow, night sky"


def whole(prompt: str = OTHER, **more) -> dict:
    """A region over everything: the job must be that of its prompt."""
    return {"regions": [{"prompt": prompt, "feather": 0, **more}]}


def same(a: Result, b: Result, most: int = 0) -> str:
    """Refuses pictures that differ by more than `most`."""
    found = a.difference(b)
    assert found <= most, f"pictures differ by {found}, at most {most} is allowed"
    return f"difference {found}"


def drawn(result: Result) -> None:
    """Refuses pictures of one colour."""
    for picture in result.pictures:
        assert picture.std() > 8, f"nothing is drawn (standard deviation {picture.std():.1f})"


@case("one tile is the plain job, every sampler")
def _(w: Webui):
    samplers = w.names("/sdapi/v1/samplers", "name")
    of_each(samplers, lambda name: same(w.txt2img(sampler_name=name), w.txt2img(sampler_name=name, tiled={})))
    return f"{len(samplers)} samplers"


@case("tiles are drawn and repeat, every sampler")
def _(w: Webui):
    samplers, blank, apart = w.names("/sdapi/v1/samplers", "name"), [], []

    def check(name: str) -> None:
        def job(**more) -> Result:
            return w.txt2img(sampler_name=name, **WIDE, **more)

        first = job(tiled=TILES)
        if is_blank(first) and is_blank(job()):
            blank.append(name)
            return
        drawn(first)
        said = repeated(first, job(tiled={**TILES, "tile_batch": 1}), job, TILES)
        apart.extend([f"{name}: {said}"] if said else [])

    of_each(samplers, check)
    return "; ".join([f"{len(samplers)} samplers", *apart] + ([f"blank, and without tiles too: {', '.join(blank)}"] if blank else []))


def is_blank(result: Result) -> bool:
    """Whether a picture is of one colour."""
    return any(picture.std() <= 8 for picture in result.pictures)


def repeated(first: Result, again: Result, job: Callable[..., Result], tiled: dict) -> str:
    """Refuses a picture of other tile batches that is further from the first one than the plain job's rounding explains.

    Model calls of another size round otherwise, which some samplers make larger. So it is measured what that does to
    the plain job, drawn alone and as the first of two; and what a millionth of other noise does to the first picture,
    for samplers that draw the pictures of a batch one by one, or choose their steps: one that is just refused or just
    taken is a leap. Returns the differences where they are larger than usual.

    Args:
        first: by the settings `tiled`.
        again: with other tile batches.
        job: draws the same with further values.
        tiled: settings.
    """
    difference = first.difference(again)
    if difference <= 2:
        return ""
    plain = job().difference(Result([job(batch_size=2).pictures[-2]], [], []))
    noise = first.difference(job(tiled=tiled, subseed=1, subseed_strength=1e-6))
    said = f"repeated, {difference} apart; plain jobs of other batches {plain}, a millionth of other noise {noise}"
    assert difference <= 2 * max(plain, noise), said
    return said


@case("every schedule type")
def _(w: Webui):
    schedules = w.names("/sdapi/v1/schedulers", "label")

    def check(name: str) -> None:
        same(w.txt2img(scheduler=name), w.txt2img(scheduler=name, tiled={}))
        drawn(w.txt2img(scheduler=name, tiled=TILES, **WIDE))

    of_each(schedules, check)
    return f"{len(schedules)} schedules"


@case("a region over everything is its prompt, every sampler")
def _(w: Webui):
    samplers = w.names("/sdapi/v1/samplers", "name")

    def check(name: str) -> None:
        same(w.txt2img(sampler_name=name, prompt=OTHER), w.txt2img(sampler_name=name, tiled=whole()), 2)

    of_each(samplers, check)
    return f"{len(samplers)} samplers"


PROMPTS = [
    ("AND", "a red house AND a blue sky :0.5"),
    ("prompt editing", "[a red house:a blue tower:0.5] on grass"),
    ("emphasis and BREAK", "(a red house:1.3) BREAK on snow"),
    ("long", "a red house, " * 30),
    ("AND of unequal length", "a red house AND " + "a blue tower, " * 30),
]


@case("a region's prompt means what the main one's does")
def _(w: Webui):
    for name, prompt in PROMPTS:
        for sampler in ("Euler a", "DPM++ SDE", "DDIM"):
            found = w.txt2img(prompt=prompt, sampler_name=sampler).difference(
                w.txt2img(tiled=whole(prompt), sampler_name=sampler)
            )
            assert found <= 2, f"{name}, {sampler}: {found}"


@case("a region under an AND prompt, and with a CFG scale of its own")
def _(w: Webui):
    both = {"prompt": "a red house AND a tree :0.7"}
    same(w.txt2img(prompt=OTHER), w.txt2img(tiled=whole(), **both), 2)
    same(w.txt2img(prompt=OTHER, cfg_scale=8), w.txt2img(tiled=whole(cfg_scale=8)), 2)
    same(w.txt2img(prompt=OTHER, cfg_scale=8), w.txt2img(tiled=whole(cfg_scale=8), **both), 2)
    long = {"prompt": "a red house, " * 30}
    return same(w.txt2img(prompt=OTHER, cfg_scale=8), w.txt2img(tiled=whole(cfg_scale=8), **long), 2)


@case("a region's negative prompt")
def _(w: Webui):
    plain = w.txt2img(prompt=OTHER, negative_prompt="stars")
    same(plain, w.txt2img(tiled=whole(negative_prompt="stars"), negative_prompt="grass"), 2)
    joined = w.txt2img(prompt=BASE["prompt"] + ", a tree", negative_prompt="grass, stars")
    region = whole("a tree", join="append", negative_prompt="stars")
    return same(joined, w.txt2img(tiled=region, negative_prompt="grass"), 2)


SPLITS = [
    ("batch_cond_uncond off", {"batch_cond_uncond": False}),
    ("NGMS", {"s_min_uncond_all": True}),
    ("skip early CFG", {"skip_early_cond": 0.4}),
    ("padded", {"pad_cond_uncond": True}),
    ("padded as before", {"pad_cond_uncond_v0": True}),
]


@case("rows in every arrangement")
def _(w: Webui):
    for name, options in SPLITS:
        w.options(**options)
        more = {"s_min_uncond": 3.0} if name == "NGMS" else {}
        if HOST == "reforge":
            w.options(**more)  # it asks the settings, and not the job
        try:
            for prompt in (OTHER, "a blue tower, " * 30):
                plain = w.txt2img(prompt=prompt, batch_size=2, **more)
                found = plain.difference(w.txt2img(tiled=whole(prompt), batch_size=2, **more))
                assert found <= 2, f"{name}: {found}"
                found = plain.difference(w.txt2img(tiled=whole(prompt, cfg_scale=5), batch_size=2, **more))
                assert found <= 2, f"{name}, own CFG scale: {found}"
        finally:
            w.options(batch_cond_uncond=True, s_min_uncond_all=False, skip_early_cond=0.0,
                      pad_cond_uncond=False, pad_cond_uncond_v0=False, s_min_uncond=0.0)  # fmt: skip


@case("two regions, each in its place")
def _(w: Webui):
    left, right = ({"prompt": p, "x": x, "w": 0.5, "feather": 0} for p, x in (("a tree", 0), ("a tower", 0.5)))
    base = w.txt2img(tiled={**TILES, "regions": [left, right]}, steps=1, **WIDE).pictures[0].astype(int)
    other = w.txt2img(tiled={**TILES, "regions": [left, {**right, "prompt": "night sky"}]}, steps=1, **WIDE)
    difference = np.abs(base - other.pictures[0].astype(int)).max(axis=(0, 2))
    assert difference[200:].max() > 5, "the changed region shows nothing"
    return f"left {difference[:120].mean():.2f}, right {difference[200:].mean():.2f}"


@case("foregrounds, masks, step ranges, bootstrapping, 64 regions")
def _(w: Webui):
    triangle = {"polygons": [[[0, 0], [1, 0], [0.5, 1]]]}
    found = [
        {"prompt": "a tree", "x": 0.1, "y": 0.2, "w": 0.3, "h": 0.7, "layer": "foreground", "feather": 0.4},
        {"prompt": "a tower", "x": 0.5, "w": 0.3, "mask": triangle, "bootstrap": 0.3, "layer": "foreground"},
        {"prompt": "snow", "y": 0.5, "h": 0.5, "step_from": 0.2, "step_to": 0.8},
    ]
    for sampler in ("Euler a", "DDIM", "UniPC"):
        drawn(w.txt2img(tiled={**TILES, "regions": found}, sampler_name=sampler, **WIDE))
    many = [{"prompt": "a tree", "x": i % 8 / 8, "y": i // 8 / 8, "w": 1 / 8, "h": 1 / 8} for i in range(64)]
    drawn(w.txt2img(tiled={**TILES, "regions": many}, steps=2, **WIDE))


@case("region seeds")
def _(w: Webui):
    region = {"prompt": BASE["prompt"], "x": 0.5, "w": 0.5, "feather": 0, "seed": 77}
    tiled = {**TILES, "regions": [region], "rerolls": [{"seed": 5, "w": 0.2}]}
    first = w.txt2img(tiled=tiled, batch_size=2, **WIDE)
    assert np.abs(first.pictures[0].astype(int) - first.pictures[1]).max() > 20, "both images are the same"
    record = json.loads(json.loads(field(first.infotexts[0], "Tiled Diffusion")))
    assert record["regions"][0]["seed"] == 77
    return same(first, w.txt2img(tiled=record, batch_size=2, **WIDE))


def field(infotext: str, name: str) -> str:
    """The raw value of a JSON field in a record's last line."""
    line = infotext.splitlines()[-1]
    start = line.index(f"{name}: ") + len(name) + 2
    _, end = json.JSONDecoder().raw_decode(line[start:])
    return line[start : start + end]


@case("batch size and count")
def _(w: Webui):
    batch = w.txt2img(tiled=TILES, batch_size=2, **WIDE)
    count = w.txt2img(tiled=TILES, n_iter=2, **WIDE)
    pictures = batch.pictures[-2:], count.pictures[-2:]
    worst = max(int(np.abs(a.astype(int) - b).max()) for a, b in zip(*pictures, strict=True))
    assert worst <= 2, worst
    return f"difference {worst}"


@case("hires fix: which pass is tiled, another sampler")
def _(w: Webui):
    hires = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent", "denoising_strength": 0.6, "width": 160}
    plain = w.txt2img(**hires)
    found = {p: w.txt2img(tiled={**TILES, "passes": p}, **hires) for p in ("both", "first", "hires")}
    for result in found.values():
        drawn(result)
        assert result.pictures[0].shape == (256, 320, 3)
        assert plain.difference(result) > 5, "nothing was tiled"
    assert found["first"].difference(found["hires"]) > 5
    asked = {"settings": {**TILES, "passes": "hires"}, "width": 320, "height": 256, "way": "hires fix"}
    told = w.call("/tiled-diffusion/plan", asked)["more"]
    assert any("320 x 256 px" in line and "hires fix, hires pass in tiles) took" in line for line in told), told
    drawn(w.txt2img(tiled=TILES, **{**hires, "hr_upscaler": "Lanczos", "hr_sampler_name": "DDIM"}))
    region = w.txt2img(tiled=whole(), enable_hr=True, hr_scale=1.25, hr_upscaler="Lanczos", denoising_strength=0.6)
    other = w.txt2img(prompt=OTHER, enable_hr=True, hr_scale=1.25, hr_upscaler="Lanczos", denoising_strength=0.6)
    return same(region, other, 2)


@case("refiner")
def _(w: Webui):
    titles = [m for m in w.names("/sdapi/v1/sd-models", "model_name") if m == "tiny"]
    if not titles:
        raise Skipped("there is no second checkpoint 'tiny'")
    more = {"refiner_checkpoint": "tiny", "refiner_switch_at": 0.5, "width": 128, "height": 128}
    same(w.txt2img(**more), w.txt2img(tiled={}, **more))
    return same(w.txt2img(prompt=OTHER, **more), w.txt2img(tiled=whole(), **more), 2)


def _picture(w: Webui, width: int = 320, height: int = 128) -> np.ndarray:
    return w.txt2img(width=width, height=height, steps=4).pictures[0]


@case("img2img, batch, enlarged input")
def _(w: Webui):
    source = _picture(w)
    plain = w.img2img(init_images=[encoded(source)], **WIDE)
    same(plain, w.img2img(init_images=[encoded(source)], tiled={"tile_width_lp": 40, "keep_size": False}, **WIDE))
    result = w.img2img(init_images=[encoded(source)], tiled=TILES, batch_size=2, **WIDE)
    drawn(result)
    large = w.img2img(init_images=[encoded(source)], tiled={**TILES, "upscaler": "Lanczos", "upscale_factor": 2.0})
    assert large.pictures[0].shape == (256, 640, 3), large.pictures[0].shape
    repeated = w.img2img(
        init_images=[encoded(source)], tiled={**TILES, "upscaler": "Lanczos", "upscale_factor": 2.0}, n_iter=2
    )
    assert [p.shape for p in repeated.pictures[-2:]] == [(256, 640, 3)] * 2
    return large.infotexts[0].splitlines()[-1][-120:]


@case("inpainting: whole picture, only masked, soft")
def _(w: Webui):
    source = _picture(w)
    mask = np.zeros((128, 320, 3), dtype=np.uint8)
    mask[40:100, 100:220] = 255
    more = {"init_images": [encoded(source)], "mask": encoded(mask), "mask_blur": 4, **WIDE}
    tiled = {**TILES, "keep_size": False}
    for options in ({"inpaint_full_res": False}, {"inpaint_full_res": True}, {"inpainting_fill": 2}):
        result = w.img2img(tiled=tiled, **more, **options)
        drawn(result)
        outside = np.abs(result.pictures[0].astype(int) - source)[:, 260:].max()
        assert outside <= 2, f"{options}: the outside changed by {outside}"
    soft = {"soft inpainting": {"args": [True, 1, 0.5, 4, 0, 0.5, 2]}}
    drawn(w.img2img(tiled=tiled, scripts=soft, **more))
    one = {**more, "width": 128, "height": 128, "init_images": [encoded(source[:, :128])], "mask": encoded(mask[:, 60:188])}
    both = []
    for job in ({"prompt": OTHER}, {"tiled": {**whole(), "keep_size": False}}):
        w.txt2img(steps=1)  # the host's encoder draws from what the last job has left
        both.append(w.img2img(**job, **one))
    return same(*both, 2)


@case("a size beyond the sliders")
def _(w: Webui):
    result = w.txt2img(tiled={**TILES, "width": 2304, "height": 128, "tile_batch": 8}, steps=2)
    assert result.pictures[0].shape == (128, 2304, 3)
    drawn(result)


ERRORS = [
    ({"tile_width": 3}, "settings.tile_width"),
    ({"tile_size": 64}, "unknown field 'tile_size'"),
    ({"version": 1, "tile_width": 64}, "'tile_width' is not in version 1"),
    ({"method": "none"}, "settings.method"),
    ({"tile_width_lp": 16, "overlap_lp": 16}, "overlap"),
    ("{", "no valid JSON"),
    ([1], "allowed is a JSON object"),
    ({"regions": [{"prompt": "a", "x": 2}]}, "regions[0].x"),
    ({"regions": [{"prompt": "a", "w": 0.5}], "fill": "none"}, "fill"),
]


@case("wrong settings are named, and the next job is as before")
def _(w: Webui):
    before = w.txt2img(**WIDE)
    for settings, text in ERRORS:
        try:
            w.txt2img(tiled=settings, **WIDE)
        except ApiError as e:
            assert e.status == 422, e
            assert text in json.loads(e.text)["detail"], e
        else:
            raise AssertionError(f"{settings} was accepted")
    return same(before, w.txt2img(**WIDE))


@case("JSON text, defaults, controls")
def _(w: Webui):
    object_form = w.txt2img(tiled=TILES, **WIDE)
    same(object_form, w.txt2img(tiled=json.dumps(TILES), **WIDE))
    same(w.txt2img(tiled={}, **WIDE), w.txt2img(tiled="", **WIDE))
    info = w.call("/sdapi/v1/script-info")
    found = [s for s in info if s["name"] == "tiled diffusion"]
    assert len(found) == 2
    assert all(a["label"] for s in found for a in s["args"]), "an argument has no label"


@case("Interrupt and Skip end a job soon, with a picture")
def _(w: Webui):
    big = {"width": 1024, "height": 512, "steps": 60, "tiled": {**TILES, "tile_batch": 1}}
    begun = time.monotonic()
    w.txt2img(**{**big, "steps": 1})
    one_step = time.monotonic() - begun  # and a decoding, which an interrupted job has to do too
    for path in ("/sdapi/v1/interrupt", "/sdapi/v1/skip"):
        found: list[Result] = []
        thread = threading.Thread(target=lambda: found.append(w.txt2img(**big)))  # noqa: B023 joined below
        thread.start()
        time.sleep(4)
        begun = time.monotonic()
        w.call(path, {})
        thread.join(240)
        assert found, "no picture"
        assert found[0].pictures[0].shape == (512, 1024, 3)
        seconds = time.monotonic() - begun
        assert seconds < 2 * one_step + 2, f"{path} took {seconds:.0f} s, and a job of one step {one_step:.0f} s"
    before = w.txt2img(**WIDE)
    same(before, w.txt2img(**WIDE))
    return f"{seconds:.0f} s after Skip, a job of one step {one_step:.0f} s"


@case("record: read back and pasted")
def _(w: Webui):
    tiled = {**TILES, "method": "jittered", "regions": [{"prompt": 'a "tree", <b>: AND\n雪', "x": 0.5, "w": 0.5}]}
    first = w.txt2img(tiled=tiled, **WIDE)
    record = json.loads(json.loads(field(first.infotexts[0], "Tiled Diffusion")))
    assert record == written(tiled), record
    parsed = w.call("/sdapi/v1/png-info", {"image": first.encoded[0]})["parameters"]
    assert json.loads(parsed["Tiled Diffusion"]) == record
    if HOST == "forge":
        return "its API answers 500 to any record"
    again = w.call("/sdapi/v1/txt2img", {"infotext": first.infotexts[0]})
    picture = Result([_decoded(again["images"][0])], [], [])
    return same(first, picture)


def _decoded(text: str) -> np.ndarray:
    import base64
    import io

    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB"))


@case("X/Y/Z plot axes")
def _(w: Webui):
    module = ["[Tiled Diffusion] Method", "mixture,spot", "[Tiled Diffusion] Tile overlap (px)", "16,64"]
    args = _xyz(w, *module)
    answer = w.call("/sdapi/v1/txt2img", {
        **BASE, **WIDE, "script_name": "x/y/z plot", "script_args": args,
        "alwayson_scripts": {"tiled diffusion": {"args": [True, TILES]}},
    })  # fmt: skip
    cells = [_decoded(i) for i in answer["images"]][1:]
    distinct = {c.tobytes() for c in cells}
    assert len(distinct) >= 3, f"{len(distinct)} different cells of {len(cells)}"
    return f"{len(cells)} cells"


def _xyz(w: Webui, x: str, x_values: str, y: str, y_values: str, img2img: bool = False) -> list:
    """Arguments of the plot script, which has more of them in some WebUIs: axes by their number in its list."""
    scripts = w.call("/sdapi/v1/script-info")
    info = next(s for s in scripts if s["name"] == "x/y/z plot" and s["is_img2img"] == img2img)["args"]
    choices, labels = info[0]["choices"], [argument["label"] for argument in info]
    said = {
        "X type": choices.index(x), "X values": x_values, "Y type": choices.index(y), "Y values": y_values, "Z type": 0, "Z values": "",
        "Draw legend": True, "Include Sub Images": True, "Use text inputs instead of dropdowns": True,
    }  # fmt: skip
    args = [[] if label in labels[:k] else argument["value"] for k, (label, argument) in enumerate(zip(labels, info, strict=True))]
    for label, value in said.items():
        args[labels.index(label)] = value
    return args


@case("SDXL")
def _(w: Webui):
    if "tiny-xl" not in w.names("/sdapi/v1/sd-models", "model_name"):
        raise Skipped("there is no checkpoint 'tiny-xl'")
    w.options(sd_model_checkpoint="tiny-xl", show_progress_type="Approx cheap")
    try:
        size = {"width": 512, "height": 256, "steps": 3}
        tiles = {"tile_width_lp": 32, "tile_height_lp": 32, "overlap_lp": 8}
        plain = {"width": 256, "height": 256, "steps": 3}
        same(w.txt2img(**plain), w.txt2img(tiled={}, **plain))
        found = w.txt2img(prompt=OTHER, **plain).difference(w.txt2img(tiled=whole(), **plain))
        assert found <= 2, found
        canvas = w.txt2img(tiled=tiles, **size)
        tile = w.txt2img(tiled={**tiles, "size_conditioning": "tile"}, **size)
        assert canvas.difference(tile) > 0
        two = [{"prompt": "a tree", "w": 0.5}, {"prompt": "a tower, " * 30, "x": 0.5, "w": 0.5, "cfg_scale": 3}]
        drawn(w.txt2img(tiled={**tiles, "regions": two}, batch_size=2, **size))
    finally:
        w.options(sd_model_checkpoint="tiny-landscapes")
