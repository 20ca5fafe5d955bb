"""What the WebUI says: errors of requests in one line, comments in the API's answer, whose a name is, and records."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from .client import BASE, HOST, ApiError, Webui, written
from .editor_cases import page_of
from .registry import Skipped, case, of_each
from .tiling_cases import TILES, WIDE, _xyz, drawn, field, same

UNIQUE = "tiled diffusion & vae"
PEER = "multidiffusion-upscaler-for-automatic1111"
NAMES = ("tiled diffusion", "tiled vae", UNIQUE)


def asked(w: Webui, scripts: dict, **more) -> dict:
    """The API's answer to a small job."""
    return w.call("/sdapi/v1/txt2img", {**BASE, **more, "alwayson_scripts": scripts})


def refused(w: Webui, scripts: dict, text: str, **more) -> None:
    """Refuses an answer other than a named error."""
    try:
        asked(w, scripts, **more)
    except ApiError as e:
        assert e.status == 422, f"{scripts}: {e}"
        assert text in json.loads(e.text)["detail"], f"{scripts}: {e}"
    else:
        raise AssertionError(f"{scripts} was accepted")


HOSTS_OWN = "Sampler Scheduler autocorrection"
"""What the WebUI says of every request that names no schedule."""


def lines_of(w: Webui, act: Callable[[], object]) -> list[str]:
    """What is written to the console meanwhile, but for what is written of every job.

    Forge and reForge also write how they bring models into memory: there, what is ours and what is of errors.
    """
    before = w.log.stat().st_size
    act()
    time.sleep(1)
    with w.log.open("rb") as file:
        file.seek(before)
        lines = file.read().decode(errors="replace").splitlines()
    ours = ("Tiled", "rror", "Traceback", "  File ")
    lines = [line for line in lines if line.strip() and HOSTS_OWN not in line]
    return lines if HOST == "a1111" else [line for line in lines if any(word in line for word in ours)]


@case("API: arguments of every wrong shape are named, and change nothing")
def _(w: Webui):
    before, count = w.txt2img(**WIDE), 0
    for name in NAMES:
        for said in ({"args": None}, {"args": 5}, {"args": "true"}, {"args": {}}, None, 5, [True], {"method": "spot"}):
            refused(w, {name: said}, "allowed is")
            count += 1
        for args in (["false"], [1], ["yes", {}], [[True]]):
            refused(w, {name: {"args": args}}, "allowed is true, false, or the settings")
            count += 1
    refused(w, {"tiled diffusion": {"args": [{"tile": 1}]}}, "unknown field 'tile'")
    refused(w, {"tiled vae": {"args": [{"tile": 1}]}}, "unknown field 'tile'")
    refused(w, {"tiled diffusion": {"args": [TILES, TILES]}}, "the first one is the settings already")
    same(before, w.txt2img(**WIDE))
    return f"{count + 3} requests"


@case("API: settings in the switch's place switch on")
def _(w: Webui):
    tiled = w.txt2img(tiled=TILES, vae={"mode": "exact"}, **WIDE)
    forms = (
        {"tiled diffusion": {"args": [TILES]}, "tiled vae": {"args": [{"mode": "exact"}]}},
        {UNIQUE: {"args": [TILES, {"mode": "exact"}]}},
        {"Tiled Diffusion & VAE": {"args": [TILES]}, "tiled vae": {"args": [True, {"mode": "exact"}]}},
    )
    for scripts in forms:
        answer = json.loads(asked(w, scripts, **WIDE)["info"])
        assert answer["infotexts"][0] == tiled.infotexts[0], f"{scripts}: {answer['infotexts'][0]}"
    refused(w, {UNIQUE: {"args": [TILES]}, "tiled diffusion": {"args": [True, TILES]}}, "under two names")
    assert UNIQUE in w.call("/sdapi/v1/scripts")["txt2img"]
    return f"{len(forms)} forms"


@case("API: the unique name, where another extension has the short one", extensions=(PEER,))
def _(w: Webui):
    log = w.log.read_text(errors="replace").splitlines()
    told = [line for line in log if "in the API" in line]
    assert len(told) == 1, told
    assert f"{PEER}/scripts/tilediffusion.py; this extension is \"Tiled Diffusion & VAE\"" in told[0], told
    short = asked(w, {"tiled diffusion": {"args": [TILES]}}, **WIDE)
    assert "Tiled Diffusion" not in json.loads(short["info"])["infotexts"][0], "the short name is this extension's"
    own = asked(w, {UNIQUE: {"args": [TILES]}}, **WIDE)
    assert json.loads(json.loads(field(json.loads(own["info"])["infotexts"][0], "Tiled Diffusion"))) == written(TILES)
    refused(w, {UNIQUE: {"args": [TILES]}, "tiled diffusion": {"args": [True]}}, f"{PEER} is switched on too")
    return told[0]


