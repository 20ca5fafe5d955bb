"""The studio: makes one picture after the other, tells how far it is, can be stopped, and keeps a history."""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.images import to_images
from tiled_diffusion.standalone.metadata import save_png
from tiled_diffusion.standalone.model import Model
from tiled_diffusion.standalone.sampling import generate

PREVIEW_LP = 32
"""Longer side of the latent that a preview is decoded from: a 256 px picture, cheap for every model."""
PREVIEW_SECONDS = 1.0
"""Least time between two previews."""


class Cancelled(Exception):  # noqa: N818 no error, the user asked for it
    """The user stopped the run."""


@dataclass(frozen=True)
class Update:
    """What a run says while it goes on, and at its end.

    Attributes:
        fraction: 0 to 1.
        text: one line: step, tiles, time left.
        preview: a small picture of the present state, or None where there is no new one.
        files: the finished pictures, only in the last update.
    """

    fraction: float
    text: str
    preview: Image.Image | None = None
    files: tuple[Path, ...] = ()


class Watch(Progress):
    """Turns what a run tells of itself into updates; raises Cancelled between two batches of tiles.

    Args:
        model: decodes the previews.
        tell: takes an update.
        cancelled: set to stop.
    """

    def __init__(self, model: Model, tell: Callable[[Update], None], cancelled: threading.Event) -> None:
        self.model, self.tell, self.cancelled = model, tell, cancelled
        self.steps, self.of, self.done = 1, 1, 0
        self.begun = self.shown = time.monotonic()

    def start(self, steps: int, tiles: int) -> None:
        """A run begins."""
        self.steps, self.of, self.done = max(steps, 1), tiles, 0
        self.begun = self.shown = time.monotonic()

    def tiles(self, done: int) -> None:
        """Tells of tiles; here a run can be stopped."""
        self._check()
        self.of = max(self.of, done)
        self._say(self.done + done / self.of)

    def step(self, i: int) -> None:
        """Tells of a step."""
        self._check()
        self.done = i + 1
        self._say(self.done)

    def denoised(self, latents: Tensor) -> None:
        """A preview, if the last one is old enough."""
        if time.monotonic() - self.shown < PREVIEW_SECONDS:
            return
        self.shown = time.monotonic()
        self._say(self.done, preview(self.model, latents))

    def _check(self) -> None:
        if self.cancelled.is_set():
            raise Cancelled

    def _say(self, steps: float, picture: Image.Image | None = None) -> None:
        left = (time.monotonic() - self.begun) / max(steps, 1e-3) * (self.steps - steps)
        text = f"Step {min(int(steps) + 1, self.steps)} of {self.steps}, {self.of} tiles, about {left:.0f} s left"
        self.tell(Update(steps / self.steps, text, picture))


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
    """

    model: Model
    folder: Path
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _cancelled: threading.Event = field(default_factory=threading.Event, repr=False)

    def kept_hint(self, path: str) -> Path:
        """A copy of a ControlNet's hint beside the pictures, so that their records stay good."""
        data = Path(path).read_bytes()
        kept = self.folder / "hints" / f"{hashlib.sha256(data).hexdigest()[:16]}{Path(path).suffix.lower() or '.png'}"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(data)
        return kept

    def make(self, request: Request, init_image: Image.Image | None = None) -> Iterator[Update]:
        """Makes the pictures of a request and saves them with their records.

        Args:
            request: what to make.
            init_image: the picture to start from, or None.

        Yields:
            Updates; the last one names the files. A run that waits for another one's end says so first.

        Raises:
            TiledError: as `generate` does.
            Cancelled: `cancel` was called; nothing is saved.
        """
        if not self._turn.acquire(blocking=False):
            yield Update(0.0, "Waiting for the picture before this one")
            self._turn.acquire()
        try:
            self._cancelled.clear()
            yield Update(0.0, "Starting")
            yield from self._run(request, init_image)
        finally:
            self._cancelled.set()  # a reader who went away stops the run
            self._turn.release()

    def _run(self, request: Request, init_image: Image.Image | None) -> Iterator[Update]:
        told: queue.SimpleQueue[Update | BaseException] = queue.SimpleQueue()
        watch = Watch(self.model, told.put, self._cancelled)
        worker = threading.Thread(target=self._work, args=(request, init_image, watch, told), daemon=True)
        worker.start()
        try:
            while True:
                said = told.get()
                if isinstance(said, BaseException):
                    raise said
                yield said
                if said.files:
                    return
        finally:
            self._cancelled.set()
            worker.join()

    def _work(
        self,
        request: Request,
        init_image: Image.Image | None,
        watch: Watch,
        told: queue.SimpleQueue[Update | BaseException],
    ) -> None:
        try:
            begun = time.monotonic()
            images = generate(self.model, request, init_image=init_image, progress=watch)
            seconds = time.monotonic() - begun
            files = tuple(self._save(image, request, k, seconds) for k, image in enumerate(images))
            told.put(Update(1.0, f"Done in {seconds:.1f} s", None, files))
        except BaseException as e:  # noqa: BLE001 handed to the reader, who raises it
            told.put(e)

    def _save(self, image: Image.Image, request: Request, k: int, seconds: float) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        taken = [int(p.name[:5]) for p in self.folder.glob("[0-9][0-9][0-9][0-9][0-9]-*.png")]
        path = self.folder / f"{max(taken, default=0) + 1:05d}-{request.seed + k}.png"
        save_png(image, path, request, request.seed + k, self.model, seconds=seconds)
        return path

    def cancel(self) -> None:
        """Stops the present run after the tiles in work."""
        self._cancelled.set()

    def history(self, most: int = 60) -> list[Path]:
        """The finished pictures, newest first."""
        return sorted(self.folder.glob("[0-9][0-9][0-9][0-9][0-9]-*.png"), reverse=True)[:most]
