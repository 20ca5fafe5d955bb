"""Picture frames in the standalone program: the photo is opened, the frame found, and every result written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tiled_diffusion.engine.runner import Runner
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.frame.find import find_frame
from tiled_diffusion.recipes.frame.photo import wide_channels
from tiled_diffusion.recipes.frame.steps import FrameResult, OnResult, make_frame
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.recipes.upscale import dpi_of
from tiled_diffusion.settings.frame import Framing
from tiled_diffusion.settings.request import Request

from .host import DiffusersHost
from .images import open_image
from .metadata import parameters_text
from .model import Model
from .print_files import FORMATS, save_print
from .upscalers import LANCZOS

SETTINGS = "frame.json"
RESULTS = (
    SETTINGS,
    *(f"{name}.png" for name in ("corners", "flat", "tries", "picture", "redrawn", "photo")),
    *(f"print{ending}" for ending in FORMATS),
    "tries",
)
"""What may lie in a folder; a folder that holds one of these is another's."""
GIVEN = ("picture", "photo", "print")
"""Results that may show a given picture as it is."""


def frame(
    model: Model,
    framing: Framing,
    *,
    on_result: OnResult | None = None,
    progress: Progress | None = None,
    folders: Sequence[Path] | None = None,
    runner: Runner | None = None,
) -> FrameResult:
    """Puts a picture into a photo of an empty frame, as far as is asked for: drawn, redrawn, printed.

    Args:
        model: see load_model.
        framing: what is asked for; the files that it names are opened.
        on_result: is handed each result as soon as it is there, see recipes.frame.steps.make_frame.
        progress: is told of steps and tiles.
        folders: in which the files of regions' pictures may lie; None allows the working folder.
        runner: the workers that draw, see cluster.workers; None: here.

    Raises:
        TiledError: names the file, corner or size that cannot be used, or says that no frame is seen.
    """
    photo = open_photo(framing.frame.photo)
    picture = None if framing.picture is None else open_image(framing.picture, "picture")
    host = DiffusersHost(model, None if folders is None else tuple(folders), runner=runner)
    return make_frame(host, framing, photo, picture=picture, find=find_frame, on_result=on_result, progress=progress)


def open_photo(path: str) -> Image.Image:
    """A photo, upright as its camera says.

    Raises:
        TiledError: it is no picture, or has more than 8 bits a channel.
    """
    photo = open_image(path, "photo")
    with Image.open(path) as image:
        if wide_channels(image):
            raise TiledError(f"photo: {path} has 16 bits a channel; allowed are photos of 8 bits")
    return photo


def parameters_of(path: str) -> str:
    """What the file of a picture says of how it was drawn; empty where it does not."""
    with Image.open(path) as image:
        return str(image.info.get("parameters", ""))


@dataclass
class FrameFiles:
    """Writes results into a folder as they come.

    Attributes:
        folder: that is there already.
        framing: what was asked for; it is written as SETTINGS.
        model: its name is recorded.
        photo: what photo.png keeps DPI and profile of.
        ending: of the print's file, such as ".pdf".
        parameters: what a given picture's own record says of how it was drawn.
        paths: what has been written, in its order.
    """

    folder: Path
    framing: Framing
    model: Model
    photo: Image.Image
    ending: str = ".png"
    parameters: str = ""
    paths: list[Path] = field(default_factory=list)

    def begin(self) -> None:
        """Writes what was asked for, with whole paths: photo.png beside it is a result, and not the photo."""
        path = self.folder / SETTINGS
        framing = self.framing
        files: dict[str, Any] = {}
        whole = replace(framing.frame, photo=str(Path(framing.frame.photo).resolve()))
        if framing.picture is not None:
            files["picture"] = str(Path(framing.picture).resolve())
        if framing.upscaler != LANCZOS:
            files["upscaler"] = str(Path(framing.upscaler).resolve())
        data = replace(framing, frame=whole, **files).to_dict()
        path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        self.paths.append(path)

    def write(self, name: str, image: Image.Image, request: Request | None) -> None:
        """Writes a result; see recipes.frame.steps.OnResult."""
        known = self.parameters if name in GIVEN else ""
        text = known if request is None else parameters_text(request, self.model.name)
        path = self.folder / f"{name}{self.ending if name == 'print' else '.png'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if name == "print" and self.framing.print is not None:
            save_print(image, path, self.framing.print.dpi, text)
        else:
            info = PngInfo()
            if text:
                info.add_itxt("parameters", text)
            profile = self.photo.info.get("icc_profile") if name == "photo" and self.photo.mode == image.mode else None
            dpi = dpi_of(self.photo) if name == "photo" else {}
            image.save(path, format="PNG", pnginfo=info, icc_profile=profile, **dpi)
        self.paths.append(path)


def free_folder(folder: Path) -> Path:
    """The folder, or NAME-2, NAME-3 ... where files of the results' names lie in it; made where it is not there.

    Raises:
        TiledError: it cannot be made.
    """
    named = folder if folder.name else folder.absolute()  # "." has no name
    names = (folder if k == 1 else named.with_name(f"{named.name}-{k}") for k in range(1, 10000))
    free = next(name for name in names if not any((name / result).exists() for result in RESULTS))
    try:
        free.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise TiledError(f"--out: {free} cannot be made ({e.strerror})") from e
    return free