@case("console: a wrong setting is one line, from the API and from the page")
def _(w: Webui):
    def by_api(scripts: dict) -> Callable[[], object]:
        return lambda: refused(w, scripts, "", **WIDE)

    def by_page() -> None:
        with page_of(w) as page:
            page.locator("#td_txt2img_enabled .label-wrap").first.click()
            page.wait_for_timeout(600)
            for name, value in (("tile_width", 128), ("tile_height", 128), ("overlap", 256)):
                page.locator(f"#td_txt2img_{name}_automatic input").uncheck()
                box = page.locator(f"#td_txt2img_{name} input[type=number]").first
                box.wait_for(state="visible")
                page.wait_for_timeout(500)
                box.fill(str(value))
                box.press("Tab")
            page.wait_for_timeout(800)
            page.locator("#txt2img_generate").click()
            said = "NoneType" if HOST == "reforge" else "overlap"  # reForge's page shows no error as what it is
            error = page.locator("#html_log_txt2img .error, #html_info_txt2img .error, .error", has_text=said).first
            error.wait_for(state="attached", timeout=60000)

    ways = {
        "Tiled Diffusion's settings": by_api({"tiled diffusion": {"args": [True, {"method": "none"}]}}),
        "Tiled VAE's": by_api({"tiled vae": {"args": [True, {"mode": "best"}]}}),
        "no arguments": by_api({"tiled diffusion": {"args": None}}),
        "the canvas": by_api({"tiled diffusion": {"args": [{"tile_width_lp": 16, "overlap_lp": 16}]}}),
        "the page": by_page,
    }
    for name, act in ways.items():
        lines = lines_of(w, act)
        if name == "the page" and HOST != "a1111":  # whose thread for the page's jobs prints a traceback of every error
            lines = lines[:1]
        assert len(lines) == 1, f"{name}: {len(lines)} lines: {lines[:3]}"
        assert "Tiled Diffusion: " in lines[0] or "Tiled VAE: " in lines[0], lines
    return ", ".join(ways)


@case("API: a job's comments are in its answer")
def _(w: Webui):
    tiled = {**TILES, "regions": [{"prompt": "a tree <lora:missing:1>", "w": 0.5}]}
    info = json.loads(asked(w, {"tiled diffusion": {"args": [tiled]}, "tiled vae": {"args": [{"mode": "exact"}]}}, **WIDE)["info"])
    comments = info["extra_generation_params"]["Comments"]
    of_lora = "Lora not found: missing" if HOST == "a1111" else "acts on the whole picture"  # it acts in its region there
    assert any(of_lora in c for c in comments), comments
    assert any(c.startswith("Tiled VAE: exact") for c in comments), comments
    assert "Comments" not in info["infotexts"][0], info["infotexts"][0]
    assert "Comments" not in json.loads(asked(w, {}, **WIDE)["info"])["extra_generation_params"]
    return "; ".join(comments)


LEFT_OUT_THERE = "Tiled Diffusion: this sampler also draws at other sizes, there without bootstrapping"
OTHER_SIZES = (
    "Euler Dy", "Euler SMEA Dy", "Euler Negative Dy", "Euler DY CFG++", "Euler SMEA DY CFG++", "DPM++ 2S Ancestral CFG++ Intern",
)  # fmt: skip
"""Samplers of reForge that also draw at other sizes than the picture's."""


@case("samplers that draw at other sizes have regions there, and say what they leave out")
def _(w: Webui):
    names = [name for name in w.names("/sdapi/v1/samplers", "name") if name in OTHER_SIZES]
    if not names:
        raise Skipped("the WebUI has no such sampler")

    def comments(name: str, **region) -> list[str]:
        tiled = {**TILES, "regions": [{"prompt": "a tree", "w": 0.5, **region}]}
        info = json.loads(asked(w, {"tiled diffusion": {"args": [tiled]}}, sampler_name=name, **WIDE)["info"])
        return info["extra_generation_params"].get("Comments", [])

    def check(name: str) -> None:
        assert comments(name) == [], comments(name)
        small = {"w": 0.25, "h": 0.5, "bootstrap": 0.5}
        assert comments(name, **small) == [LEFT_OUT_THERE], comments(name, **small)

    of_each(names, check)
    return ", ".join(names)


@case("X/Y/Z plot: axes of a panel that is off are told, and leave no record")
def _(w: Webui):
    args = _xyz(w, "[Tiled Diffusion] Method", "mixture,spot", "[Tiled VAE] VAE mode", "Exact,off")
    answer = w.call("/sdapi/v1/txt2img", {**BASE, **WIDE, "script_name": "x/y/z plot", "script_args": args})
    info = json.loads(answer["info"])
    told = "Tiled Diffusion: the axes of the plot change nothing while the panel is switched off"
    assert told in info["extra_generation_params"]["Comments"], info["extra_generation_params"]
    cells = info["infotexts"][-4:]
    assert ["Tiled VAE" in text.splitlines()[-1].split("X Type")[0] for text in cells] == [True, True, False, False], cells
    return told


@case("every picture of batch size 2 and count 3 repeats from its own record")
def _(w: Webui):
    region = {"prompt": "a tree", "x": 0.5, "w": 0.5, "feather": 0, "seed": 77}
    worst = 0
    for method in ("mixture", "jittered"):
        tiled = {**TILES, "method": method, "regions": [region], "rerolls": [{"seed": 5, "w": 0.2}]}
        many = w.txt2img(tiled=tiled, batch_size=2, n_iter=3, **WIDE)
        pictures, texts = many.pictures[-6:], many.infotexts[-6:]
        for k, (picture, text) in enumerate(zip(pictures, texts, strict=True)):
            record = json.loads(json.loads(field(text, "Tiled Diffusion")))
            assert record["regions"][0]["seed"] == 77 + k, record
            seed = int(text.split("Seed: ")[1].split(",")[0])
            alone = w.txt2img(tiled=record, seed=seed, **WIDE)
            drawn(alone)
            off = int(abs(picture.astype(int) - alone.pictures[0]).max())
            assert off <= 2, f"{method}, picture {k}: {off}"
            worst = max(worst, off)
        first = json.loads(json.loads(field(many.infotexts[0], "Tiled Diffusion")))
        seed = int(many.infotexts[0].split("Seed: ")[1].split(",")[0])  # of the first picture; in reForge of the last batch
        assert first["regions"][0]["seed"] - 77 == seed - BASE["seed"], "the grid has another picture's record"
    return f"largest difference {worst}"
