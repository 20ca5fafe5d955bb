"""The tiled VAE in the WebUI: an exact job is the untiled one, and nothing of it outlives its job."""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .client import BASE, HOST, ApiError, Result, Webui, encoded, vae_written
from .registry import Skipped, case
from .tiling_cases import TILES, _decoded, _xyz, drawn, field, same

EXACT = {"mode": "exact", "decoder_tile_lp": 48, "encoder_tile_px": 256}
SMALL = {"mode": "exact", "decoder_tile_lp": 16, "encoder_tile_px": 128}
SIZE = {"width": 512, "height": 384, "steps": 2}
LARGE = {"width": 1024, "height": 768, "steps": 2}
HIRES = {"enable_hr": True, "hr_scale": 2, "denoising_strength": 0.4, "width": 512, "height": 384, "steps": 2}
VAES = Path(tempfile.gettempdir()) / "webui-suite-vaes"


def settled(job: Callable[..., Result], **more) -> Result:
    """A plain job once it repeats itself: the host's first one of a new kind now and then differs from all later ones."""
    last = job(**more)
    for _ in range(3):
        before, last = last, job(**more)
        if last.difference(before) == 0:
            return last
    raise AssertionError("the host does not repeat itself")


@case("VAE exact: txt2img within 1/255")
def _(w: Webui):
    plain = w.txt2img(**LARGE)
    return ", ".join(
        f"tile {tile}: {same(plain, w.txt2img(vae={'mode': 'exact', 'decoder_tile_lp': tile}, **LARGE), 1)}"
        for tile in (48, 64)
    )


@case("VAE exact: every place for activations within 1/255")
def _(w: Webui):
    plain = w.txt2img(**SIZE)
    return ", ".join(
        f"{place}: {same(plain, w.txt2img(vae={**EXACT, 'offload': place}, **SIZE), 1)}"
        for place in ("device", "host", "recompute")
    )


@case("VAE exact: img2img within 1/255")
def _(w: Webui):
    source = encoded(w.txt2img(**SIZE).pictures[0])
    more = {"init_images": [source], **SIZE, "denoising_strength": 0.4}
    return ", ".join(
        f"{name} 2: {same(settled(w.img2img, **more, **{name: 2}), w.img2img(vae=EXACT, **more, **{name: 2}), 1)}"
        for name in ("batch_size", "n_iter")
    )


@case("VAE exact: inpainting within 1/255, within 2/255 where the host resizes the result")
def _(w: Webui):
    source = w.txt2img(**SIZE).pictures[0]
    mask = np.zeros_like(source)
    mask[100:250, 150:350] = 255
    more = {"init_images": [encoded(source)], "mask": encoded(mask), **SIZE, "batch_size": 2}
    masked = same(w.img2img(**more), w.img2img(vae=EXACT, **more), 2)
    more["inpaint_full_res"] = False
    return f"whole picture: {same(w.img2img(**more), w.img2img(vae=EXACT, **more), 2)}, only masked: {masked}"


@case("VAE exact: hires to 1024x768 within 1/255")
def _(w: Webui):
    found = []
    for upscaler, tile in (("Latent", 48), ("Lanczos", 64)):
        wish = {"mode": "exact", "decoder_tile_lp": tile, "encoder_tile_px": 8 * tile}
        plain = w.txt2img(hr_upscaler=upscaler, **HIRES)
        found.append(f"{upscaler}, tile {tile}: {same(plain, w.txt2img(vae=wish, hr_upscaler=upscaler, **HIRES), 1)}")
    return "; ".join(found)


@case("VAE untiled and auto on a small picture: bit for bit")
def _(w: Webui):
    plain = w.txt2img(**SIZE)
    same(plain, w.txt2img(vae={"mode": "untiled"}, **SIZE))
    return same(plain, w.txt2img(vae={}, **SIZE))


@case("VAE with Tiled Diffusion")
def _(w: Webui):
    return same(w.txt2img(tiled=TILES, **SIZE), w.txt2img(tiled=TILES, vae=EXACT, **SIZE), 1)


