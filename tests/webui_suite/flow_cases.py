"""Stable Diffusion 3, 3.5 and Flux in the WebUIs that load them: tiny random models, each by the same cases.

Their checkpoints have to lie in the WebUI's folder: `tiny-sd3` in AUTOMATIC1111's, and in Forge's `tiny-sd35`,
`tiny-flux` and `tiny-schnell` besides.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from .client import HOST, ApiError, Result, Webui, encoded
from .control_cases import NO_MODULE, unit
from .picture_cases import all_kept
from .registry import Skipped, case, of_each
from .tiling_cases import OTHER, TILES, drawn, is_blank, repeated, same, whole
from .vae_cases import EXACT

HOSTS = {"tiny-sd3": ("a1111", "forge"), "tiny-sd35": ("forge",), "tiny-flux": ("forge",), "tiny-schnell": ("forge",)}
"""The WebUIs that load each of the models, and are known to draw it in tiles."""
CFG = {"tiny-sd3": 4, "tiny-sd35": 4, "tiny-flux": 1, "tiny-schnell": 1}
WIDE = {"width": 320, "height": 128, "steps": 4}
"""With Euler and the schedule "Automatic", Forge itself draws none of these models: it takes steps for noise levels."""
SIZES = {"version": 2, "tile_width": 128, "tile_height": 128, "overlap": 48}
VAE_SIZE = {"width": 512, "height": 384, "steps": 2}


@dataclass(frozen=True)
class Flow:
    """One of the models in a WebUI, for as long as a case lasts."""

    w: Webui
    name: str
    job: dict = field(default_factory=dict)

    def txt2img(self, **more) -> Result:
        return self.w.txt2img(**{**self.job, **more})

    def img2img(self, **more) -> Result:
        return self.w.img2img(**{**self.job, **more})

    def samplers(self, sure: bool = False) -> list[str]:
        """Names of samplers: all, or those that draw pictures of flows in every WebUI."""
        return ["Euler", "Euler a", "DPM++ 2M", "Heun"] if sure else self.w.names("/sdapi/v1/samplers", "name")


@contextmanager
def loaded(w: Webui, name: str):
    """The WebUI with such a model."""
    if HOST not in HOSTS[name]:
        raise Skipped(f"{HOST} does not load {name}, or refuses to draw it in tiles")
    if name not in w.names("/sdapi/v1/sd-models", "model_name"):
        raise Skipped(f"there is no checkpoint '{name}'")
    w.options(sd_model_checkpoint=name, show_progress_type="Approx cheap")
    scales = {"cfg_scale": CFG[name]} | ({} if HOST == "a1111" else {"hr_cfg": CFG[name]})
    scales |= {"distilled_cfg_scale": 2.5, "hr_distilled_cfg": 7} if name == "tiny-flux" else {}
    try:
        yield Flow(w, name, {"steps": 4, "sampler_name": "Euler", "scheduler": "Simple", **scales})
    finally:
        w.options(sd_model_checkpoint="tiny-landscapes")


def flow_case(what: str, names: tuple[str, ...] = tuple(HOSTS)) -> Callable:
    """Registers a case for each of the models."""

    def add(run: Callable[[Flow], str | None]) -> Callable:
        for name in names:

            def each(w: Webui, name: str = name) -> str | None:
                with loaded(w, name) as flow:
                    return run(flow)

            case(f"{name}: {what}")(each)
        return run

    return add


def tried(f: Flow, sampler: str, **more) -> Result | None:
    """The host's plain picture; None where the host itself draws none of such a model with a sampler."""
    try:
        return f.txt2img(sampler_name=sampler, **more)
    except ApiError:
        return None


@flow_case("one tile is the plain job, every sampler")
def _(f: Flow):
    cannot = []

    def check(name: str) -> None:
        plain = tried(f, name)
        if plain is None:
            cannot.append(name)
        else:
            same(plain, f.txt2img(sampler_name=name, tiled={}))

    of_each(f.samplers(), check)
    return f"{len(f.samplers()) - len(cannot)} samplers" + (f"; the host draws nothing with {', '.join(cannot)}" if cannot else "")


@flow_case("one tile is the plain job, every schedule type")
def _(f: Flow):
    schedules = f.w.names("/sdapi/v1/schedulers", "label")
    for name in schedules:
        plain = tried(f, "Euler", scheduler=name)
        if plain is not None:
            same(plain, f.txt2img(scheduler=name, tiled={}))
    return f"{len(schedules)} schedules"


