"""Picture frames in the standalone program: the photo is opened, the frame found, and every result written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from tiled_diffusion.engine.runner import Runner
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.frame.job import FrameResult, Keep, make_frame
from tiled_diffusion.recipes.frame.photo import wide_channels
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.recipes.upscale import dpi_of
from tiled_diffusion.settings.frame import FrameJob
from tiled_diffusion.settings.request import Request

from .find_frame import find_frame
from .host import DiffusersHost
from .images import open_image
from .metadata import parameters_text
from .model import Model
from .print_files import save_print
from .upscalers import LANCZOS

CHUNK = "tiled_diffusion_frame"
JOB = "job.json"


def frame(
    model: Model,
    job: FrameJob,
    *,
    keep: Keep | None = None,
    progress: Progress | None = None,
    folders: Sequence[Path] | None = None,
    runner: Runner | None = None,
) -> FrameResult:
    """Puts a picture into a photo of an empty frame, as far as a job asks for: drawn, redrawn, printed.

    Args:
        model: see load_model.
        job: the files that it names are opened.
        keep: is handed each result as soon as it is there, see recipes.frame.job.make_frame.
        progress: is told of steps and tiles.
        folders: in which the files of regions' pictures may lie; None allows the working folder.
        runner: the workers that draw, see cluster.workers; None: here.

    Raises:
        TiledError: names the file, corner or size that cannot be used, or says that no frame is seen.
    """
    photo = open_photo(job.frame.photo)
    picture = None if job.picture is None else open_image(job.picture, "picture")
    host = DiffusersHost(model, None if folders is None else tuple(folders), runner=runner)
    return make_frame(host, job, photo, picture=picture, find=find_frame, keep=keep, progress=progress)


def open_photo(path: str) -> Image.Image:
    """A photo, upright as its camera says.

    Raises:
        TiledError: it is no picture, or has more than 8 bits a channel.
    """
    try:
        with Image.open(path) as image:
            if wide_channels(image):
                raise TiledError(f"photo: {path} has 16 bits a channel; allowed are photos of 8 bits")
            return ImageOps.exif_transpose(image)
    except (OSError, SyntaxError, Image.DecompressionBombError) as e:
        raise TiledError(f"photo: {path} cannot be read as a picture ({e})") from e


@dataclass
class FrameFiles:
    """Writes results into a folder as they come.

    Attributes:
        folder: that is there already.
        job: is written into each PNG, and as JOB.
        model: its name is recorded.
        photo: what photo.png keeps DPI and profile of.
        ending: of the print's file, such as ".pdf".
        paths: what has been written, in its order.
    """

    folder: Path
    job: FrameJob
    model: Model
    photo: Image.Image
    ending: str = ".png"
    paths: list[Path] = field(default_factory=list)

    def begin(self) -> None:
        """Writes the job, with whole paths: photo.png beside it is a result, and not the photo."""
        path = self.folder / JOB
        job, files = self.job, {}
        if job.picture is not None:
            files["picture"] = str(Path(job.picture).resolve())
        if job.upscaler != LANCZOS:
            files["upscaler"] = str(Path(job.upscaler).resolve())
        job = replace(job, frame=replace(job.frame, photo=str(Path(job.frame.photo).resolve())), **files)
        path.write_text(json.dumps(job.to_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        self.paths.append(path)

    def keep(self, name: str, image: Image.Image, request: Request | None) -> None:
        """Writes a result; see recipes.frame.job.Keep."""
        text = "" if request is None else parameters_text(request, self.model.name)
        path = self.folder / f"{name}{self.ending if name == 'print' else '.png'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if name == "print" and self.job.print is not None:
            save_print(image, path, self.job.print.dpi, text)
        else:
            info = PngInfo()
            if text:
                info.add_itxt("parameters", text)
            info.add_itxt(CHUNK, json.dumps(self.job.to_dict(), ensure_ascii=False))
            profile = self.photo.info.get("icc_profile") if name == "photo" and self.photo.mode == image.mode else None
            dpi = dpi_of(self.photo) if name == "photo" else {}
            image.save(path, format="PNG", pnginfo=info, icc_profile=profile, **dpi)
        self.paths.append(path)


def free_folder(folder: Path) -> Path:
    """The folder, or NAME-2, NAME-3 ... where it holds results of a job already, made where it is not there.

    Raises:
        TiledError: it cannot be made.
    """
    names = (folder if k == 1 else folder.with_name(f"{folder.name}-{k}") for k in range(1, 10000))
    free = next(name for name in names if not (name / JOB).exists())
    try:
        free.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise TiledError(f"--out: {free} cannot be made ({e.strerror})") from e
    return free