@case("VAE follows the ring of Tiled Diffusion")
def _(w: Webui):
    ring = {"tiled": {**TILES, "wrap_x": True}, **SIZE}
    follows = w.txt2img(vae=EXACT, **ring)
    same(follows, w.txt2img(vae={**EXACT, "wrap_x": True}, **ring))
    found = follows.difference(w.txt2img(vae={**EXACT, "wrap_x": False}, **ring))
    assert found > 1, "the ring changed nothing"
    return f"the border differs by {found} without it"


@case("VAE live previews by the VAE leave the picture alone")
def _(w: Webui):
    plain = w.txt2img(**{**SIZE, "steps": 8})
    w.options(show_progress_type="Full", show_progress_every_n_steps=1)
    try:
        found, previews = _watched(w, lambda: w.txt2img(vae=SMALL, **{**SIZE, "steps": 8}))
    finally:
        w.options(show_progress_type="Approx cheap", show_progress_every_n_steps=10)
    assert previews, "no preview was shown"
    return f"{same(plain, found, 1)}, {previews} previews"


def _watched(w: Webui, job) -> tuple[Result, int]:
    """The result of a job, and how many different previews were seen on the way."""
    found: list[Result] = []
    thread = threading.Thread(target=lambda: found.append(job()))
    thread.start()
    seen = set()
    while thread.is_alive():
        seen.add(w.call("/sdapi/v1/progress")["current_image"])
        time.sleep(0.05)
    thread.join()
    return found[0], len(seen - {None})


@case("VAE modes, record, errors")
def _(w: Webui):
    for mode in ("auto", "fast", "untiled"):
        drawn(w.txt2img(vae={"mode": mode}, **SIZE))
    result = w.txt2img(vae=json.dumps(EXACT), **SIZE)
    assert json.loads(json.loads(field(result.infotexts[0], "Tiled VAE"))) == vae_written(EXACT)
    parsed = w.call("/sdapi/v1/png-info", {"image": result.encoded[0]})["parameters"]
    assert json.loads(parsed["Tiled VAE"]) == vae_written(EXACT)
    if HOST != "forge":  # its API answers 500 to any record
        again = w.call("/sdapi/v1/txt2img", {"infotext": result.infotexts[0]})
        same(result, Result([_decoded(again["images"][0])], [], []))
        assert "Tiled VAE: " in json.loads(again["info"])["infotexts"][0], "the pasted record did not switch the VAE on"
    assert "Tiled VAE" not in w.txt2img(**SIZE).infotexts[0]


ERRORS = [
    ({"mode": "best"}, "mode: got 'best'"),
    ({"tile": 1}, "unknown field 'tile'"),
    ({"decoder_tile_lp": 4}, "decoder_tile_lp: got 4"),
    ({"encoder_tile_px": "big"}, "encoder_tile_px: got 'big'"),
    ({"move_to_gpu": 1}, "move_to_gpu: got 1"),
    ({"mode": "untiled", "wrap_x": True}, "wrap_x"),
    ({"version": 3}, "reads up to 2"),
    ("[", "JSON"),
    ([1], "JSON object"),
]


@case("VAE wrong settings are named, and the next job is as before")
def _(w: Webui):
    before = w.txt2img(**SIZE)
    for settings, text in ERRORS:
        for job in (w.txt2img, lambda **more: w.img2img(init_images=[before.encoded[0]], **more)):
            try:
                job(vae=settings, **SIZE)
            except ApiError as e:
                assert e.status == 422, e
                assert text in json.loads(e.text)["detail"], e
            else:
                raise AssertionError(f"{settings} was accepted")
    return same(before, w.txt2img(**SIZE))


