"""The studio: makes one picture after the other, tells how far it is, can be stopped, and keeps a history."""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from tiled_diffusion.engine.describe import describe
from tiled_diffusion.recipes.host import Picture, Task
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.host import DiffusersHost
from tiled_diffusion.standalone.images import to_images
from tiled_diffusion.standalone.metadata import save_png
from tiled_diffusion.standalone.model import Model, load_model
from tiled_diffusion.standalone.output import numbered, numbered_names
from tiled_diffusion.ui.last_jobs import FinishedJob, LastJobs, ways_of
from tiled_diffusion.ui.routes import kind_of
from tiled_vae import Interrupted

PREVIEW_LP = 32
"""Longer side of the latent that a preview is decoded from: a 256 px picture, cheap for every model."""
PREVIEW_SECONDS = 1.0
"""Least time between two previews."""


@dataclass(frozen=True)
class Job:
    """What a run does.

    Attributes:
        request: what is asked for, as the pictures' records say it.
        draw: makes the pictures.
        save: writes a picture to a file in place of `save_png`, or None.
    """

    request: Request
    draw: Callable[[DiffusersHost, Progress], Sequence[Picture]]
    save: Callable[[Picture, Path], None] | None = None


@dataclass(frozen=True)
class Update:
    """What a run says while it goes on, and at its end.

    Attributes:
        fraction: 0 to 1.
        text: one line: step, tiles, time left.
        preview: a small picture of the present state, or None where there is no new one.
        files: the finished pictures, only in the last update.
        tiles: how many tiles of the present step are drawn.
    """

    fraction: float
    text: str
    preview: Image.Image | None = None
    files: tuple[Path, ...] = ()
    tiles: int = 0


class UpdateProgress(Progress):
    """Turns what a run tells of itself into updates; raises Interrupted between two batches of tiles.

    Args:
        model: decodes the previews.
        send: takes an update.
        cancelled: set to stop.
    """

    def __init__(self, model: Model, send: Callable[[Update], None], cancelled: threading.Event) -> None:
        self._model, self._send, self._cancelled = model, send, cancelled
        self.start(1, 1)

    def start(self, steps: int, tiles: int) -> None:
        """A run begins."""
        self._steps, self._tiles, self._steps_done = max(steps, 1), tiles, 0
        self._started = self._previewed = time.monotonic()

    def tiles(self, done: int) -> None:
        """Tells of tiles; here a run can be stopped."""
        self._stop_if_cancelled()
        self._tiles = max(self._tiles, done)
        self._tell(self._steps_done + done / self._tiles, tiles=done)

    def step(self, i: int) -> None:
        """Tells of a step; here too a run can be stopped."""
        self._stop_if_cancelled()
        self._steps_done = i + 1
        self._tell(self._steps_done)

    def denoised(self, latents: Tensor) -> None:
        """A preview, if the last one is old enough."""
        if time.monotonic() - self._previewed < PREVIEW_SECONDS:
            return
        self._previewed = time.monotonic()
        self._tell(self._steps_done, preview(self._model, latents))

    def _stop_if_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise Interrupted

    def _tell(self, steps: float, picture: Image.Image | None = None, tiles: int = 0) -> None:
        left = (time.monotonic() - self._started) / max(steps, 1e-3) * (self._steps - steps)
        step = min(int(steps) + 1, self._steps)
        text = f"Step {step} of {self._steps}, {self._tiles} tiles, about {left:.0f} s left"
        self._send(Update(min(1.0, steps / self._steps), text, picture, tiles=tiles))


@torch.no_grad()
def preview(model: Model, latents: Tensor) -> Image.Image:
    """The first picture of a batch, small: decoded from the shrunk latent [B, C, H, W]."""
    longest = max(latents.shape[-2:])
    if longest > PREVIEW_LP:
        latents = interpolate(latents.float(), scale_factor=PREVIEW_LP / longest, mode="area")
    pixels: Tensor = model.vae.decode(
        (latents[:1] / model.vae.config.scaling_factor).to(model.vae.device, model.vae.dtype), return_dict=False
    )[0]
    return to_images(pixels.nan_to_num())[0]


