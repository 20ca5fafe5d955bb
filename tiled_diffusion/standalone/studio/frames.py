"""The studio's picture frames: each run writes a folder of its own, tells how far it is, and can be stopped."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.frame.steps import FrameResult
from tiled_diffusion.recipes.printing import SOFT, enlargement
from tiled_diffusion.settings.frame import Framing
from tiled_diffusion.settings.print_size import Print, paper_size
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.framing import FrameFiles, frame, free_folder, open_photo, parameters_of

from .studio import Studio, Update, UpdateProgress

SIZES = ("A4", "A3", "30x40cm", "8x10in")
"""Of the table of prints."""


@dataclass(frozen=True)
class Made:
    """What a run has made.

    Attributes:
        result: see recipes.frame.steps.
        files: what it has written, in its order.
    """

    result: FrameResult
    files: tuple[Path, ...]

    def file(self, name: str) -> Path | None:
        """The file of a result, such as "photo"; None where there is none."""
        return next((path for path in self.files if path.stem == name), None)

    @property
    def tries(self) -> list[Path]:
        """The files of the tries, in their order."""
        return [path for path in self.files if path.parent.name == "tries"]


@dataclass(frozen=True)
class Frames:
    """The frames of a studio."""

    studio: Studio

    @property
    def folder(self) -> Path:
        """Where they all are."""
        return self.studio.folder / "frames"

    def make(self, framing: Framing, ending: str = ".png") -> Iterator[str | Made]:
        """Does what is asked for, each time in a new folder.

        Args:
            framing: what is asked for.
            ending: of the print's file.

        Yields:
            One line after the other on how far it is; then what was made.

        Raises:
            TiledError: names what cannot be used.
            Interrupted: it was stopped; what was finished by then is in the folder.
        """
        photo = open_photo(framing.frame.photo)
        given = "" if framing.picture is None else parameters_of(framing.picture)
        with self.studio.turn() as cancelled:
            files = FrameFiles(free_folder(self.folder / "frame"), framing, self.studio.model, photo, ending, given)
            files.begin()
            yield "Starting"
            yield from self._run(framing, files, cancelled)

    def _run(self, framing: Framing, files: FrameFiles, cancelled: threading.Event) -> Iterator[str | Made]:
        updates: queue.SimpleQueue[str | FrameResult | BaseException] = queue.SimpleQueue()

        def tell(name: str, image: Image.Image, request: Request | None) -> None:
            files.write(name, image, request)
            updates.put(f"{files.paths[-1].name} is made")

        def told(update: Update) -> None:
            updates.put(update.text)

        def work() -> None:
            try:
                progress = UpdateProgress(self.studio.model, told, cancelled)
                folders = (self.studio.folder,)
                updates.put(frame(self.studio.model, framing, on_result=tell, progress=progress, folders=folders))
            except BaseException as e:  # noqa: BLE001 handed to the reader, who raises it
                updates.put(e)

        worker = threading.Thread(target=work, daemon=True)
        worker.start()
        try:
            while not isinstance(update := updates.get(), FrameResult):
                if isinstance(update, BaseException):
                    raise update
                yield update
            yield Made(update, tuple(files.paths))
        finally:
            cancelled.set()  # a reader who went away stops the run
            worker.join()


def print_table(size: tuple[int, int], dpi: float) -> str:
    """What prints of a picture would be, as a table in Markdown.

    Args:
        size: width and height of the picture, image pixels.
        dpi: pixels per inch of paper.

    Raises:
        TiledError: the DPI are out of their range.
    """
    lines = ["| paper | pixels | enlarged | |", "| --- | --- | --- | --- |"]
    for text in SIZES:
        sides = sorted(paper_size(text), reverse=size[0] > size[1])
        try:
            sheet = Print(sides[0], sides[1], dpi)
        except TiledError as e:
            if str(e).startswith("dpi"):
                raise
            lines.append(f"| {text} | | | {e} |")
            continue
        scale = enlargement(size, sheet)
        soft = "**soft**" if scale > SOFT else ""
        lines.append(f"| {text} | {sheet.px[0]} x {sheet.px[1]} | {scale:.1f} x | {soft} |")
    warning = f"Beyond {SOFT} times a print looks soft: draw the picture larger, or take fewer DPI."
    return "\n".join([*lines, "", warning] if any(line.endswith("**soft** |") for line in lines) else lines)
