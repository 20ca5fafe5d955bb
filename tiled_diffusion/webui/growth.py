"""Growing in stages, in txt2img: in a job's own sampling each of its pictures is drawn by jobs of its own, one a stage.

The first one is txt2img, the others are img2img; sampler, steps, LoRAs, ControlNets and scripts are the job's. What the
job gets is the finished picture, as after hires fix.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.host import Picture, Task
from tiled_diffusion.recipes.progress import Progress, TimeLeft
from tiled_diffusion.recipes.progressive import StageFiles, progressive, stage_folder, stage_sizes
from tiled_diffusion.settings.files import write_whole
from tiled_diffusion.settings.panel import PanelSettings
from tiled_diffusion.settings.request import Request
from tiled_vae import Interrupted

from . import xyz
from .hosts import host
from .hosts.port import Job
from .hosts.values import PictureApart
from .run import TITLE, Run, failing, run_of
from .scope import wrap

APART = "_tiled_diffusion_apart"
"""Where a job that draws a stage has its settings."""
SHOWN = "Grow in stages"
MOST_DEPTH = 8
"""Of arguments of scripts that are looked at."""


def check_growth(p: Job, *, img2img: bool) -> None:
    """Raises TiledError where a job cannot grow."""
    if img2img:
        raise TiledError("grow: got true in img2img, allowed is txt2img: a picture grows from the prompt alone")
    if host.jobs.has_hires(p):
        raise TiledError("grow: hires fix is on too, which is one such stage: switch one of the two off")


def grow(p: Job) -> None:
    """In the place of the job's own sampling, stages."""

    def around(original: Callable[..., Any]) -> Callable[..., Any]:
        def sample(*args: Any, **kwargs: Any) -> Any:
            run = run_of(p)
            if run is None:
                return original(*args, **kwargs)
            try:
                return _grown(p, run)
            except TiledError as e:
                raise failing(TITLE, e) from None
            finally:
                host.vae.show(None)

        return sample

    wrap(p, "sample", TITLE, around)


def _grown(p: Job, run: Run) -> Any:
    """The finished pictures of the present batch."""
    first = p.iteration * p.batch_size
    pictures: list[Tensor] = []
    for image in range(first, min(first + p.batch_size, len(p.all_prompts))):
        if pictures and host.jobs.stop_wanted():
            break
        pictures.append(_pixels(_picture(p, run, image)))
    return host.vae.decoded(pictures)


def _picture(p: Job, run: Run, image: int) -> Image.Image:
    """One of the job's pictures; where the user stops it, what there is of it, in its size."""
    request = Request(
        p.all_prompts[image], p.all_negative_prompts[image], p.width, p.height, seed=int(p.all_seeds[image]),
        tiling=run.texts.resolved(image, styled=True), growth=run.job.growth,
    )  # fmt: skip
    stages = Stages(p, run.job, image)
    files = JobFiles(_folder(p, run, stages, request), stages) if host.jobs.saves(p) else None
    host.jobs.announce_more(len(stage_sizes(stages, request)))
    try:
        return progressive(stages, request, files, Told())[0].image
    except Interrupted:
        p.comment(f"{TITLE}: stopped while it grew: this is the last stage that was finished, enlarged")
        size = (p.width, p.height)
        return Image.new("RGB", size) if stages.last is None else stages.upscale(stages.last, size)
    finally:
        run.resumed |= stages.resumed


def _folder(p: Any, run: Run, stages: Stages, request: Request) -> Path:
    """Beside the job's pictures; of its own for all that changes the picture, what scripts are told included.

    It is looked at for all pictures before the first one is drawn, for each of them adds to the job's record.
    """
    if not run.told:
        scripts = digest_of(p.script_args)
        run.told = tuple((host.jobs.described(p, image), scripts) for image in range(len(p.all_prompts)))
    samples = p.outpath_samples or host.page.option("outdir_txt2img_samples", "outputs/txt2img-images")
    return stage_folder(Path(samples), stages, request, run.told[stages.image])


def _pixels(image: Image.Image) -> Tensor:
    """[3, H, W] in -1..1."""
    return torch.from_numpy(np.asarray(image.convert("RGB"), dtype=np.float32)).permute(2, 0, 1) / 127.5 - 1


@dataclass(frozen=True)
class Said:
    """What sampler and scripts say of a stage.

    Attributes:
        records: fields of its picture's record, of the first stage alone.
        comments: lines below it.
    """

    records: Mapping[str, Any] = field(default_factory=dict)
    comments: Sequence[str] = ()

    def to_json(self) -> str:
        """Records that are functions of the host's are left out."""
        records = {name: value for name, value in self.records.items() if isinstance(value, (str, int, float))}
        return json.dumps({"records": records, "comments": list(self.comments)})

    @classmethod
    def from_json(cls, text: str | bytes) -> Said:
        """Nothing, where the text is of another kind."""
        try:
            data = json.loads(text)
            return cls(dict(data["records"]), [str(comment) for comment in data["comments"]])
        except (ValueError, TypeError, KeyError):
            return cls()


