"""What is compared in Forge and reForge alone: regions by name of row, and the tiles that these hosts have themselves."""

from __future__ import annotations

from .client import ApiError
from .registry import Skipped, case
from .server import HOST

BUILT_IN = "MultiDiffusion Integrated"


def only_there() -> None:
    if HOST == "a1111":
        raise Skipped("for Forge and reForge")


@case("forge: one region over everything is its prompt, by samplers of each kind")
def region_everywhere(webui):
    only_there()
    region = {"x": 0, "y": 0, "w": 1, "h": 1, "prompt": "a tree by night", "join": "replace"}
    settings = {"tile_width": 1024, "tile_height": 1024, "regions": [region]}
    worst = 0
    for sampler in ("Euler a", "DPM++ 2M", "DDIM", "UniPC"):
        plain = webui.txt2img(sampler_name=sampler, prompt="a tree by night")
        worst = max(worst, plain.difference(webui.txt2img(sampler_name=sampler, prompt="a house", tiled=settings)))
    assert worst <= 2, worst
    return f"difference {worst}"


@case("forge: MultiDiffusion is the host's own")
def built_in(webui):
    only_there()
    own = webui.txt2img(width=256, scripts={BUILT_IN: {"args": [True, "MultiDiffusion", 128, 128, 64, 1]}})
    settings = {"method": "multidiffusion", "tile_width": 128, "tile_height": 128, "overlap": 64, "tile_batch": 1}
    difference = own.difference(webui.txt2img(width=256, tiled=settings))
    assert difference <= 1, difference
    return f"difference {difference}"


@case("forge: both at once are refused by name")
def both(webui):
    only_there()
    try:
        webui.txt2img(width=256, tiled={"tile_width": 128}, scripts={BUILT_IN: {"args": [True, "MultiDiffusion", 128, 128, 64, 1]}})
    except ApiError as e:
        assert e.status == 422
        assert f"{BUILT_IN} is switched on too" in str(e), e
        return
    raise AssertionError("drawn")