@case("VAE Interrupt stops within a tile, with the host's preview")
def _(w: Webui):
    found = []
    once = {**LARGE, "steps": 1}
    for name, more, size in (
        ("decoding", once, (768, 1024)),
        ("hires, first decoding", {**HIRES, "steps": 1, "hr_upscaler": "Lanczos"}, (384, 512)),
        ("a batch", {**once, "batch_size": 2}, (768, 1024)),
    ):
        seconds, result = _interrupted(w, more)
        assert result.pictures[-1].shape[:2] == size, f"{name}: {result.pictures[-1].shape}"
        assert seconds < 3, f"{name}: {seconds:.1f} s"
        found.append(f"{name}: {seconds:.1f} s")
    source = encoded(np.zeros((768, 1024, 3), np.uint8))
    seconds, result = _interrupted(w, {**once, "init_images": [source]}, "/sdapi/v1/img2img")
    assert seconds < 3, seconds
    same(w.txt2img(**SIZE), w.txt2img(vae=EXACT, **SIZE), 1)
    return f"{'; '.join(found)}; encoding: {seconds:.1f} s"


def _interrupted(w: Webui, more: dict, path: str = "/sdapi/v1/txt2img") -> tuple[float, Result]:
    """Seconds from Interrupt, pressed as soon as tiles are seen to run, to the answer; and the answer."""
    found: list[Result] = []
    thread = threading.Thread(target=lambda: found.append(w.job(path, vae=SMALL, **more)))
    thread.start()
    while "Tiled VAE" not in (w.call("/sdapi/v1/progress?skip_current_image=true")["textinfo"] or ""):
        assert thread.is_alive(), "no tile was seen"
        time.sleep(0.05)
    begun = time.monotonic()
    w.call("/sdapi/v1/interrupt", {})
    thread.join(60)
    return time.monotonic() - begun, found[0]


@case("VAE Interrupt while the sampler runs: a whole decoding, as the host does")
def _(w: Webui):
    found: list[Result] = []
    thread = threading.Thread(target=lambda: found.append(w.txt2img(vae=EXACT, **{**SIZE, "steps": 150})))
    thread.start()
    while not w.call("/sdapi/v1/progress?skip_current_image=true")["state"]["sampling_step"]:
        time.sleep(0.05)
    w.call("/sdapi/v1/interrupt", {})
    thread.join(120)
    assert found[0].pictures[0].shape == (384, 512, 3)


@case("VAE X/Y/Z plot axes")
def _(w: Webui):
    args = _xyz(w, "[Tiled VAE] VAE mode", "off,Exact", "[Tiled VAE] Decoder tile (px)", "128,256")
    answer = w.call("/sdapi/v1/txt2img", {**BASE, **SIZE, "script_name": "x/y/z plot", "script_args": args})
    records = json.loads(answer["info"])["infotexts"][-4:]
    tiles = [json.loads(json.loads(field(r, "Tiled VAE"))).get("decoder_tile") for r in records if "Tiled VAE" in r]
    assert set(tiles) == {128, 256}, records
    cells = [_decoded(i) for i in answer["images"]][-4:]
    worst = max(int(np.abs(cells[0].astype(int) - c).max()) for c in cells)
    assert worst <= 1, worst
    return f"difference {worst}"


def _helped(w: Webui, what: str, **more) -> Result:
    if "suite helper" not in w.call("/sdapi/v1/scripts")["txt2img"]:
        raise Skipped("the suite's own extension is not there")
    return w.txt2img(scripts={"suite helper": {"args": [what]}}, **more)


@case("VAE leaves nothing behind")
def _(w: Webui):
    found = _helped(w, "state", vae=EXACT, **SIZE).infotexts[0]
    assert found == "left: []", found


@case("VAE steps aside where another extension has its hook")
def _(w: Webui):
    plain = w.txt2img(**SIZE)
    result = _helped(w, "hook", vae=EXACT, **SIZE)
    assert result.infotexts[0] == "hook calls: 1", result.infotexts[0]
    return same(plain, result)