@flow_case("tiles are drawn and repeat, every sampler")
def _(f: Flow):
    drew, apart = [], []

    def check(name: str) -> None:
        def job(**more) -> Result:
            return f.txt2img(sampler_name=name, **WIDE, **more)

        plain = tried(f, name, **WIDE)
        if plain is None:
            return
        first = job(tiled=TILES)
        said = repeated(first, job(tiled={**TILES, "tile_batch": 1}), job, TILES)
        apart.extend([f"{name}: {said}"] if said else [])
        if not is_blank(plain):
            drawn(first)
            assert first.difference(plain) > 2, "the untiled picture"
            drew.append(name)

    of_each(f.samplers(), check)
    return "; ".join([f"{len(drew)} samplers", *apart])


@flow_case("a region over everything is its prompt, every sampler")
def _(f: Flow):
    drew = []

    def check(name: str) -> None:
        plain = tried(f, name, prompt=OTHER)
        if plain is not None:
            same(plain, f.txt2img(sampler_name=name, tiled=whole()), 2)
            drew.append(name)

    of_each(f.samplers(), check)
    return f"{len(drew)} samplers"


PROMPTS = {
    "AND": "a red house AND a blue sky :0.5",
    "prompt editing": "[a red house:a blue tower:0.5] on grass",
    "long": "a red house, " * 60,
    "AND of unequal length": "a red house AND " + "a blue tower, " * 60,
}
"""The long ones are longer than a chunk of each of the text encoders."""


@flow_case("a region's prompt means what the main one's does, its negative prompt and its seed too")
def _(f: Flow):
    guided = {"cfg_scale": 4}
    for name, prompt in PROMPTS.items():
        plain = tried(f, "Euler", prompt=prompt, **guided)
        if plain is None:
            continue  # the host itself cannot put texts of such lengths together
        found = plain.difference(f.txt2img(prompt=prompt, tiled=whole(prompt), **guided))
        assert found <= 2, f"{name}: {found}"
    same(f.txt2img(prompt=OTHER, negative_prompt="stars", **guided), f.txt2img(tiled=whole(negative_prompt="stars"), negative_prompt="grass", **guided), 2)
    region = {**TILES, "regions": [{"prompt": "a tree", "x": 0.5, "w": 0.5, "feather": 0, "seed": 77}]}
    two = f.txt2img(tiled=region, batch_size=2, **WIDE)
    other = f.txt2img(tiled={**region, "regions": [{**region["regions"][0], "seed": 78}]}, batch_size=2, **WIDE)
    change = np.abs(two.pictures[-1].astype(int) - other.pictures[-1]).mean(axis=(0, 2))
    assert change[240:].mean() > 2 * change[:80].mean(), change
    return f"left {change[:80].mean():.1f}, right {change[240:].mean():.1f}"


@flow_case("with T5: a region over everything is its prompt, of any length", ("tiny-sd3", "tiny-sd35"))
def _(f: Flow):
    """Only Forge reads the setting without loading the model anew."""
    if HOST != "forge":
        raise Skipped("the setting needs another model to be loaded before")
    f.w.options(persistent_cond_cache=False)
    without = f.txt2img(prompt=OTHER)
    f.w.options(sd3_enable_t5=True)
    try:
        assert f.txt2img(prompt=OTHER).difference(without) > 2, "T5 says nothing"
        for name, prompt in {"short": "snow, a tower", "long": "snow, a tower, " * 60, "AND": "snow AND a tower"}.items():
            found = f.txt2img(prompt=prompt).difference(f.txt2img(tiled=whole(prompt)))
            assert found <= 2, f"{name}: {found}"
    finally:
        f.w.options(sd3_enable_t5=False, persistent_cond_cache=True)


@flow_case("regions in their places, with masks, steps, foregrounds and bootstrapping, by two samplers")
def _(f: Flow):
    left, right = ({"prompt": p, "x": x, "w": 0.5, "feather": 0} for p, x in (("a tree", 0), ("a tower", 0.5)))
    base = f.txt2img(tiled={**TILES, "regions": [left, right]}, **WIDE).pictures[0].astype(int)
    other = f.txt2img(tiled={**TILES, "regions": [left, {**right, "prompt": "night sky"}]}, **WIDE).pictures[0]
    change = np.abs(base - other).mean(axis=(0, 2))
    assert change[240:].mean() > 2 * change[:80].mean(), (change[:80].mean(), change[240:].mean())
    triangle = {"polygons": [[[0, 0], [1, 0], [0.5, 1]]]}
    several = [
        {"prompt": "a tree", "x": 0.1, "y": 0.2, "w": 0.3, "h": 0.7, "layer": "foreground", "feather": 0.4},
        {"prompt": "a tower " * 80, "x": 0.5, "w": 0.3, "mask": triangle, "bootstrap": 0.3, "layer": "foreground"},
        {"prompt": "snow", "y": 0.5, "h": 0.5, "step_from": 0.2, "step_to": 0.8, "cfg_scale": 3},
    ]
    for sampler in ("Euler a", "DPM++ 2M"):
        drawn(f.txt2img(tiled={**TILES, "regions": several}, sampler_name=sampler, **WIDE))
    return f"left {change[:80].mean():.1f}, right {change[240:].mean():.1f}"


