"""What is compared in Forge and reForge alone: regions by name of row, and the tiles that these hosts have themselves."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from safetensors.torch import save_file

from .client import HOST, ApiError
from .control_cases import NO_MODULE, SIZE, TILES, apart, convolutions, hint, model, most, t2i_adapter, unit, units
from .registry import Skipped, case
from .tiling_cases import TILES as GRID
from .tiling_cases import WIDE, same, whole
from .vae_cases import EXACT

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


@case("forge: an error, an interrupt and the refiner leave nothing on the patchers")
def nothing_left(webui):
    only_there()
    before, tiles = webui.txt2img(**WIDE), {**GRID, "tile_batch": 1}
    left = {"scripts": {"suite helper": {"args": ["patcher"]}}, "steps": 2}
    try:
        webui.txt2img(tiled=tiles, scripts={"suite helper": {"args": ["fail"]}}, **WIDE)
    except ApiError as e:
        assert "the suite has broken this job" in str(e), e
    else:
        raise AssertionError("drawn")
    assert webui.txt2img(**left).infotexts[0] == "left: []"
    long = {**WIDE, "steps": 60, "width": 512}
    thread = threading.Thread(target=lambda: webui.txt2img(tiled=tiles, **long))
    thread.start()
    while not webui.call("/sdapi/v1/progress?skip_current_image=true")["state"]["sampling_step"]:
        time.sleep(0.1)
    webui.call("/sdapi/v1/interrupt", {})
    thread.join(240)
    assert webui.txt2img(**left).infotexts[0] == "left: []"
    if "tiny" in webui.names("/sdapi/v1/sd-models", "model_name"):
        refined = webui.txt2img(tiled=tiles, refiner_checkpoint="tiny", refiner_switch_at=0.5, **WIDE)
        assert refined.difference(webui.txt2img(refiner_checkpoint="tiny", refiner_switch_at=0.5, **WIDE)) > 5
        assert webui.txt2img(**left).infotexts[0] == "left: []"
    return same(before, webui.txt2img(**WIDE))


MODES = {"forge": "ControlNet is more important", "reforge": "Prefer ControlNet"}


@case("forge: ControlNet: modes, steps, sizes: one tile is the plain job, tiles work, a region has none")
def control_modes(webui):
    only_there()
    job, worst, region = {**SIZE, "prompt": "a red house", "negative_prompt": "grey"}, 0, {"prompt": "a red house", "feather": 0}
    one_tile = {"regions": [region], "tile_width_lp": 64}
    with model(webui) as name:
        kinds = {
            "prompts' rows alone": unit(module=NO_MODULE, model=name, control_mode=MODES[HOST]),
            "some steps": unit(module=NO_MODULE, model=name, guidance_start=0.3, guidance_end=0.7),
            "two": units(name, hint(), hint(right=True)),
        }
        without = webui.txt2img(**job)
        for kind, scripts in kinds.items():
            plain = webui.txt2img(scripts=scripts, **job)
            assert apart(plain, without) > 0.5, kind
            worst = max(worst, most(webui.txt2img(scripts=scripts, tiled=one_tile, **job), plain))
            assert worst <= 2, f"{kind}: {worst}"
            tiled = {**TILES, "tile_batch": 3, "regions": [{**region, "w": 0.5}]}
            assert webui.txt2img(scripts=scripts, tiled=tiled, batch_size=2, **job).pictures[0].std() > 8
            off = {**one_tile, "regions": [{**region, "controlnet": False}]}
            assert most(webui.txt2img(scripts=scripts, tiled=off, **job), without) <= 2, f"{kind}: not off"
            assert most(webui.txt2img(scripts=scripts, **job), plain) == 0, f"{kind}: something of the tiles is left"
    return f"{len(kinds)} kinds in one tile: largest difference {worst}"


MADE = [("tiny", "lllite_made"), ("tiny", "t2iadapter_made_sd1"), ("tiny-xl", "t2iadapter_made_xl")]
"""Checkpoints, and files that `write_models` puts into models/ControlNet before the WebUI starts."""


def write_models(place: Path) -> None:
    """Random adapters, and an LLLite whose features are as small as its layers, which are not as wide as texts.

    These WebUIs fit nothing, and take layers as wide as texts for those of the text.
    """
    save_file(t2i_adapter(8), place / "t2iadapter_made_sd1.safetensors")
    save_file(t2i_adapter(16), place / "t2iadapter_made_xl.safetensors")
    sizes, every = {"conditioning1.0": (8, 3, 4, 4), "conditioning1.2": (8, 8, 4, 4), "conditioning1.4": (16, 8, 2, 2)}, {}
    sizes |= {"down.0": (16, 128), "mid.0": (16, 32), "up.0": (128, 16)}
    for block in (7, 8):
        name = f"lllite_unet_input_blocks_{block}_1_transformer_blocks_0_attn1_to_v"
        every |= convolutions({f"{name}.{layer}": size for layer, size in sizes.items()}, block)
        every[f"{name}.up.0.weight"] *= 8  # else nobody would see it
    save_file(every, place / "lllite_made.safetensors")


@case("forge: T2I-Adapter and LLLite: one tile is the plain job, tiles work")
def adapters(webui):
    only_there()
    job, seen = {**SIZE, "prompt": "a red house", "steps": 3}, []
    for checkpoint, name in MADE:
        with model(webui, checkpoint):
            names = webui.call("/controlnet/model_list")["model_list"]
            known = [m for m in names if m.startswith(name)]
            if not known:
                raise Skipped(f"there is no ControlNet model '{name}'")
            scripts, one_tile = units(known[0], hint()), {"regions": [{"prompt": "a red house", "feather": 0}], "tile_width_lp": 64}
            plain = webui.txt2img(scripts=scripts, **job)
            assert apart(plain, webui.txt2img(**job)) > 0.5, name
            seen.append(most(webui.txt2img(scripts=scripts, tiled=one_tile, **job), plain))
            assert seen[-1] <= 2, f"{name} with {checkpoint}: {seen}"
            tiles = webui.txt2img(scripts=scripts, tiled=TILES, **job)
            assert apart(tiles, webui.txt2img(tiled=TILES, **job)) > 0.5, f"{name}: the tiles see no hint"
    return f"largest difference {max(seen)}"


@case("forge: what cannot be cut into tiles is refused by name")
def refused(webui):
    only_there()
    never = {"args": [False, True, 512, 512][: 2 if HOST == "forge" else 4]}
    jobs = {
        "reference_only": {"scripts": unit(module="reference_only", model="None"), "tiled": {"tile_width": 128}},
        "Never OOM Integrated": {"scripts": {"never oom integrated": never}, "vae": EXACT},
    }
    for name, job in jobs.items():
        try:
            webui.txt2img(width=256, **job)
        except ApiError as e:
            assert e.status == 422, e
            assert name in str(e), e
        else:
            raise AssertionError(f"{name}: drawn")
    webui.txt2img(scripts={"never oom integrated": {"args": [False] * 2 + [512] * (2 * (HOST != "forge"))}})
    return same(webui.txt2img(prompt="a tree"), webui.txt2img(tiled=whole("a tree")), 2)
