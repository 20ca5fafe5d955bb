"""What users have besides a plain job: networks and embeddings, little memory, a log-in, jobs within jobs, inpainting models."""

from __future__ import annotations

import http.cookiejar
import json
import os
import shutil
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from .client import BASE, ApiError, Result, Webui, encoded
from .editor_cases import page_of
from .registry import Skipped, case
from .server import running
from .tiling_cases import OTHER, TILES, WIDE, _picture, drawn, field, same, whole
from .vae_cases import SMALL, settled

LORAS = Path(tempfile.gettempdir()) / f"webui-suite-loras-{os.getpid()}"
LORA = "<lora:suite-colours:0.8>"
WORD = "suite-style"
RANK = 4
TWO = [{"prompt": "a tree", "w": 0.5, "feather": 0}, {"prompt": OTHER, "x": 0.5, "w": 0.5, "feather": 0}]
USER = ("suite", "secret")


def tiled_ones(result: Result) -> None:
    """Refuses pictures without a drawing or without a record of their tiles."""
    drawn(result)
    assert all(json.loads(json.loads(field(t, "Tiled Diffusion"))) for t in result.infotexts), result.infotexts


def changed(a: Result, b: Result, least: int = 5) -> str:
    """Refuses pictures that are as good as the same."""
    found = a.difference(b)
    assert found > least, f"pictures differ by {found}, more than {least} is wanted"
    return f"differs by {found}"


def folder(w: Webui, name: str) -> Path:
    """A folder of this server alone."""
    try:
        flags = w.call("/sdapi/v1/cmd-flags")
    except ApiError as e:  # Forge's flags are not those that its own API allows, and stand in the error
        flags = json.loads(e.text)["body"]
    found = Path(flags[name])
    if not found.is_relative_to(tempfile.gettempdir()):
        raise Skipped(f"{name} is {found}, where the suite writes nothing")
    found.mkdir(exist_ok=True)
    return found


def shipped(w: Webui) -> dict[str, torch.Tensor]:
    """The weights of the checkpoint."""
    return load_file(folder(w, "ckpt_dir") / "tiny-landscapes.safetensors")


def said(w: Webui, **more) -> str:
    """The comments below a job's picture."""
    return nested(w, {"comments": True}, **more).infotexts[-1]


def nested(w: Webui, wish: dict, **more) -> Result:
    """A job with a wish to the suite's script for jobs within jobs."""
    if "suite nested" not in w.call("/sdapi/v1/scripts")["txt2img"]:
        raise Skipped("the suite's own extension is not there")
    return w.txt2img(scripts={"suite nested": {"args": [json.dumps(wish)]}}, **more)