@dataclass
class Studio:
    """One model, one run at a time, and a folder of finished pictures.

    Attributes:
        model: see load_model.
        folder: where the pictures go; made if it is not there.
        jobs: the last ones, with their times.
    """

    model: Model
    folder: Path
    jobs: LastJobs = field(default_factory=LastJobs, repr=False)
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _cancelled: threading.Event = field(default_factory=threading.Event, repr=False)

    def kept(self, path: str | Path, room: str) -> Path:
        """A copy of a file that a request names, beside the pictures, so that their records stay good.

        Args:
            path: of the file.
            room: name of the folder that it goes into.
        """
        return self.kept_bytes(Path(path).read_bytes(), Path(path).suffix.lower() or ".png", room)

    def kept_bytes(self, data: bytes, suffix: str, room: str) -> Path:
        """As `kept`, of a file's bytes; the file's name is their digest."""
        kept = self.folder / room / f"{hashlib.sha256(data).hexdigest()[:16]}{suffix}"
        if not kept.is_file():
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(data)
        return kept

    def load(self, path: str | None) -> None:
        """Takes another model, after the run that goes on now.

        Args:
            path: a folder or a file; None for the shipped checkpoint.

        Raises:
            TiledError: as `load_model` does; the model before stays.
        """
        with self._turn:
            self.model = load_model(path, str(self.model.device), self.model.precision)

    def make(self, request: Request, init_image: Image.Image | None = None) -> Iterator[Update]:
        """Makes the pictures of a request and saves them with their records; as `run`.

        Args:
            request: what to make.
            init_image: the picture to start from, or None.
        """
        yield from self.run(Job(request, lambda host, progress: host.draw([Task(request, init_image)], progress)))

    def run(self, job: Job) -> Iterator[Update]:
        """Makes the pictures of a job and saves them.

        Yields:
            Updates; the last one names the files. A run that waits for another one's end says so first.

        Raises:
            TiledError: as the job does.
            Interrupted: `cancel` was called; nothing is saved.
        """
        if not self._turn.acquire(blocking=False):
            yield Update(0.0, "Waiting for the picture before this one")
            self._turn.acquire()
        try:
            self._cancelled.clear()
            yield Update(0.0, "Starting")
            yield from self._run(job)
        finally:
            self._cancelled.set()  # a reader who went away stops the run
            self._turn.release()

    @contextmanager
    def turn(self) -> Iterator[threading.Event]:
        """Waits for the run before, and keeps others waiting; yields what is set when this one is to stop."""
        with self._turn:
            self._cancelled.clear()
            try:
                yield self._cancelled
            finally:
                self._cancelled.set()

    def _run(self, job: Job) -> Iterator[Update]:
        updates: queue.SimpleQueue[Update | BaseException] = queue.SimpleQueue()
        worker = threading.Thread(target=self._work, args=(job, updates), daemon=True)
        worker.start()
        try:
            while True:
                update = updates.get()
                if isinstance(update, BaseException):
                    raise update
                yield update
                if update.files:
                    return
        finally:
            self._cancelled.set()
            worker.join()

    def _work(self, job: Job, updates: queue.SimpleQueue[Update | BaseException]) -> None:
        try:
            start = time.monotonic()
            progress = UpdateProgress(self.model, updates.put, self._cancelled)
            if self.model.device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(self.model.device)
            pictures = job.draw(DiffusersHost(self.model, (self.folder,)), progress)
            seconds = time.monotonic() - start
            if job.save is None:
                self._remember(job.request, seconds)
            updates.put(Update(1.0, f"Done in {seconds:.1f} s", None, self._save(pictures, job, seconds)))
        except BaseException as e:  # noqa: BLE001 handed to the reader, who raises it
            updates.put(e)

    def _remember(self, request: Request, seconds: float) -> None:
        size = (request.width, request.height)
        plan = describe(request.tiling, *size, self.model.traits, cfg_scale=request.cfg_scale)
        device = self.model.device
        peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
        way = "" if request.init_image is None else "img2img"
        kind = kind_of(plan, size, ways_of(way, request.growth, request.inversion))
        self.jobs.add(FinishedJob(kind, request.steps, seconds, peak))

    def _save(self, pictures: Sequence[Picture], job: Job, seconds: float) -> tuple[Path, ...]:
        self.folder.mkdir(parents=True, exist_ok=True)
        files = tuple(numbered_names(self.folder, [picture.seed for picture in pictures]))
        more: dict[str, Any] = {"seconds": seconds, "folders": (self.folder,)}
        for picture, path in zip(pictures, files, strict=True):
            if job.save is not None:
                job.save(picture, path)
            else:
                save_png(picture.image, path, job.request, picture.seed, self.model, **more)
        return files

    def cancel(self) -> None:
        """Stops the present run after the tiles in work."""
        self._cancelled.set()

    def history(self, most: int = 60) -> list[Path]:
        """The finished pictures, newest first."""
        return [path for _, path in reversed(numbered(self.folder))][:most]