@flow_case("a region's own scale is that of a job with it")
def _(f: Flow):
    """The CFG scale; for Flux dev, which is told its guidance, that."""
    told = f.name == "tiny-flux"
    key = "distilled_cfg_scale" if told else "cfg_scale"
    if f.name == "tiny-schnell":
        guided = {"cfg_scale": 4}
        return same(f.txt2img(prompt=OTHER, cfg_scale=6), f.txt2img(tiled=whole(cfg_scale=6), **guided), 2)
    plain = f.txt2img(prompt=OTHER, **{key: 9})
    assert plain.difference(f.txt2img(prompt=OTHER)) > 2, "the scale changes nothing"
    if told:
        same(f.txt2img(prompt=OTHER, distilled_cfg_scale=2), f.txt2img(tiled=whole(), distilled_cfg_scale=2), 2)
    return same(plain, f.txt2img(tiled=whole(cfg_scale=9)), 2)


@flow_case("every method, wide and square, and a canvas of an odd number of patches")
def _(f: Flow):
    for method in ("multidiffusion", "mixture", "spot", "jittered"):
        overlap = {} if method in ("spot", "jittered") else {"overlap_lp": 8}
        drawn(f.txt2img(tiled={"tile_width_lp": 16, "tile_height_lp": 16, **overlap, "method": method}, **{**WIDE, "width": 336, "height": 272}))
    drawn(f.txt2img(tiled={**SIZES, "dilated": True}, **{**WIDE, "width": 2048, "steps": 2}))


@flow_case("ElasticDiffusion, from noise alone on")
def _(f: Flow):
    job = {"width": 1280, "height": 1024, "steps": 2, "cfg_scale": 4}
    result = f.txt2img(tiled={"version": 2, "method": "elastic"}, **job)
    drawn(result)
    assert result.difference(f.txt2img(tiled={"version": 2}, **job)) > 2


@flow_case("positions in the canvas: one tile is the plain job, tiles come nearer to it in Stable Diffusion 3")
def _(f: Flow):
    canvas, job = {**SIZES, "positions": "canvas"}, {**WIDE, "steps": 1}
    plain = f.txt2img(**job)
    same(plain, f.txt2img(tiled={**canvas, "tile_width": 320}, **job))
    own, told = f.txt2img(tiled=SIZES, **job), f.txt2img(tiled=canvas, **job)
    assert told.difference(own) > 0, "nothing was told"
    same(told, f.txt2img(tiled=canvas, **job))
    assert told.difference(f.txt2img(tiled={**canvas, "tile_batch": 1}, **job)) <= 2
    off = [float(np.abs(r.pictures[0].astype(float) - plain.pictures[0]).mean()) for r in (own, told)]
    assert f.name in {"tiny-flux", "tiny-schnell"} or off[1] < 0.8 * off[0], f"off by {off[0]:.2f} and {off[1]:.2f}"
    f.txt2img(tiled={**canvas, "wrap_x": True, "regions": [{"prompt": "a tree", "w": 0.4}]}, **WIDE)
    return f"off the untiled picture by {off[0]:.2f} of 255, and {off[1]:.2f}"


@flow_case("hires fix: one tile is the plain job, tiles in each pass")
def _(f: Flow):
    hires = {"enable_hr": True, "hr_scale": 1.5, "denoising_strength": 0.6}
    for upscaler in ("Latent", "Lanczos"):
        same(f.txt2img(hr_upscaler=upscaler, **hires), f.txt2img(hr_upscaler=upscaler, tiled={}, **hires))
        found = f.txt2img(prompt=OTHER, hr_upscaler=upscaler, **hires)
        same(found, f.txt2img(hr_upscaler=upscaler, tiled=whole(), **hires), 2)
    plain = f.txt2img(hr_upscaler="Latent", **hires, **WIDE)
    passes = [f.txt2img(tiled={**TILES, "passes": p}, hr_upscaler="Latent", **hires, **WIDE) for p in ("both", "first", "hires")]
    for result in passes:
        drawn(result)
        assert plain.difference(result) > 2, "nothing was tiled"