def lora(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A random network of low rank for all projections of the text encoder and of the U-Net's cross-attentions."""
    generator, found = torch.Generator().manual_seed(3), {}
    text, unet = "cond_stage_model.transformer.", "model.diffusion_model."
    for name, weight in weights.items():
        if (not name.endswith("_proj.weight") and ".attn2.to_" not in name) or not name.endswith(".weight"):
            continue
        module = name.removesuffix(".weight")
        start = (
            "lora_te_" + module.removeprefix(text)
            if name.startswith(text)
            else "lora_unet_" + module.removeprefix(unet)
        )
        rows, columns = weight.shape
        key = start.replace(".", "_")
        found[f"{key}.lora_down.weight"] = torch.randn((RANK, columns), generator=generator) / columns**0.5
        found[f"{key}.lora_up.weight"] = (
            torch.randn((rows, RANK), generator=generator) * float(weight.float().std()) * 2
        )
        found[f"{key}.alpha"] = torch.tensor(float(RANK))
    return found


@contextmanager
def lora_file(w: Webui):
    """The network's file, known to the WebUI for as long as the block lasts."""
    file = folder(w, "lora_dir") / "suite-colours.safetensors"
    try:
        save_file(lora(shipped(w)), file)
        w.call("/sdapi/v1/refresh-loras", {})
        assert "suite-colours" in w.names("/sdapi/v1/loras", "name")
        yield
    finally:
        file.unlink(missing_ok=True)
        w.call("/sdapi/v1/refresh-loras", {})
        shutil.rmtree(file.parent)  # only now: the host makes the folder anew when it looks for files


@case("besides: LoRA in the main prompt", ("--lora-dir", str(LORAS)))
def _(w: Webui):
    before, main = w.txt2img(), f"{BASE['prompt']} {LORA}"
    with lora_file(w):
        plain = w.txt2img(prompt=main)
        acts = changed(before, plain)
        same(plain, w.txt2img(prompt=main, tiled={}))
        tiles = w.txt2img(prompt=main, tiled=TILES, **WIDE)
        tiled_ones(tiles)
        assert "Lora hashes" in tiles.infotexts[0], tiles.infotexts[0]
        same(tiles, w.txt2img(prompt=main, tiled=TILES, **WIDE))
        changed(tiles, w.txt2img(tiled=TILES, **WIDE))
        changed(tiles, w.txt2img(prompt=main, **WIDE))
        region = same(w.txt2img(prompt=f"{OTHER} {LORA}"), w.txt2img(prompt=main, tiled=whole()), 1)
    same(before, w.txt2img())
    return f"the network {acts}; one tile: difference 0; a region: {region}"


@case("besides: LoRA in a region's prompt acts in the region alone", ("--lora-dir", str(LORAS)))
def _(w: Webui):
    before, main = w.txt2img(**WIDE), f"{BASE['prompt']} {LORA}"
    grid = {"version": 2, "tile_width": 128, "tile_height": 128, "overlap": 48, "compose": 1.0}
    plain = {**grid, "regions": TWO}
    own = {**grid, "regions": [{**TWO[0], "prompt": f"a tree {LORA}"}, TWO[1]]}
    hires = {"enable_hr": True, "hr_scale": 1.5, "hr_upscaler": "Latent", "denoising_strength": 0.6, "width": 256}
    with lora_file(w):
        region = same(w.txt2img(prompt=f"{OTHER} {LORA}"), w.txt2img(tiled=whole(f"{OTHER} {LORA}")), 1)
        for more in (WIDE, {**WIDE, "batch_size": 2, "n_iter": 2}):
            halves(w.txt2img(tiled=own, **more), w.txt2img(tiled=plain, **more))
        changed(w.txt2img(tiled=own, **hires), w.txt2img(tiled=plain, **hires))
        begun = time.monotonic()
        w.txt2img(prompt=main, tiled=plain, **WIDE)
        everywhere = time.monotonic() - begun
        first = w.txt2img(tiled=own, **WIDE)
        switched = time.monotonic() - begun - everywhere
        record = json.loads(json.loads(field(first.infotexts[0], "Tiled Diffusion")))
        assert record["regions"][0]["prompt"] == f"a tree {LORA}", record
        assert LORA not in first.infotexts[0].splitlines()[0], "the main prompt's record has the region's network"
        assert "whole picture" not in said(w, tiled=own, **WIDE)
    same(before, w.txt2img(**WIDE))
    return f"over everything: {region}; beside it: difference 0; {switched / everywhere:.2f} times as long as everywhere"


def halves(ours: Result, plain: Result) -> None:
    """Refuses pictures that differ on the right, far from the middle; a VAE carries a little of all to everywhere."""
    for a, b in zip(ours.pictures, plain.pictures, strict=True):
        difference, middle = np.abs(a.astype(int) - b), a.shape[1] // 2
        left, right = float(difference[:, : middle - 32].mean()), float(difference[:, middle + 48 :].mean())
        assert 20 * right < left, f"differs by {left:.2f} where the network is and by {right:.2f} where it is not"


@contextmanager
def embedding_file(w: Webui):
    """A textual inversion of two vectors, known to the WebUI for as long as the block lasts."""
    words = shipped(w)["cond_stage_model.transformer.text_model.embeddings.token_embedding.weight"].float()
    vectors = torch.randn((2, words.shape[1]), generator=torch.Generator().manual_seed(4)) * words.std() * 3
    file = folder(w, "embeddings_dir") / f"{WORD}.safetensors"
    save_file({"emb_params": vectors}, file)
    try:
        w.call("/sdapi/v1/refresh-embeddings", {})
        assert WORD in w.call("/sdapi/v1/embeddings")["loaded"]
        yield
    finally:
        file.unlink()
        w.call("/sdapi/v1/refresh-embeddings", {})


@case("besides: a textual inversion in the main prompt and in a region's")
def _(w: Webui):
    prompt = f"{OTHER}, {WORD}"
    before = w.txt2img(prompt=OTHER)  # the host keeps what it has once encoded
    styled = [TWO[0], {**TWO[1], "prompt": prompt}]
    with embedding_file(w):
        plain = w.txt2img(prompt=prompt)
        acts = changed(before, plain)
        one = same(plain, w.txt2img(prompt=prompt, tiled={}))
        tiles = w.txt2img(prompt=prompt, tiled=TILES, **WIDE)
        tiled_ones(tiles)
        same(tiles, w.txt2img(prompt=prompt, tiled=TILES, **WIDE))
        changed(tiles, w.txt2img(prompt=prompt, **WIDE))
        over = w.txt2img(tiled=whole(prompt))
        region = same(plain, over, 1)
        negative = same(
            w.txt2img(prompt=OTHER, negative_prompt=WORD), w.txt2img(tiled=whole(OTHER, negative_prompt=WORD)), 1
        )
        for result in (plain, tiles, over):
            assert f"{WORD}: " in field(result.infotexts[0], "TI hashes"), result.infotexts[0]
        assert "TI hashes" not in w.txt2img(tiled=whole()).infotexts[0], "an earlier job's embedding is in the record"
        pictures = [
            w.txt2img(tiled={**TILES, "regions": r}, steps=1, **WIDE).pictures[0].astype(int) for r in (TWO, styled)
        ]
        off = np.abs(pictures[0] - pictures[1]).max(axis=(0, 2))
        assert off[200:].max() > 5, "the embedding shows nothing in its region"
        assert off[:80].max() <= off[200:].max() / 5, f"it shows outside of its region too: {off[:80].max()}"
    same(before, w.txt2img(prompt=OTHER))
    return f"it {acts}; one tile: {one}; region: {region}, against it: {negative}; its half {off[200:].max()}, the other one {off[:80].max()}"


def _little_memory(flag: str):
    def run(w: Webui):
        place = os.environ.get("WEBUI_DIR")
        if not place:
            raise Skipped("a second server is only started where WEBUI_DIR is set")
        source = encoded(_picture(w))
        jobs = {
            "plain": lambda s: s.txt2img(**WIDE),
            "tiles": lambda s: s.txt2img(tiled=TILES, **WIDE),
            "regions": lambda s: s.txt2img(tiled={**TILES, "regions": TWO}, batch_size=2, **WIDE),
            "regions with a scale": lambda s: s.txt2img(tiled={**TILES, "regions": [TWO[0], {**TWO[1], "cfg_scale": 8}]}, **WIDE),
            "img2img, both": lambda s: s.img2img(init_images=[source], tiled={**TILES, "regions": TWO}, vae=SMALL, **WIDE),
            "plain again": lambda s: s.txt2img(**WIDE),
        }  # fmt: skip
        expected = {name: job(w) for name, job in jobs.items()}
        for name in ("tiles", "regions", "regions with a scale", "img2img, both"):
            tiled_ones(expected[name])
        changed(expected["plain"], expected["tiles"])
        changed(expected["tiles"], expected["regions with a scale"])
        with running(Path(place), [flag]) as (url, log):
            frugal = Webui(url, log)
            assert frugal.call("/sdapi/v1/cmd-flags")[flag[2:]] is True
            return "; ".join(f"{name}: {same(expected[name], job(frugal), 1)}" for name, job in jobs.items())

    return run


for _flag in ("--medvram", "--lowvram"):
    case(f"besides: a server with {_flag} draws the same tiles and regions")(_little_memory(_flag))


class Visitor:
    """Somebody with a browser's cookies."""

    def __init__(self, w: Webui) -> None:
        self.w = w
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def asks(self, method: str, path: str, data: object = None) -> tuple[int, str]:
        """Status and text of an answer."""
        body = None if data is None else json.dumps(data).encode()
        return self._sent(
            urllib.request.Request(self.w.url + path, body, {"Content-Type": "application/json"}, method=method)
        )

    def logs_in(self, name: str, word: str) -> int:
        """The status."""
        form = urllib.parse.urlencode({"username": name, "password": word}).encode()
        return self._sent(urllib.request.Request(self.w.url + "/login", form))[0]

    def _sent(self, request: urllib.request.Request) -> tuple[int, str]:
        try:
            with self.opener.open(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode(errors="replace")


ROUTES = [
    ("POST", "/plan", {"settings": TILES, "width": 320, "height": 128}),
    ("POST", "/tokens", {"texts": ["a tree"]}),
    ("POST", "/import", {"version": 1, "regions": []}),
    ("PUT", "/presets/mine", {"version": 1, "regions": []}),
    ("GET", "/presets", None),
    ("GET", "/presets/mine", None),
    ("POST", "/presets/mine/rename", {"to": "yours"}),
    ("DELETE", "/presets/yours", None),
]


@case("besides: the panel's routes ask for the log-in", ("--gradio-auth", ":".join(USER)))
def _(w: Webui):
    stranger, wrong, user = Visitor(w), Visitor(w), Visitor(w)
    assert wrong.logs_in(USER[0], "guessed") == 400
    assert user.logs_in(*USER) == 200
    for visitor in (stranger, wrong):
        for method, path, data in ROUTES:
            status, text = visitor.asks(method, f"/tiled-diffusion{path}", data)
            assert status == 401, f"{method} {path}: {status} {text}"
    presets = [json.loads(user.asks("GET", "/tiled-diffusion/presets")[1])]
    for method, path, data in ROUTES:
        status, text = user.asks(method, f"/tiled-diffusion{path}", data)
        assert status == 200, f"{method} {path}: {status} {text}"
        if path == "/plan":
            assert json.loads(text)["tiles"] > 1, text
        if path == "/presets":
            presets.append(json.loads(text))
    assert "mine" not in json.dumps(presets[0]), "a stranger wrote a preset"
    assert "mine" in json.dumps(presets[1]), presets[1]
    assert user.asks("GET", "/tiled-diffusion/presets/mine")[0] == 404
    same(w.txt2img(), w.txt2img(tiled={}))
    return f"{len(ROUTES)} routes: 401 without it and after a wrong word, 200 with it"


@case("besides: the panel behind the log-in", ("--gradio-auth", ":".join(USER)))
def _(w: Webui):
    with page_of(w, user=USER) as page:
        line = str(page.locator("#td_txt2img_status").text_content())
        assert "tile" in line, line
    return line


def _gradient(width: int, height: int) -> np.ndarray:
    """As the suite's script draws it."""
    return np.asarray(Image.linear_gradient("L").resize((width, height)).convert("RGB"))


@case("besides: jobs within a job")
def _(w: Webui):
    steady = {**WIDE, "sampler_name": "Euler"}  # all jobs share what the others draw their noise from
    before, found = w.txt2img(**steady), []
    source = {"init_images": [encoded(_gradient(320, 128))], **steady}
    every = {
        "plain": {},
        "tiles": {"tiled": TILES},
        "regions": {"tiled": {**TILES, "method": "jittered", "regions": TWO}, "vae": SMALL},
    }
    for name, more in every.items():
        outer = w.txt2img(**steady, **more)
        inner = {
            "copy": outer,
            "off": before,
            "new": w.img2img(scripts={"suite nested": {"args": ["{}"]}}, **source, **more),
        }
        changed(inner["copy"], inner["new"])
        if name != "plain":
            changed(before, outer)
        for where in ("after", "sampling"):
            for how in inner:
                both = nested(w, {"where": where, "how": how}, **steady, **more)
                assert len(both.pictures) == 2, f"{name}, {where}, {how}: {len(both.pictures)} pictures"
                for k, expected in enumerate((outer, inner[how])):
                    one = Result([both.pictures[k]], [both.infotexts[k]], [])
                    off = one.difference(expected)
                    exact_vae = how == "off" and where == "sampling" and "vae" in more  # the outer job's is at work
                    assert off <= exact_vae, f"{name}, {where}, {how}: {('outer', 'inner')[k]} differs by {off}"
                    if expected is not before and name != "plain":
                        tiled_ones(one)
                        assert field(one.infotexts[0], "Tiled Diffusion") == field(
                            expected.infotexts[0], "Tiled Diffusion"
                        )
                found.append((name, where, how))
    state = w.txt2img(scripts={"suite helper": {"args": ["state"]}}, **steady)
    assert state.infotexts[0] == "left: []", state.infotexts[0]
    same(before, state)
    return f"{len(found)} pairs, outer and inner: difference 0, and 1 at most where the outer one tiles the VAE of the inner one"


@contextmanager
def inpainting_model(w: Webui):
    """The shipped checkpoint with five more channels, the mask's and the masked picture's, loaded within the block."""
    place, name, key = folder(w, "ckpt_dir"), "suite-inpainting", "model.diffusion_model.input_blocks.0.0.weight"
    weights = shipped(w)
    more = torch.randn((weights[key].shape[0], 5, 3, 3), generator=torch.Generator().manual_seed(5)) * 0.1
    weights[key] = torch.cat([weights[key], more.to(weights[key])], dim=1)
    text = (place / "tiny-landscapes.yaml").read_text()
    for old, new in (
        ("ddpm.LatentDiffusion", "ddpm.LatentInpaintDiffusion"),
        ("conditioning_key: crossattn", "conditioning_key: hybrid\n    finetune_keys: null"),
        ("in_channels: 4", "in_channels: 9"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    files = [place / f"{name}.safetensors", place / f"{name}.yaml"]
    try:
        files[1].write_text(text)
        save_file(weights, files[0])
        w.call("/sdapi/v1/refresh-checkpoints", {})
        w.options(sd_model_checkpoint=name)
        yield
    finally:
        w.options(sd_model_checkpoint="tiny-landscapes")
        for file in files:
            file.unlink(missing_ok=True)
        w.call("/sdapi/v1/refresh-checkpoints", {})


def _masked(source: np.ndarray, *boxes: tuple[int, int]) -> dict:
    """An inpainting job; boxes are the masked columns."""
    mask = np.zeros_like(source)
    for left, right in boxes:
        mask[32:96, left:right] = 255
    height, width = source.shape[:2]
    return {"init_images": [encoded(source)], "mask": encoded(mask), "mask_blur": 4, "inpaint_full_res": False, "inpainting_fill": 1,
            "width": width, "height": height, "denoising_strength": 0.9}  # fmt: skip


@case("besides: an inpainting checkpoint")
def _(w: Webui):
    before, source = w.txt2img(**WIDE), _picture(w)
    small, wide = _masked(source[:, :128], (30, 100)), _masked(source, (100, 220))
    with inpainting_model(w):
        for more in ({}, {"batch_size": 2}, {"inpaint_full_res": True}, {"inpainting_fill": 2}):
            same(settled(w.img2img, **{**small, **more}), w.img2img(tiled={"keep_size": False}, **{**small, **more}))
        one = same(settled(w.img2img, **wide), w.img2img(tiled={"tile_width_lp": 40, "tile_height_lp": 16}, **wide))
        same(w.txt2img(), w.txt2img(tiled={}))
        over = same(settled(w.img2img, prompt=OTHER, **small), w.img2img(tiled=whole(), **small), 1)
        text = same(w.txt2img(prompt=OTHER, batch_size=2), w.txt2img(tiled=whole(), batch_size=2), 1)
        for tiled in (TILES, {**TILES, "regions": TWO}):
            tiles = settled(w.img2img, tiled=tiled, **wide)
            tiled_ones(tiles)
            changed(tiles, w.img2img(**wide))
            same(tiles, w.img2img(tiled=tiled, vae=SMALL, **wide), 1)
            outside = np.abs(tiles.pictures[0].astype(int) - source)[:, 260:].max()
            assert outside <= 2, f"the outside changed by {outside}"
            tiled_ones(w.txt2img(tiled=tiled, **WIDE))
        places = _each_tile_its_mask(w, wide)
    same(before, w.txt2img(**WIDE))
    return f"one tile: {one}; a region: {over}, txt2img {text}; {places}"


def _inputs(w: Webui, tiled: dict | None, job: dict) -> list[np.ndarray]:
    """What the U-Net is given, once each and the first step's first: [latent, mask and masked picture; h, w]."""
    wish = json.dumps({"inputs": True})
    result = w.img2img(tiled=tiled, scripts={"suite nested": {"args": [wish]}}, **job)
    return [np.array(i, dtype=np.float32) for i in json.loads(result.infotexts[-1])]


def _each_tile_its_mask(w: Webui, job: dict) -> str:
    """Every tile gets the crop of the untiled job's mask and masked picture that is its own, number by number."""
    first, found = _inputs(w, None, job)[0], []
    assert first.shape == (9, 16, 40), first.shape
    for tiled in (TILES, {**TILES, "regions": TWO}):
        size = {"width": job["width"], "height": job["height"]}
        boxes = w.call("/tiled-diffusion/plan", {"settings": tiled, **size})["boxes"]
        columns = [(round(box["x"] * 40), round((box["x"] + box["w"]) * 40)) for box in boxes]
        crops = [first[:, :, left:right] for left, right in columns]
        seen = _inputs(w, tiled, job)
        masks = {c[4:].tobytes() for c in crops}
        assert len(masks) == len(boxes), "some crops are alike, which would hide an exchange"
        assert {i[4:].tobytes() for i in seen} == masks, f"{tiled}: a tile saw a mask of nowhere"
        begun = {i.tobytes() for i in seen}
        assert all(c.tobytes() in begun for c in crops), f"{tiled}: a tile saw another one's mask"
        found.append(len(boxes))
    return f"{' and '.join(map(str, found))} tiles with their own crops of the mask"
