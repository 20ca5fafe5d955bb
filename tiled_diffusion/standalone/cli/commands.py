"""The command line: runs a command, saves and reports what it made, and turns errors into one line and a status."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiled_diffusion.errors import OutOfMemoryError, TiledError
from tiled_diffusion.standalone.output import Target

from . import hosting
from .parser import build_parser

if TYPE_CHECKING:
    from PIL import Image

    from tiled_diffusion.recipes.host import Picture
    from tiled_diffusion.recipes.progress import Progress
    from tiled_diffusion.settings.print_size import Print
    from tiled_diffusion.settings.request import Request
    from tiled_diffusion.standalone.host import DiffusersHost

DONE, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line.

    Args:
        argv: the words after the program's name; None takes them from the system.

    Returns:
        The exit status: 0 done, 1 failed, 2 wrong input, 130 interrupted.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    try:
        args = build_parser().parse_args(words)
        _quieten(debug)
        COMMANDS[args.command](args)
    except SystemExit as e:  # --help
        return int(e.code or 0)
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED, debug=False)
    except OutOfMemoryError as e:
        return _fail(e, FAILED, debug)
    except TiledError as e:
        return _fail(e, WRONG_INPUT, debug)
    except Exception as e:  # noqa: BLE001 the last one to know: one line, and the way to see more
        return _fail(f"{type(e).__name__}: {e} (run again with --debug to see where)", FAILED, debug)
    return DONE


def _fail(error: object, status: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print("error: " + " ".join(str(error).split()), file=sys.stderr)
    return status


def _quieten(debug: bool) -> None:
    """Keeps the libraries' own warnings and progress bars off the screen."""
    if debug:
        return
    warnings.simplefilter("ignore")
    for name in ("DIFFUSERS_VERBOSITY", "TRANSFORMERS_VERBOSITY"):
        os.environ.setdefault(name, "error")  # read when they are imported


def run_generate(args: argparse.Namespace) -> None:
    """`generate`."""
    from .arguments import read_request, scaled_to

    request = read_request(args)
    _make(
        args,
        lambda host: scaled_to(host.model, request) if args.scale_to_model else request,
        lambda host, wanted, progress: _drawn(args, host, wanted, progress),
    )


def _drawn(args: argparse.Namespace, host: DiffusersHost, request: Request, progress: Progress) -> list[Picture]:
    """At once, or in stages that are kept beside the pictures."""
    from tiled_diffusion.recipes.host import Task
    from tiled_diffusion.recipes.progressive import StageFiles, progressive, stage_folder
    from tiled_diffusion.standalone.images import file_digest
    from tiled_diffusion.standalone.metadata import recorded

    if request.growth is None:
        return host.draw([Task(request)], progress)
    out = Path(args.out)
    folder = out.parent if Target(out).is_file else out
    hints = [file_digest(control.image) or "" for control in request.controls]
    stages = stage_folder(folder, host, recorded(request, host.folders), hints)
    return progressive(host, request, StageFiles(stages), progress)


def run_upscale(args: argparse.Namespace) -> None:
    """`upscale`."""
    from tiled_diffusion.recipes.upscale import upscale, upscaled_request

    from . import blocks
    from .arguments import existing, open_picture, read_upscale_request
    from .printing import sheet_of

    if blocks.in_blocks(args):
        blocks.run(args, hosting.host, _report)
        return
    if Path(args.image).is_dir():
        _upscale_folder(args)
        return
    request = read_upscale_request(args)
    image = open_picture(args.image)
    if args.upscaler != "lanczos":
        existing(args.upscaler)
    sheet = sheet_of(args, image.width > image.height)
    if sheet is not None:
        _print(args, sheet, request, image)
        return
    scale = 2.0 if args.scale is None else args.scale
    _make(
        args,
        lambda host: replace(upscaled_request(host, request, image, scale), init_image=args.image),
        lambda host, wanted, progress: upscale(host, wanted, image, scale, args.upscaler, progress),
    )


def _upscale_folder(args: argparse.Namespace) -> None:
    """`upscale FOLDER/`."""
    from .folder import pictures_of, upscale_folder

    pictures, there = pictures_of(args)
    Target(args.out).prepare()
    with hosting.host(args) as host:
        result, lines = upscale_folder(args, host, pictures, hosting.progress(args))
    told = [f"{there} were there already"] if there else []
    _report(args, {**result, "there": there}, [*lines, *told])


def _print(args: argparse.Namespace, sheet: Print, request: Request, image: Image.Image) -> None:
    """`upscale --print`."""
    from .arguments import refuse_captions, with_sampler
    from .printing import make_print, print_target

    refuse_captions(request)
    path = print_target(args)
    with hosting.host(args) as host:
        request = replace(with_sampler(args, host.model, request), init_image=args.image)
        result, lines = make_print(args, path, sheet, host, request, image, hosting.progress(args))
    _report(args, result, lines)


def run_frame(args: argparse.Namespace) -> None:
    """`frame`."""
    from .arguments import refuse_captions, with_sampler
    from .framing import make_frame_files, read_framing

    framing = read_framing(args)
    refuse_captions(framing.request)
    with hosting.host(args) as host:
        framing = replace(framing, request=with_sampler(args, host.model, framing.request))
        result, lines = make_frame_files(args, framing, host, hosting.progress(args))
    _report(args, result, lines)


def run_inpaint(args: argparse.Namespace) -> None:
    """`inpaint`."""
    from tiled_diffusion.recipes.inpaint import inpaint, inpaint_request

    from .arguments import open_picture, read_inpaint_request

    request = read_inpaint_request(args)
    photo = open_picture(args.image)
    _make(
        args,
        lambda host: inpaint_request(host, request, photo),
        lambda host, wanted, progress: inpaint(host, wanted, photo, None, progress),
    )