@dataclass
class Stages:
    """A txt2img job as what draws the stages of one of its pictures.

    Attributes:
        p: the job.
        job: what its panel asks for.
        image: number of the picture in the job.
        last: where it was stopped: the last stage that was finished, or what there is of the first one.
        said: of the stage that was drawn last.
        resumed: a stage was there already, from a run before.
    """

    p: Any
    job: PanelSettings
    image: int
    last: Image.Image | None = field(default=None, init=False)
    said: Said = field(default_factory=Said, init=False)
    resumed: bool = field(default=False, init=False)

    @property
    def name(self) -> str:
        """The checkpoint; the job's record says the rest."""
        return host.sampling.checkpoint()

    @property
    def unit_px(self) -> int:
        """Of the model."""
        return host.sampling.model_size().unit_px

    @property
    def native_px(self) -> int:
        """Of the model."""
        model = host.sampling.model_size()
        return model.native * model.factor

    def draw(self, tasks: Sequence[Task], progress: Progress | None = None) -> list[Picture]:  # noqa: ARG002 the page's own
        """Each by a job of its own.

        Raises:
            Interrupted: the user pressed Interrupt or Skip.
        """
        return [Picture(self._drawn(task), task.request.seed) for task in tasks]

    def _drawn(self, task: Task) -> Image.Image:
        request, keeps = task.request, self.job.keep_picture and task.start is not None
        settings = replace(self.job, tiling=request.tiling, grow=False, width=None, height=None, keep_picture=keeps)
        drawn = host.jobs.draw_apart(self.p, PictureApart(
            task.start, request.prompt, request.negative_prompt, request.seed, int(self.p.all_subseeds[self.image]),
            (request.width, request.height), request.denoising_strength,
            {APART: settings, **xyz.VAE.carried(self.p)},
        ))  # fmt: skip
        self.said = Said(drawn.records if task.start is None else {}, drawn.comments)
        self.tell(self.said)
        image: Image.Image | None = None if drawn.image is None else drawn.image.convert("RGB")
        if image is None or host.jobs.stop_wanted():
            self.last = task.start or image
            raise Interrupted
        return image

    def tell(self, said: Said) -> None:
        """What is said of a stage holds for the picture; what the job says itself stays."""
        for comment in said.comments:
            if comment not in self.p.comments:
                self.p.comment(comment)
        for name, value in said.records.items():
            if name not in self.p.extra_generation_params:
                host.jobs.note(self.p, name, value)

    def upscale(self, image: Image.Image, size: tuple[int, int], upscaler: str = "lanczos") -> Image.Image:  # noqa: ARG002
        """By Lanczos."""
        return image.convert("RGB").resize(size, Image.Resampling.LANCZOS)


@dataclass(frozen=True)
class JobFiles(StageFiles):
    """Beside each stage's picture is kept what was said of it, and told when the picture is read.

    Attributes:
        stages: whose they are.
    """

    stages: Stages

    def read(self, name: str) -> Image.Image | None:
        """See StageFiles."""
        image = super().read(name)
        if image is not None:
            self.stages.resumed = True
            with suppress(OSError):  # an older version's picture has none
                self.stages.tell(Said.from_json(self._beside(name).read_bytes()))
        return image

    def write(self, name: str, image: Image.Image) -> None:
        """See StageFiles; the picture comes last, so that none is without what was said of it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._beside(name), self.stages.said.to_json().encode())
        super().write(name, image)

    def _beside(self, name: str) -> Path:
        return (self.folder / name).with_suffix(".json")


@dataclass
class Told(Progress):
    """Tells the page's bar which stage is drawn, and about how long all of them still take."""

    left: TimeLeft = field(default_factory=TimeLeft)

    def stage(self, number: int, count: int, shares: tuple[float, float]) -> None:
        """In the bar's own line."""
        seconds = self.left.at(shares[0])
        left = "" if seconds is None else f", about {TimeLeft.text(seconds)} left"
        host.vae.show(f"{SHOWN}: stage {number} of {count}{left}")


def digest_of(value: Any, depth: int = 0) -> str:
    """SHA-256 of what a script is told: numbers, texts, pictures, and objects of such; of others, their kind alone."""
    return hashlib.sha256(repr(_plain(value, depth)).encode()).hexdigest()


def _plain(value: Any, depth: int) -> Any:
    if isinstance(value, (np.generic, PurePath)):
        value = str(value) if isinstance(value, PurePath) else value.item()
    if value is None or isinstance(value, (str, int, float, bool, bytes)):
        return value
    if isinstance(value, (np.ndarray, Image.Image, Tensor)):
        pixels = value.detach().cpu().float().numpy() if isinstance(value, Tensor) else np.asarray(value)
        return pixels.shape, str(pixels.dtype), hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()
    if depth >= MOST_DEPTH or isinstance(value, Enum):
        return type(value).__name__, getattr(value, "name", None)
    return type(value).__name__, _parts(value, depth + 1)


def _parts(value: Any, depth: int) -> list[Any]:
    """Of a list, a set, a mapping, or an object's attributes."""
    if isinstance(value, (list, tuple)):
        return [_plain(v, depth) for v in value]
    if isinstance(value, (set, frozenset)):
        return sorted(repr(_plain(v, depth)) for v in value)
    inner = value if isinstance(value, Mapping) else getattr(value, "__dict__", {})
    return [(str(k), _plain(v, depth)) for k, v in inner.items()]
