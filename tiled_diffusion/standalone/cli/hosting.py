"""The model of a command as a host: loaded quietly, with its workers, and what is told meanwhile."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tiled_diffusion.errors import TiledError

if TYPE_CHECKING:
    from tiled_diffusion.recipes.progress import Progress
    from tiled_diffusion.settings.request import Request
    from tiled_diffusion.standalone.host import DiffusersHost
    from tiled_diffusion.standalone.model import Model


@contextmanager
def host(args: argparse.Namespace) -> Iterator[DiffusersHost]:
    """The model as the host of recipes, with its workers."""
    from tiled_diffusion.standalone.host import DiffusersHost

    from .arguments import folders_of
    from .cluster import workers_of

    model = load(args)
    with workers_of(args, model) as runner:
        yield DiffusersHost(model, folders_of(args), getattr(args, "batch", 1), runner)


def load(args: argparse.Namespace) -> Model:
    """The model, without the libraries' own progress bars."""
    import diffusers.utils
    import transformers.utils

    from tiled_diffusion.standalone.model import load_model

    for library in (diffusers.utils.logging, transformers.utils.logging):
        library.disable_progress_bar()
        if not args.debug:
            library.set_verbosity_error()
    return load_model(args.model, device=args.device, dtype=args.dtype)


def say(args: argparse.Namespace, line: str) -> None:
    """Tells a line beside what the command is to give."""
    if not args.quiet:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def progress(args: argparse.Namespace) -> Progress:
    """A bar, or silence."""
    from tiled_diffusion.recipes.progress import Progress
    from tiled_diffusion.standalone.progress_bar import BarProgress

    return Progress() if args.quiet else BarProgress()


def captioned(args: argparse.Namespace, host: DiffusersHost, request: Request) -> Request:
    """The request with what a captioner says of its start picture, where it asks for that."""
    from tiled_diffusion.recipes.captioner import command_captioner
    from tiled_diffusion.standalone.images import open_image
    from tiled_diffusion.standalone.sampling import make_planner
    from tiled_diffusion.standalone.tile_prompts import with_captions

    if request.tiling.tile_prompts != "captions" or not args.caption_command:
        return request
    if request.init_image is None:
        raise TiledError("tile_prompts: got 'captions', allowed only with a start picture")
    picture = host.upscale(open_image(request.init_image), (request.width, request.height))
    return with_captions(request, make_planner(host.model, request), picture, command_captioner(args.caption_command))