@case("VAE another checkpoint in the hires pass, and a refiner")
def _(w: Webui):
    if "tiny" not in w.names("/sdapi/v1/sd-models", "model_name"):
        raise Skipped("there is no second checkpoint 'tiny'")
    hires = {**HIRES, "width": 256, "height": 192, "hr_upscaler": "Lanczos", "hr_checkpoint_name": "tiny"}
    refined = {**SIZE, "steps": 4, "refiner_checkpoint": "tiny", "refiner_switch_at": 0.5}
    return ", ".join(
        f"{name}: {same(settled(w.txt2img, **more), w.txt2img(vae=EXACT, **more), 1)}"
        for name, more in (("hires", hires), ("refiner", refined))
    )


@case("VAE of SDXL")
def _(w: Webui):
    if "tiny-xl" not in w.names("/sdapi/v1/sd-models", "model_name"):
        raise Skipped("there is no checkpoint 'tiny-xl'")
    w.options(sd_model_checkpoint="tiny-xl")
    try:
        plain = w.txt2img(**SIZE)
        both = same(plain, w.txt2img(vae=EXACT, **SIZE), 1)
        more = {"init_images": [plain.encoded[0]], **SIZE}
        return f"{both}, img2img {same(w.img2img(**more), w.img2img(vae=EXACT, **more), 1)}"
    finally:
        w.options(sd_model_checkpoint="tiny-landscapes")


@case("VAE stand-ins (approximations) are left alone")
def _(w: Webui):
    w.options(sd_vae_decode_method="Approx cheap")
    try:
        return same(w.txt2img(**SIZE), w.txt2img(vae=EXACT, **SIZE))
    finally:
        w.options(sd_vae_decode_method="Full")


@case("VAE file chosen in the settings", ("--vae-dir", str(VAES)))
def _(w: Webui):
    from safetensors.torch import load_file, save_file

    checkpoint = Path(w.call("/sdapi/v1/sd-models")[0]["filename"]).parent / "tiny-landscapes.safetensors"
    prefix = "first_stage_model."
    weights = {k.removeprefix(prefix): v for k, v in load_file(checkpoint).items() if k.startswith(prefix)}
    weights["decoder.conv_out.bias"] = weights["decoder.conv_out.bias"] + 0.3
    VAES.mkdir(exist_ok=True)
    save_file(weights, VAES / "brighter.safetensors")
    w.call("/sdapi/v1/refresh-vae", {})
    before = w.txt2img(vae=EXACT, **SIZE)
    w.options(sd_vae="brighter.safetensors")
    after = w.txt2img(vae=EXACT, **SIZE)
    assert before.difference(after) > 10, "the other VAE changed nothing"
    found = same(w.txt2img(**SIZE), after, 1)
    override = {"override_settings": {"sd_vae": "None"}}
    plain, ours = w.txt2img(**SIZE, **override), w.txt2img(vae=EXACT, **SIZE, **override)
    back = "" if plain.difference(before) <= 1 else ", with which the host itself does not go back"
    return f"{found}; by override{back} {same(plain, ours, 1)}"


@case("VAE overflow: the host's second try in bfloat16", ("--disable-opt-split-attention",))
def _(w: Webui):
    plain = w.txt2img(**SIZE)
    w.options(auto_vae_precision_bfloat16=False, auto_vae_precision=False)
    try:
        _helped(w, "overflow", vae=EXACT, **SIZE)
    except ApiError as e:
        assert "NaN" in e.text, e
    else:
        raise AssertionError("a NaN was hidden")
    w.options(auto_vae_precision_bfloat16=True)
    result = _helped(w, "overflow", vae=EXACT, **SIZE)
    off = np.abs(plain.pictures[0].astype(int) - result.pictures[0])
    assert off.mean() < 3, off.mean()
    return f"bfloat16 differs by {off.mean():.2f} on average"


def _exact_again(w: Webui) -> str:
    plain = w.txt2img(**SIZE)
    more = {"init_images": [plain.encoded[0]], **SIZE}
    return f"{same(plain, w.txt2img(vae=EXACT, **SIZE), 1)}, {same(w.img2img(**more), w.img2img(vae=EXACT, **more), 1)}"


for _flag in ("--medvram", "--lowvram"):
    case(f"VAE with {_flag}", (_flag,))(_exact_again)
