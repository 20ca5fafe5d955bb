"""The demo: seven pictures, a frame and a mosaic that show what it is good for, their plans, and a page of them all."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image, ImageChops

from tiled_diffusion.recipes.host import Picture, Task
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.recipes.upscale import upscale, upscaled_request
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.cli.helps import PROGRAM
from tiled_diffusion.standalone.cli.words import command_line, quoted
from tiled_diffusion.standalone.draw import draw_plan
from tiled_diffusion.standalone.host import DiffusersHost
from tiled_diffusion.standalone.inspection import Report, inspect_plan
from tiled_diffusion.standalone.metadata import save_png
from tiled_diffusion.standalone.model import Model
from tiled_diffusion.standalone.sampling import make_planner

from .drawing import drawing
from .frame import REQUEST as FRAMED
from .frame import frame_figure
from .mosaic import SETTINGS, mosaic_figure
from .page import Figure, page
from .scenes import DRAWING, SCALE, Scene, scenes


def make_demo(
    model: Model, out: Path, new_progress: Callable[[], Progress], say: Callable[[str], None], *, shrink: int = 1
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
    drawing().save(out / DRAWING)
    demo = _Demo(DiffusersHost(model), out, new_progress)
    all_scenes = [_shrunk(scene, shrink) for scene in scenes()]
    figures = []
    for i, scene in enumerate(all_scenes, start=1):
        say(f"[{i}/{len(all_scenes)}] {scene.title}: {scene.request.prompt}")
        figures.append(demo.upscaled(scene, scene.start) if scene.start else demo.drawn(scene))
    say(f"[+] A frame: {FRAMED.prompt}")
    figures.append(frame_figure(demo.host, out, new_progress, shrink))
    say(f"[+] A mosaic: {SETTINGS.request.prompt}")
    figures.append(mosaic_figure(demo.host, out, new_progress, shrink))
    index = out / "index.html"
    index.write_text(page(figures, model), encoding="utf-8")
    return [*(out / name for f in figures for name in (*f.pictures, f.plan, f.viewer) if name), index]


def _shrunk(scene: Scene, by: int) -> Scene:
    if by <= 1:
        return scene

    def small(r: Request) -> Request:
        return replace(r, width=max(96, r.width // by // 16 * 16), height=max(96, r.height // by // 16 * 16), steps=2)

    return replace(scene, request=small(scene.request), start=scene.start and small(scene.start))


@dataclass(frozen=True)
class _Demo:
    """Makes scenes: their pictures, their plans and what the page says of them.

    Attributes:
        host: draws.
        out: folder for the files.
        new_progress: called before each picture.
    """

    host: DiffusersHost
    out: Path
    new_progress: Callable[[], Progress]

    def drawn(self, scene: Scene) -> Figure:
        """A scene that is drawn from its request."""
        request, name = scene.request, f"{scene.name}.png"
        here = tuple(replace(control, image=str(self.out / control.image)) for control in request.controls)
        task = Task(replace(request, controls=here))
        image, seconds = self._timed(lambda progress: self.host.draw([task], progress))
        save_png(image, self.out / name, request, request.seed, self.host, seconds=seconds)
        names = [*(control.image for control in request.controls), name]
        if request.tiling.wrap_x:
            names.append(f"{scene.name}-rolled.png")
            ImageChops.offset(image, image.width // 2, 0).save(self.out / names[-1])
        plan, report = self._plan(scene, request, image)
        command = quoted(self._command(scene, name))
        return Figure(
            scene.title, scene.text, tuple(names), plan, image.size, facts(request, report, seconds), (command,)
        )

    def upscaled(self, scene: Scene, start: Request) -> Figure:
        """A scene that is a small picture, drawn from `start`, made larger."""
        before, after = f"{scene.name}-before.png", f"{scene.name}.png"
        small, seconds_before = self._timed(lambda progress: self.host.draw([Task(start)], progress))
        save_png(small, self.out / before, start, start.seed, self.host, seconds=seconds_before)
        large, seconds = self._timed(
            lambda progress: upscale(self.host, scene.request, small, SCALE, progress=progress)
        )
        request = replace(upscaled_request(self.host, scene.request, small, SCALE), init_image=before)
        save_png(large, self.out / after, request, request.seed, self.host, seconds=seconds)
        plan, report = self._plan(scene, request, large)
        strength = ["--denoising-strength", f"{request.denoising_strength:g}"]
        command = [*PROGRAM.split(), "upscale", before, "--scale", str(SCALE), *strength, "--out", after]
        return Figure(
            scene.title, scene.text, (before, after), plan, large.size,
            facts(request, report, seconds_before + seconds),
            (quoted(command_line(start, before)), quoted(command)),
        )  # fmt: skip

    def _timed(self, work: Callable[[Progress], list[Picture]]) -> tuple[Image.Image, float]:
        """The first picture, and the seconds that it took."""
        start = time.monotonic()
        return work(self.new_progress())[0].image, time.monotonic() - start

    def _command(self, scene: Scene, name: str) -> list[str]:
        """The words that make a scene's picture again; regions that flags cannot say go into a canvas file."""
        try:
            return command_line(scene.request, name)
        except ValueError:
            canvas = f"{scene.name}.json"
            text = json.dumps(scene.request.to_dict(), ensure_ascii=False, indent=2)
            (self.out / canvas).write_text(text + "\n", encoding="utf-8")
            return [*PROGRAM.split(), "generate", canvas, "--out", name]

    def _plan(self, scene: Scene, request: Request, image: Image.Image) -> tuple[str, Report]:
        """Draws the tiles over the picture; returns the file's name and the figures."""
        planner = make_planner(self.host.model, request)
        report = inspect_plan(planner, request, self.host.model.unet)
        name = f"{scene.name}-plan.png"
        draw_plan(planner.plan(), request.tiling.regions, lines=report.heading(), picture=image).save(self.out / name)
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