def _settled(f: Flow, **more) -> Result:
    """After another job, since Forge's encoder draws from what the last one has left."""
    f.txt2img(steps=1)
    return f.img2img(**more)


@flow_case("img2img and inpainting: one tile is the plain job, tiles and batches are drawn")
def _(f: Flow):
    source = f.txt2img(**WIDE).pictures[0]
    small = {"init_images": [encoded(source[:, :128])]}
    one = same(_settled(f, **small), _settled(f, tiled={"keep_size": False}, **small))
    other = same(_settled(f, prompt=OTHER, **small), _settled(f, tiled={**whole(), "keep_size": False}, **small), 2)
    tiles = {**TILES, "keep_size": False}
    drawn(f.img2img(tiled=tiles, batch_size=2, **{**WIDE, "init_images": [encoded(source)]}))
    large = f.img2img(tiled={**TILES, "upscaler": "Lanczos", "upscale_factor": 2.0}, init_images=[encoded(source)])
    assert large.pictures[0].shape == (256, 640, 3), large.pictures[0].shape
    mask = np.zeros((128, 320, 3), dtype=np.uint8)
    mask[40:100, 100:220] = 255
    masked = {**WIDE, "init_images": [encoded(source)], "mask": encoded(mask), "mask_blur": 4}
    for options in ({"inpaint_full_res": False}, {"inpaint_full_res": True}):
        result = f.img2img(tiled=tiles, **masked, **options)
        outside = np.abs(result.pictures[0].astype(int) - source)[:, 260:].max()
        assert outside <= 2, f"{options}: the outside changed by {outside}"
    return f"plain: {one}, a region: {other}"


@flow_case("rings: noise that is turned gives the picture turned, both axes, with the VAE's panel and without")
def _(f: Flow):
    """The noise is turned by tiles' distance, so that each tile sees what another one saw."""
    said = []
    for axis, size, wrap in ((1, {"width": 320, "height": 128}, "wrap_x"), (0, {"width": 128, "height": 320}, "wrap_y")):
        job = {**WIDE, **size}
        turn = {"scripts": {"suite helper": {"args": [f"roll {'yx'[axis]} 10"]}}}
        for vae in (None, EXACT):
            ring = {"tiled": {**TILES, wrap: True}, "vae": vae, **job}
            first, turned = f.txt2img(**ring).pictures[0], f.txt2img(**ring, **turn).pictures[0]
            gap = np.abs(np.roll(first, 80, axis).astype(int) - turned).max()
            assert gap <= 2, f"{wrap}: {gap}"
            open_ends = {**ring, "tiled": TILES}
            apart = np.abs(np.roll(f.txt2img(**open_ends).pictures[0], 80, axis).astype(int) - f.txt2img(**open_ends, **turn).pictures[0])
            assert apart.max() > 20, f"{wrap}: no seam without a ring"
            said.append(f"{wrap} {gap}, open {apart.max()}")
    return "; ".join(said)


@flow_case("VAE exact within 1/255: txt2img, img2img, hires, with tiles; fast is drawn")
def _(f: Flow):
    plain = f.txt2img(**VAE_SIZE)
    said = [same(plain, f.txt2img(vae={**EXACT, "decoder_tile_lp": tile}, **VAE_SIZE), 1) for tile in (32, 48)]
    more = {"init_images": [plain.encoded[0]], **VAE_SIZE}
    said.append(same(_settled(f, **more), _settled(f, vae=EXACT, **more), 1))
    hires = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Lanczos", "denoising_strength": 0.4, "width": 256, "height": 192}
    said.append(same(f.txt2img(**hires), f.txt2img(vae={"mode": "exact", "decoder_tile_lp": 32, "encoder_tile_px": 256}, **hires), 1))
    said.append(same(f.txt2img(tiled=TILES, **VAE_SIZE), f.txt2img(tiled=TILES, vae=EXACT, **VAE_SIZE), 1))
    fast = np.abs(f.txt2img(vae={"mode": "fast"}, **VAE_SIZE).pictures[0].astype(int) - plain.pictures[0])
    return ", ".join(said) + f", fast {fast.mean():.1f} on average"


