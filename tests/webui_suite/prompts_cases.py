"""Prompts of tiles in the WebUI: by list, by content and by a captioner."""

from __future__ import annotations

import numpy as np

from .batch_cases import anchored
from .client import ApiError, Result, Webui, encoded
from .registry import Skipped, case
from .tiling_cases import OTHER, WIDE, same

GRID = {"version": 2, "tile_width": 128, "tile_height": 128, "overlap": 48}


def start() -> str:
    """A picture of soft colours, to begin from."""
    small = np.random.default_rng(0).integers(0, 256, (4, 10, 3), dtype=np.uint8)
    return encoded(np.kron(small, np.ones((32, 32, 1), dtype=np.uint8)))


@case("a prompt for every tile is that prompt")
def _(w: Webui):
    everywhere = {**GRID, "tile_prompts": "list", "tile_texts": [{"prompt": OTHER}]}
    return same(w.txt2img(tiled=everywhere, **WIDE), w.txt2img(tiled=GRID, prompt=OTHER, **WIDE))


@case("a prompt for one tile acts in it alone")
def _(w: Webui):
    left = {**GRID, "tile_prompts": "list", "tile_texts": [{"prompt": OTHER, "row": 1, "column": 1}]}
    a, b = (w.txt2img(tiled=settings, batch_size=2, **WIDE).pictures for settings in (left, GRID))
    differences = [np.abs(x.astype(int) - y) for x, y in zip(a, b, strict=True)]
    right, inside = (max(float(d[:, part].mean()) for d in differences) for part in (slice(200, None), slice(0, 80)))
    assert 20 * right < inside, f"differs by {right:.2f} far from the tile and by {inside:.2f} within it"
    return f"right {right:.2f}, left {inside:.2f}"


@case("prompts of tiles by content, in img2img and the hires pass")
def _(w: Webui):
    settings = {**GRID, "tile_prompts": "content", "tile_prompts_share": 0.9}
    more = {"prompt": "a red house on grass, blue sky", "denoising_strength": 0.6, **WIDE}

    def drawn_from(tiled: dict) -> Result:
        anchored(w)
        return w.img2img(init_images=[start()], tiled=tiled, **more)

    first, plain = drawn_from(settings), drawn_from(GRID)
    same(first, drawn_from(settings))
    same(plain, drawn_from({**settings, "tile_prompts_share": 0.0}))
    hires = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent", "width": 160, "height": 128}
    a, b = (w.txt2img(tiled=s, **{**more, **hires}) for s in (settings, GRID))
    return f"img2img differs from one prompt by {first.difference(plain)}, hires by {a.difference(b)}"


@case("prompts of tiles that cannot be are refused by name")
def _(w: Webui):
    for settings, word in (
        ({"tile_prompts": "content"}, "start picture"),
        ({"tile_prompts": "list"}, "tile_texts"),
        ({"tile_prompts": "list", "tile_texts": [{"prompt": "a", "row": 9, "column": 1}]}, "row 9"),
    ):
        try:
            w.txt2img(tiled={**GRID, **settings}, **WIDE)
        except ApiError as e:
            assert word in str(e), f"{settings}: {e}"
        else:
            raise AssertionError(f"{settings}: nothing is said")
    try:
        w.img2img(init_images=[start()], tiled={**GRID, "tile_prompts": "captions", "captioner": "florence"}, **WIDE)
    except ApiError as e:
        assert "clip, deepbooru" in str(e), str(e)
    else:
        raise Skipped("a captioner of that name is there")