def _make(
    args: argparse.Namespace,
    request_for: Callable[[DiffusersHost], Request],
    draw: Callable[[DiffusersHost, Request, Progress], list[Picture]],
) -> None:
    """Loads the model, draws, saves the pictures with what was asked for, and reports."""
    from tiled_diffusion.standalone.inspection import inspect_plan
    from tiled_diffusion.standalone.metadata import save_png
    from tiled_diffusion.standalone.sampling import make_planner

    from .arguments import with_sampler

    target = Target(args.out)
    target.prepare()
    with hosting.host(args) as host:
        request = hosting.captioned(args, host, with_sampler(args, host.model, request_for(host)))
        report = inspect_plan(make_planner(host.model, request), request)
        start = time.monotonic()
        pictures = draw(host, request, hosting.progress(args))
        seconds = time.monotonic() - start
    seeds = [picture.seed for picture in pictures]
    files = target.names(seeds)
    for picture, path in zip(pictures, files, strict=True):
        save_png(picture.image, path, request, picture.seed, host, seconds=seconds, folders=host.folders)
    result = {"files": [str(f) for f in files], "seeds": seeds, "seconds": round(seconds, 2), "plan": report.to_dict()}
    _report(args, result, [f"{f}  (seed {s}, {seconds:.1f} s)" for f, s in zip(files, seeds, strict=True)])


def run_mosaic(args: argparse.Namespace) -> None:
    """`mosaic`."""
    from .mosaic import run

    run(args, hosting.host, _report)


def run_inspect(args: argparse.Namespace) -> None:
    """`inspect`."""
    from tiled_diffusion.standalone.draw import draw_plan
    from tiled_diffusion.standalone.inspection import inspect_plan
    from tiled_diffusion.standalone.sampling import make_planner
    from tiled_diffusion.standalone.tile_prompts import words_of_tiles

    from .arguments import open_picture, read_request, scaled_to

    request = read_request(args)
    target = Target(args.out if args.out.suffix else args.out / "plan.png")
    target.prepare()
    model = hosting.load(args)
    request = scaled_to(model, request) if args.scale_to_model else request
    planner = make_planner(model, request)
    report = inspect_plan(planner, request, model.unet)
    words = words_of_tiles(model, request, planner)
    picture = None if request.init_image is None else open_picture(request.init_image)
    plan, regions, lines = planner.plan(), request.tiling.regions, report.heading()
    draw_plan(plan, regions, lines=lines, words=words, picture=picture).save(target.path)
    result = {"files": [str(target.path)], "plan": report.to_dict(), **({"prompts": words} if words else {})}
    lines = report.lines()
    if args.workers is not None:
        from tiled_diffusion.standalone.cluster.cost import cost_of

        cost = cost_of(model, request, args.workers)
        result["cost"], lines = cost.to_dict(args.workers), [*lines, *cost.lines(args.workers)]
    _report(args, result, [*lines, f"drawn      {target.path}"])


def run_demo(args: argparse.Namespace) -> None:
    """`demo`."""
    from tiled_diffusion.standalone.demo.demo import make_demo

    Target(args.out).prepare()
    model = hosting.load(args)
    _share_processor()

    def say(line: str) -> None:
        if not args.quiet:
            print(line, file=sys.stderr, flush=True)

    start = time.monotonic()
    files = make_demo(model, args.out, lambda: hosting.progress(args), say, shrink=args.shrink)
    seconds = time.monotonic() - start
    page = args.out / "index.html"
    result = {"files": [str(f) for f in files], "page": str(page), "seconds": round(seconds, 2)}
    _report(args, result, [f"Done in {seconds:.0f} s. Open {page} in a browser."])


def _share_processor() -> None:
    """One thread where others fill the processor: there, threads that wait for one another take ten times as long."""
    import torch

    if hasattr(os, "getloadavg") and os.getloadavg()[0] > 1.5 * (os.cpu_count() or 1):
        torch.set_num_threads(1)


def run_studio(args: argparse.Namespace) -> None:
    """`studio`."""
    from tiled_diffusion.standalone.studio.page import listen, serve
    from tiled_diffusion.standalone.studio.studio import Studio

    listener = listen(args.host, args.port)
    model = hosting.load(args)
    if not args.quiet:
        print(
            f"The studio is at http://{args.host}:{listener.getsockname()[1]}/ (Ctrl+C ends it)",
            file=sys.stderr,
            flush=True,
        )
    serve(Studio(model, Path(args.out)), listener)


def run_cluster(args: argparse.Namespace) -> None:
    """`cluster`."""
    from .cluster import run_cluster

    _report(args, *run_cluster(args))


def run_export(args: argparse.Namespace) -> None:
    """`export-checkpoint`."""
    from tiled_diffusion.standalone.ldm_export import write_ldm_checkpoint
    from tiled_diffusion.standalone.model import checkpoint_folder

    out = Path(args.folder)
    if out.exists() and not out.is_dir():
        raise TiledError(f"{out}: this is a file, and a folder is needed")
    files = write_ldm_checkpoint(checkpoint_folder(), out)
    _report(args, {"files": [str(f) for f in files]}, [str(f) for f in files])


def _report(args: argparse.Namespace, result: dict[str, Any], lines: Sequence[str]) -> None:
    if args.json:
        print(json.dumps(result, indent=2))
    elif not args.quiet:
        print("\n".join(lines))


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "generate": run_generate,
    "upscale": run_upscale,
    "inpaint": run_inpaint,
    "mosaic": run_mosaic,
    "frame": run_frame,
    "inspect": run_inspect,
    "demo": run_demo,
    "studio": run_studio,
    "cluster": run_cluster,
    "export-checkpoint": run_export,
}