@flow_case("pictures: what is kept to the end is the same with several samplers, in both passes and img2img")
def _(f: Flow):
    settings, first = all_kept(f.w), None
    for name in f.samplers(sure=True):
        result = f.txt2img(sampler_name=name, tiled=settings, **WIDE)
        first = first or result
        assert result.difference(first) <= 1, f"{name}: {result.difference(first)}"
    source = f.txt2img(prompt="snow, night sky", **WIDE)
    again = f.img2img(init_images=[source.encoded[0]], tiled={**settings, "keep_size": False}, **WIDE)
    assert again.difference(first) <= 1, again.difference(first)
    half = {**settings, "regions": [{**settings["regions"][0], "keep": 0.5}]}
    plain, held = f.txt2img(**WIDE).pictures[0].astype(float), f.txt2img(tiled=half, **WIDE).pictures[0].astype(float)
    gaps = [np.abs(p - first.pictures[0])[:, :140].mean() for p in (plain, held)]
    assert gaps[1] < gaps[0], gaps
    return f"kept for half of the sampling: {gaps[1]:.1f} away, not kept: {gaps[0]:.1f}"


@flow_case("keep the picture: the same one comes back from weak and from strong noise; with freedom 1 plain img2img, bit for bit")
def _(f: Flow):
    """A random VAE gives another picture back than it got, so that the one to come back is not known."""
    keep = {**SIZES, "keep_picture": True, "inversion_freedom": 0.0, "inversion_rounds": 3, "keep_size": False}
    more = {"init_images": f.txt2img(**WIDE).encoded[:1], **WIDE, "steps": 20, "cfg_scale": 1}
    gaps = {}
    for on in (True, False):
        weak, strong = (f.img2img(tiled={**keep, "keep_picture": on}, denoising_strength=s, **more) for s in (0.2, 0.6))
        drawn(strong)
        gaps[on] = float(np.abs(weak.pictures[0].astype(float) - strong.pictures[0]).mean())
    assert gaps[True] < 0.3 * gaps[False], gaps
    same(_settled(f, tiled={**keep, "inversion_freedom": 1.0}, **more), _settled(f, tiled={**keep, "keep_picture": False}, **more))
    drawn(f.img2img(tiled={**keep, "inversion_prompt": "empty"}, **more))
    return f"{gaps[True]:.1f} apart, fresh noise {gaps[False]:.1f}"


@flow_case("growth, prompts by content, lists of prompts, the records")
def _(f: Flow):
    grown = f.txt2img(tiled={**SIZES, "grow": True, "growth_stages": 1}, **{**WIDE, "width": 256, "height": 256})
    assert grown.pictures[0].shape == (256, 256, 3), grown.pictures[0].shape
    source = f.txt2img(**WIDE)
    content = {**SIZES, "tile_prompts": "content", "keep_size": False}
    drawn(f.img2img(tiled=content, prompt="a red house, green grass, blue sky", init_images=source.encoded[:1], **WIDE))
    listed = {**SIZES, "tile_prompts": "list", "tile_texts": [{"w": 0.5, "prompt": "a tree"}, {"x": 0.5, "w": 0.5, "prompt": "night sky"}]}
    result = f.txt2img(tiled=listed, **WIDE)
    drawn(result)
    assert result.difference(f.txt2img(tiled=SIZES, **WIDE)) > 2, "the list changes nothing"
    assert "Tiled Diffusion: " in result.infotexts[0]


@flow_case("ControlNet with tiles is refused by name")
def _(f: Flow):
    try:
        names = [m for m in f.w.call("/controlnet/model_list")["model_list"] if m.startswith("tiny_canny")]
    except ApiError:
        names = []
    if not names:
        raise Skipped("there is no ControlNet 'tiny_canny' here")
    try:
        f.txt2img(tiled=TILES, scripts=unit(module=NO_MODULE, model=names[0]), **WIDE)
    except ApiError as e:
        assert e.status == 422, e
        assert "ControlNet: Stable Diffusion 3 and Flux are not drawn in tiles with it here" in str(e), e
        return
    raise AssertionError("drawn")


@flow_case("an interrupt leaves nothing behind")
def _(f: Flow):
    import threading
    import time

    before, big = f.txt2img(**WIDE), {**WIDE, "width": 768, "height": 512, "steps": 80}
    thread = threading.Thread(target=lambda: f.txt2img(tiled={**TILES, "tile_batch": 1}, **big))
    thread.start()
    while not f.w.call("/sdapi/v1/progress?skip_current_image=true")["state"]["sampling_step"]:
        time.sleep(0.1)
    f.w.call("/sdapi/v1/interrupt", {})
    thread.join(240)
    return same(before, f.txt2img(**WIDE))
