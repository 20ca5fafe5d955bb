"""Writes a zoom as a video (webm and mp4, by the library PyAV), as a GIF, or as a folder of frames."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.files import UNFINISHED

from .files import picture_bytes, write_kept
from .zoom import Zoom

CODECS = {".webm": "libvpx-vp9", ".mp4": "libx264"}
OPTIONS = {".webm": {"crf": "24", "b": "0", "deadline": "good", "cpu-used": "4"}, ".mp4": {"crf": "18"}}
FPS = 30
GIF_FPS = 20
"""Browsers slow down faster ones."""


def check_video(path: Path) -> None:
    """Tells what is wrong with a zoom's file before anything is drawn.

    Raises:
        TiledError: its name has no known ending, or the library is not there.
    """
    suffix = path.suffix.lower()
    if suffix and suffix != ".gif" and suffix not in CODECS:
        raise TiledError(f"zoom: got {path.name}, allowed are .webm, .mp4, .gif, or a folder for frames as PNG files")
    if suffix in CODECS:
        _library(path)


def zoom_file(folder: Path) -> Path:
    """Where the zoom of a mosaic stands on a page: a GIF where the library for videos is missing."""
    path = folder / "zoom.webm"
    try:
        check_video(path)
    except TiledError:
        return path.with_suffix(".gif")
    return path


def write_video(zoom: Zoom, path: Path, seconds: float, fps: int | None = None) -> int:
    """Writes all frames; returns their number.

    Args:
        zoom: the frames; a video's sides are even.
        path: a .webm, .mp4 or .gif file, or a folder.
        seconds: length.
        fps: frames in a second; None takes 30, for GIFs 20.

    Raises:
        TiledError: as `check_video`, or the file cannot be written.
    """
    check_video(path)
    suffix = path.suffix.lower()
    fps = fps or (GIF_FPS if suffix == ".gif" else FPS)
    count = max(2, round(seconds * fps))
    frames = zoom.frames(count)
    if not suffix:
        for number, frame in enumerate(frames):
            write_kept(path / f"{number:05d}.png", picture_bytes(frame, None))
        return count
    part = path.with_name(f"{path.stem}{UNFINISHED}{suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if suffix == ".gif":
            _write_gif(frames, part, fps)
        else:
            _write_encoded(frames, part, fps)
        part.replace(path)
    except OSError as e:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise TiledError(f"{path}: the zoom cannot be written ({e})") from e
    return count


def _write_gif(frames: Iterator[Image.Image], path: Path, fps: int) -> None:
    palettes = (frame.quantize(256, Image.Quantize.FASTOCTREE) for frame in frames)
    first = next(palettes)
    first.save(path, save_all=True, append_images=palettes, duration=round(1000 / fps), loop=0)


def _write_encoded(frames: Iterator[Image.Image], path: Path, fps: int) -> None:
    av, suffix = _library(path), path.suffix.lower()
    with av.open(str(path), "w") as out:
        stream: Any = None
        for image in frames:
            if stream is None:
                stream = out.add_stream(CODECS[suffix], rate=fps, options=OPTIONS[suffix])
                stream.width, stream.height, stream.pix_fmt = *image.size, "yuv420p"
            out.mux(stream.encode(av.VideoFrame.from_image(image)))
        out.mux(stream.encode())


def _library(path: Path) -> Any:
    try:
        import av
    except ImportError as e:
        raise TiledError(
            f"zoom: for {path.name} the library PyAV is needed: pip install av; a .gif or a folder needs none"
        ) from e
    return av
