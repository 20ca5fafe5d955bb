"""The demo: seven pictures that show what tiles are good for, the plan of each, and a page with all of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops

from tiled_diffusion.settings.control import Control
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Region, Settings
from tiled_diffusion.standalone.cli.arguments import columns, command_line, joined, quoted
from tiled_diffusion.standalone.cli.parser import PROGRAM
from tiled_diffusion.standalone.draw import draw_plan
from tiled_diffusion.standalone.inspection import Report, inspect_plan
from tiled_diffusion.standalone.metadata import save_png
from tiled_diffusion.standalone.sampling import generate, make_planner
from tiled_diffusion.standalone.upscale import upscale, upscaled_request

from .drawing import SIZE, drawing
from .page import Figure, page

SCALE = 4
BASE = Request(prompt="", steps=24, cfg_scale=4.5, sampler="Euler a")
WIDE = Settings(tile_width=192, tile_height=192, overlap=96)
"""Half of each tile is shared with its neighbour, so that they agree where the horizon is."""
PANORAMA = replace(
    BASE, prompt="a house, a tree on grass, mountains, blue sky", width=1536, height=192, seed=3, tiling=WIDE
)
COLUMNS = (
    "a green tree on grass, sunset",
    "a purple house on a lavender field, sunset",
    "a green cactus on sand, sunset",
    "a white boat on the sea, sunset",
)
REGIONAL: dict[str, Any] = {
    "prompt": "grass, blue sky", "width": 768, "height": 192, "steps": 25, "cfg_scale": 5.0, "seed": 5,
    "tiling": Settings(
        regions=(
            Region("a tree on grass, blue sky", w=0.36),
            Region("mountains, sunset", x=0.32, w=0.36),
            Region("a blue tower on snow, night sky", x=0.66, w=0.34),
            Region(
                "a red house on grass, blue sky", layer="foreground", x=0.12, y=0.1, w=0.22, h=0.9, feather=0.4
            ),
        )
    ),
}  # fmt: skip
DRAWING = "drawing.png"
GUIDED = replace(
    BASE, prompt="a house, a tree, a tower on grass, mountains, blue sky", width=SIZE[0], height=SIZE[1], seed=3,
    tiling=WIDE, controls=(Control("edges", DRAWING),),
)  # fmt: skip
SMALL = replace(BASE, prompt="a forest, blue sky", width=192, height=128, seed=4)


@dataclass(frozen=True)
class Scene:
    """A picture of the demo.

    Attributes:
        name: of its files.
        title, text: as on the page.
        request: what is drawn; for an upscaling, how the enlarged picture is drawn anew.
        start: for an upscaling, the request of the small picture.
    """

    name: str
    title: str
    text: str
    request: Request
    start: Request | None = None


def scenes() -> tuple[Scene, ...]:
    """The pictures of the demo."""
    ring = replace(PANORAMA, tiling=replace(WIDE, wrap_x=True))
    regions = columns(COLUMNS)
    side_by_side = replace(
        BASE, prompt=joined(regions), width=1152, height=192, seed=5, tiling=Settings(regions=regions)
    )
    return (
        Scene(
            "panorama", "A panorama",
            "One picture, eight times as wide as any that the model was trained on. Overlapping tiles are denoised "
            "together, step by step, so that there is one horizon and no seam.",
            PANORAMA,
        ),
        Scene(
            "ring", "The same as a ring",
            "The left and the right edge meet: this is a view all around. Below, the same picture rolled by half: its "
            "old edges are now in the middle.",
            ring,
        ),
        Scene(
            "prompts", "Prompts side by side",
            "Each column of the canvas has a prompt of its own. They are drawn together and flow into one another.",
            side_by_side,
        ),
        Scene(
            "regions", "Foreground and background",
            "Four prompts: three grounds side by side, and a house in front of them, with a soft edge. This needs a "
            "canvas file, which lies beside the picture.",
            replace(BASE, **REGIONAL),
        ),
        Scene(
            "guided", "Along a drawing",
            "A ControlNet makes the picture follow lines. Each tile sees its own part of the drawing, so that "
            "everything stands where it was drawn, over the whole width. First the drawing.",
            GUIDED,
        ),
        Scene(
            "upscale", f"Enlarged {SCALE} times",
            "A small picture is enlarged, and its details are drawn anew, tile by tile. The first picture is the small "
            "one, stretched to the same size.",
            replace(SMALL, denoising_strength=0.125), SMALL,
        ),
    )  # fmt: skip


def make_demo(
    model: Any, out: Path, new_progress: Callable[[], Any], say: Callable[[str], None], *, shrink: int = 1
) -> list[Path]:
    """Makes all pictures, plans and the page.

    Args:
        model: from load_model.
        out: folder for the files; there already.
        new_progress: called before each picture.
        say: told what is being made.
        shrink: above 1, smaller pictures of two steps, for tests.

    Returns:
        The files written, the page last.
    """
    figures = []
    drawing().save(out / DRAWING)
    todo = [_shrunk(scene, shrink) for scene in scenes()]
    for i, scene in enumerate(todo, start=1):
        say(f"[{i}/{len(todo)}] {scene.title}: {scene.request.prompt}")
        figures.append(_make(model, scene, out, new_progress))
    index = out / "index.html"
    index.write_text(page(figures, model), encoding="utf-8")
    return [*(out / name for f in figures for name in (*f.pictures, f.plan)), index]


def _shrunk(scene: Scene, by: int) -> Scene:
    if by <= 1:
        return scene

    def small(r: Request) -> Request:
        return replace(r, width=max(96, r.width // by // 16 * 16), height=max(96, r.height // by // 16 * 16), steps=2)

    return replace(scene, request=small(scene.request), start=scene.start and small(scene.start))


def _make(model: Any, scene: Scene, out: Path, new_progress: Callable[[], Any]) -> Figure:
    """One scene: its pictures, its plan and what the page says about it."""
    if scene.start:
        return _upscaled(model, scene, scene.start, out, new_progress)
    here = tuple(replace(control, image=str(out / control.image)) for control in scene.request.controls)
    asked = replace(scene.request, controls=here)
    picture, seconds = _timed(lambda: generate(model, asked, progress=new_progress()))
    name = f"{scene.name}.png"
    save_png(picture, out / name, scene.request, scene.request.seed, model, seconds=seconds)
    names = [*(control.image for control in scene.request.controls), name]
    if scene.request.tiling.wrap_x:
        names.append(f"{scene.name}-rolled.png")
        ImageChops.offset(picture, picture.width // 2, 0).save(out / names[-1])
    plan, report = _plan(model, scene, scene.request, picture, out)
    command = quoted(_command(scene, name, out))
    told = facts(scene.request, report, seconds)
    return Figure(scene.title, scene.text, tuple(names), plan, picture.size, told, (command,))


def _command(scene: Scene, name: str, out: Path) -> list[str]:
    """The words that make a scene's picture again; regions that flags cannot say go into a canvas file."""
    try:
        return command_line(scene.request, name)
    except ValueError:
        canvas = f"{scene.name}.json"
        text = json.dumps(scene.request.to_dict(), ensure_ascii=False, indent=2)
        (out / canvas).write_text(text + "\n", encoding="utf-8")
        return [*PROGRAM.split(), "generate", canvas, "--out", name]


