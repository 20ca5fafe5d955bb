"""What this package sees of a WebUI's job, and of what hangs on it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol


class Job(Protocol):
    """A WebUI's own job: the part that all of them have.

    Attributes:
        width, height: of the canvas, in image pixels.
        steps, cfg_scale: of the sampling.
        batch_size: pictures that are drawn together; iteration: number of the present batch.
        styles: names of those chosen.
        all_prompts, all_negative_prompts, all_seeds: of every picture, over all batches.
        prompts: of the present batch.
        init_images: img2img's input pictures.
        sampler: of the present pass.
    """

    width: int
    height: int
    steps: int
    cfg_scale: float
    batch_size: int
    iteration: int
    styles: list[str]
    all_prompts: list[str]
    all_negative_prompts: list[str]
    all_seeds: list[int]
    prompts: list[str]
    init_images: list[Any]
    sampler: Any

    def comment(self, text: str) -> None:
        """Shows a line below the pictures."""

    def setup_prompts(self) -> None:
        """Makes all_prompts of what the user wrote."""

    def init(self, *args: Any) -> None:
        """Prepares the drawing: everything is known by now; img2img encodes its input here."""

    def sample(self, *args: Any, **kwargs: Any) -> Any:
        """Draws a batch: samples it, decodes and encodes between two passes."""


class Hung(Protocol):
    """Something put in the place of a sampler's model, until it is taken off."""

    @property
    def asked(self) -> int:
        """How many times the host has asked for it."""

    def take_off(self) -> None:
        """The sampler is as before."""


class NetworkSwitch(Protocol):
    """The loaded networks of a job."""

    def only(self, tags: Sequence[Any]) -> AbstractContextManager[None]:
        """Within, the main prompt's networks act and those of some tags, as strongly as the tags say."""


class Copies(Protocol):
    """The U-Net of the loaded model, and copies of it on other devices, for one sampling.

    Attributes:
        names: of the devices, place by place.
    """

    names: Sequence[str]

    def at(self, place: int) -> AbstractContextManager[None]:
        """Within, this thread's calls go to a place: 0 is the model itself."""

    def take_off(self) -> None:
        """The model is as before, and the copies are given up."""
