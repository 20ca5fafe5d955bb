"""Prompts of tiles in a job of the WebUI: by a list, by what a captioner says, or by what the model sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from tiled_diffusion.engine.composition import parts
from tiled_diffusion.engine.content import content_of, small_canvas
from tiled_diffusion.engine.geometry import Box
from tiled_diffusion.engine.guides import Guide
from tiled_diffusion.engine.guides.tile_prompts import PromptFor, TilePrompts, captioned, first_number, of_list
from tiled_diffusion.engine.model import Level
from tiled_diffusion.engine.noise import canvas_noise
from tiled_diffusion.engine.plan import Planner
from tiled_diffusion.engine.tiles import Plan
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.captioner import cut
from tiled_diffusion.settings.tile_texts import TileText

from .conditioning import Cond, of_rows, shrunk, text_of, with_texts
from .hosts import host
from .hosts.port import Job
from .prompts import Part, RegionPrompts, encode_texts

NOISES = 4
"""So often a picture is looked at, with other noise each time."""


@dataclass
class Look:
    """One model call of the host, by which a picture can be looked at.

    Attributes:
        original: the model.
        level: how noisy its latents are.
        sigma: [rows], as the model is told it.
        cond: the host's conditioning.
        step: of the host's schedule.
    """

    original: Callable[..., Tensor]
    level: Level
    sigma: Tensor
    cond: Cond
    step: int


@dataclass
class JobPrompts(Guide):
    """What the tiles of one sampling are drawn with.

    Attributes:
        p: the host's job.
        planner: of the canvas.
        mains: the main prompt of each picture.
        clean: [B, C, H, W], the latents of the start pictures, where they are looked at.
        captions: of each picture, as a captioner said them.
        guide: the source; by content it is known from the first model call on.
    """

    p: Job
    planner: Planner
    mains: list[str]
    clean: Tensor | None = None
    captions: list[tuple[TileText, ...]] = field(default_factory=list)
    guide: TilePrompts | None = None

    @classmethod
    def of(cls, p: Job, planner: Planner, clean: Tensor | None, *, controlled: bool) -> JobPrompts | None:
        """None where all tiles have the main prompt.

        Args:
            p: the host's job.
            planner: of the canvas.
            clean: [B, C, H, W], the start pictures' latents, or None where the sampling begins with noise alone.
            controlled: whether ControlNets are at work.

        Raises:
            TiledError: what is asked for needs a start picture, or cannot go with a ControlNet.
        """
        source = planner.settings.tile_prompts
        if source == "same" or planner.plan().is_whole:
            return None
        mains = list(p.hr_prompts if host.jobs.is_hires(p) else p.prompts)  # type: ignore[attr-defined]
        if source == "list":
            return cls(p, planner, mains)._by([of_list(planner, mains)] * len(mains))
        if clean is None:
            if host.jobs.has_hires(p):
                return None  # the hires pass will have a picture
            raise TiledError(f"tile_prompts: got {source!r}, allowed only with a start picture: img2img or hires fix")
        if source == "content":
            if controlled:
                raise TiledError("tile_prompts: 'content' does not go with ControlNet: take captions or a list")
            return cls(p, planner, mains, clean)
        return cls(p, planner, mains)._captioned(clean)

    def _by(self, sources: Sequence[PromptFor]) -> JobPrompts:
        first = first_number(self.planner.settings)
        self.guide = TilePrompts(first, self.mains, lambda view, image: sources[image](view, image))
        return self

    def _captioned(self, clean: Tensor) -> JobPrompts:
        captioner = host.jobs.captioner(self.planner.settings.captioner)
        sources = []
        for pixels in host.vae.decode(self.p, clean):
            numbers = ((pixels.float().cpu().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
            picture = Image.fromarray(numbers.permute(1, 2, 0).numpy())

            def caption(tile: Box, picture: Image.Image = picture) -> str:
                return captioner(cut(picture, tile.scaled(host.sampling.LATENT_PX)))

            settings = captioned(self.planner, caption)
            self.captions.append(settings.tile_texts)
            sources.append(of_list(replace(self.planner, settings=settings), self.mains))
        return self._by(sources)

    def look(self, look: Look) -> None:
        """Looks at the pictures, once, where it is their content that says the prompts."""
        if self.guide is not None:
            return
        assert self.clean is not None
        share = self.planner.settings.tile_prompts_share
        contents: list[Any] = []
        for image, main in enumerate(self.mains):
            same = next((k for k in range(image) if main == self.mains[k] and self._alike(k, image)), None)
            predict = _predict(self, look, self.clean[image : image + 1])
            contents.append(content_of(main, predict, self.planner.canvas) if same is None else contents[same])
        self._by([lambda view, image: contents[image].text(view, share)] * len(contents))

    def _alike(self, a: int, b: int) -> bool:
        assert self.clean is not None
        return torch.equal(self.clean[a], self.clean[b])

    def plan(self, plan: Plan) -> Plan:
        """By the source."""
        assert self.guide is not None
        return self.guide.plan(plan)

    def add_encoded(self, known: dict[int, RegionPrompts]) -> None:
        """Encodes the texts that have come up and are not among those that are known."""
        assert self.guide is not None
        every = enumerate(self.guide.texts, start=self.guide.first)
        missing = {number: texts for number, texts in every if number not in known}
        if missing:
            known.update(encode_texts(self.p, missing, _size(self.planner)))


def _predict(prompts: JobPrompts, look: Look, clean: Tensor) -> Callable[[str], Tensor]:
    """Predictions of a picture [1, C, H, W], made small and noisy as the present call's latents are."""
    planner, canvas = prompts.planner, prompts.planner.canvas
    small = small_canvas(canvas, planner.model)
    noise = canvas_noise((int(clean.shape[1]), *small), range(NOISES)).to(clean)
    level = Level(*(n[:1].to(clean.device) for n in look.level))
    noisy = level.noised(adaptive_avg_pool2d(clean.float(), small), noise.float()).to(clean)
    index, whole = [0] * NOISES, [Box(0, 0, *canvas)] * NOISES
    cond = shrunk(of_rows(look.cond, int(look.sigma.shape[0]), index, whole, canvas), canvas, small)

    def predict(text: str) -> Tensor:
        plain = ", ".join(part.text for part in parts(text))
        (((schedules, _),),) = host.texts.encode(prompts.p, [plain], _size(planner), False)
        own = Part(schedules, 1.0).at(look.step)
        texts = with_texts(cond, [own] * NOISES, {"crossattn": text_of(cond)[:, :1]})
        out = look.original(noisy, look.sigma[index], cond=texts, negatives=[False] * NOISES)
        return out.float()

    return predict


def _size(planner: Planner) -> tuple[int, int]:
    px = host.sampling.LATENT_PX
    return planner.canvas.w * px, planner.canvas.h * px