def _upscaled(model: Any, scene: Scene, start: Request, out: Path, new_progress: Callable[[], Any]) -> Figure:
    small, before = _timed(lambda: generate(model, start, progress=new_progress()))
    names = (f"{scene.name}-before.png", f"{scene.name}.png")
    save_png(small, out / names[0], start, start.seed, model, seconds=before)
    picture, seconds = _timed(lambda: upscale(model, scene.request, small, SCALE, progress=new_progress()))
    whole = replace(upscaled_request(model, scene.request, small, SCALE), init_image=names[0])
    save_png(picture, out / names[1], whole, whole.seed, model, seconds=seconds)
    plan, report = _plan(model, scene, whole, picture, out)
    strength = ["--denoising-strength", f"{whole.denoising_strength:g}"]
    again = [*PROGRAM.split(), "upscale", names[0], "--scale", str(SCALE), *strength, "--out", names[1]]
    commands = (quoted(command_line(start, names[0])), quoted(again))
    return Figure(scene.title, scene.text, names, plan, picture.size, facts(whole, report, before + seconds), commands)


def _timed(work: Callable[[], list[Image.Image]]) -> tuple[Image.Image, float]:
    start = time.monotonic()
    return work()[0], time.monotonic() - start


def _plan(model: Any, scene: Scene, request: Request, picture: Image.Image, out: Path) -> tuple[str, Report]:
    """Draws the tiles over the picture; returns the file's name and the figures."""
    planner = make_planner(model, request)
    report = inspect_plan(planner, request, model.unet)
    name = f"{scene.name}-plan.png"
    draw_plan(planner.plan(), request.tiling.regions, lines=report.heading(), picture=picture).save(out / name)
    return name, report


def facts(request: Request, report: Report, seconds: float) -> tuple[tuple[str, str], ...]:
    """Name and value of what a reader wants to know about a picture."""
    lines = dict(line.split(maxsplit=1) for line in report.lines())
    out = [("size", f"{request.width} x {request.height} px"), ("time", f"{seconds:.1f} s")]
    if not request.tiling.regions:
        out.append(("prompt", request.prompt))
    out += [(f"prompt {k}", r.prompt) for k, r in enumerate(request.tiling.regions, start=1)]
    out += [
        ("sampler", f"{request.sampler}, {request.steps} steps, CFG {request.cfg_scale:g}, seed {request.seed}"),
        *((name, lines[name]) for name in ("method", "tile", "tiles", "work", "memory") if name in lines),
    ]
    return tuple(out)
