"""The one protocol between this package and a WebUI: what a host is asked, and the values that go both ways.

A host is a package beside this file with a module for each part; `a1111` is the first. What is a rule of one WebUI,
such as how its sampler is hooked or how its records are numbered, stands in that host's place and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from tiled_diffusion.engine.model import Level, ModelTraits, Prediction
from tiled_diffusion.webui.controlnet.controls import Controls

from .job import Copies as Copies
from .job import Hung as Hung
from .job import Job as Job
from .job import NetworkSwitch as NetworkSwitch
from .vae_port import Vaes as Vaes
from .values import (
    Axis,
    Beginning,
    Denoise,
    DenoiserCall,
    DrawnApart,
    DrawnPicture,
    Forward,
    MaskedPicture,
    Networks,
    PictureApart,
    PictureBatch,
    ScriptArguments,
    TokenCount,
)


class Page(Protocol):
    """The WebUI around jobs: its page, its settings, its API."""

    @property
    def Script(self) -> Any:  # noqa: N802 a class
        """Base class of scripts; its hooks have the same names in every WebUI of the family."""

    @property
    def ALWAYS_VISIBLE(self) -> Any:  # noqa: N802 a constant of a module
        """What `show` of a script returns that takes part in every job."""

    def before_ui(self, callback: Callable[[], None]) -> None:
        """Registers what is called before the page is built."""

    def on_app_started(self, callback: Callable[[Any, Any], None]) -> None:
        """Registers what is called with (blocks, FastAPI application) once the server runs."""

    def on_ui_settings(self, callback: Callable[[], None]) -> None:
        """Registers what is called when the settings page is built."""

    def on_infotext_pasted(self, callback: Callable[[str, dict[str, Any]], None]) -> None:
        """Registers what is called with a pasted record, as text and parsed, before the fields are filled."""

    def on_image_saved(self, callback: Callable[[Any, Path], None]) -> None:
        """Registers what is called with (job, file) after a picture was written."""

    def accordion(self, label: str, elem_id: str, on: bool) -> AbstractContextManager[Any]:
        """An accordion with a tick box in its header."""

    def option(self, name: str, default: Any) -> Any:
        """A setting of the WebUI, or the default where it has none of that name."""

    def add_option(self, name: str, default: Any, label: str, component: Any = None, arguments: Any = None) -> None:
        """Adds a setting to the section of this extension."""

    def data_folder(self) -> Path:
        """Where the WebUI keeps its user's files."""

    def log_in(self, app: Any) -> list[Any]:
        """What a route has to ask for where the page asks for a name and a password."""

    def add_axes(self, axes: Sequence[Axis]) -> None:
        """Adds axes to the plot script, where it is there and does not have them yet."""

    def files_by_title(self, title: str) -> list[str]:
        """Files of the scripts that the API knows by a title; the first one is meant."""

    def check_requests(self, app: Any, check: Callable[[Mapping[str, Any]], None]) -> None:
        """Lets `check` see what a request to the API says to scripts, by title, before the WebUI reads it."""


class Jobs(Protocol):
    """What a job is asked, told, and made to do."""

    @property
    def INTERRUPT(self) -> type[BaseException]:  # noqa: N802 a constant of a module
        """Raised within a sampling, it ends it with what is there."""

    def is_hires(self, p: Any) -> bool:
        """Whether the second pass of hires fix is at work."""

    def has_hires(self, p: Any) -> bool:
        """Whether a pass of hires fix is to come, or at work."""

    def final_size(self, p: Any) -> tuple[int, int]:
        """Width and height of a job's pictures in the end, image pixels."""

    def captioner(self, name: str) -> Callable[[Any], str]:
        """What says what a picture shows; raises TiledError that names those that there are."""

    def stop_wanted(self) -> bool:
        """Whether the user pressed Interrupt or Skip."""

    def scripts_of(self, p: Any) -> Iterator[ScriptArguments]:
        """The scripts that take part in a job."""

    def draws_masked_part(self, p: Any) -> bool:
        """img2img: whether only the masked part is drawn, at the job's size."""

    def upscalers(self) -> list[str]:
        """Names of the upscalers, the first one meaning none."""

    def enlarged(self, image: Any, upscaler: str, width: int, height: int) -> Any:
        """A picture enlarged to a size by an upscaler."""

    def note(self, p: Any, name: str, value: str) -> None:
        """Adds a field to the record of every picture."""

    def write_records(self, p: Any, name: str, texts: Sequence[str]) -> None:
        """Adds a field to the records of all pictures of a job, each its own."""

    def drop_records(self, p: Any, name: str) -> None:
        """Takes a field out again, such as one that a copied job has brought along."""

    def finish(self, p: Any, processed: Any) -> None:
        """The job is done: its comments and records go to the API's answer as plain values."""

    def tell(self, error: Exception) -> None:
        """An error that says what the user has to know is about to end the job: one line in the console, no more."""

    def refuse_sampling(self, p: Any, error: Exception) -> None:
        """Lets the sampling that is about to begin fail."""

    def add_networks(self, p: Any, tags: Networks) -> None:
        """Adds extra networks to the present batch, before the host reads its prompts'."""

    def hires_networks(self, p: Any) -> tuple[str, dict[str, list[Any]]] | None:
        """(prompt, networks) of the hires pass of the present batch; None where it has none of its own."""

    def rewrite_texts(self, p: Any, change: Callable[[str], str]) -> None:
        """Changes every text of a job that may hold a prompt."""

    def fix_seed(self, p: Any) -> int:
        """The job's seed as a number."""

    def on_ground(self, image: Any) -> Any:
        """A picture in RGB."""

    def announce(self, batches: int) -> None:
        """Says how many batches a script is going to draw."""

    def draw_pictures(self, p: Any, batch: PictureBatch) -> list[Any]:
        """Draws img2img pictures by the job that a script runs in; fewer where the user has stopped it."""

    def announce_more(self, batches: int) -> None:
        """Says how many batches more than were known are going to be drawn."""

    def draw_apart(self, p: Any, picture: PictureApart) -> DrawnApart:
        """Draws a picture by a job of its own, with sampler, steps, scripts and all else of a job; nothing is saved."""

    def described(self, p: Any, image: int) -> str:
        """The record of a picture of a job, as far as it is known before it is drawn."""

    def saves(self, p: Any) -> bool:
        """Whether the pictures of a job are written to disk."""

    def result(self, p: Any, pictures: list[Any], seed: int) -> Any:
        """What a script gives back."""

    def draw_masked(self, p: Any, masked: MaskedPicture) -> list[DrawnPicture]:
        """Inpaints by the job that a script runs in, all its batches; fewer where the user has stopped it."""

    def results(self, p: Any, pictures: Sequence[DrawnPicture]) -> Any:
        """What a script gives back of pictures that it has made of drawn ones; saves them as the settings say."""


class Texts(Protocol):
    """Prompts and their encoding."""

    def styled(self, text: str, styles: list[str], negative: bool) -> str:
        """A prompt with the styles that the main prompt has."""

    def style_names(self) -> list[str]:
        """Of the user's book of styles."""

    def without_comments(self, text: str) -> str:
        """As the host does to the main prompt."""

    def extra_networks_of(self, text: str) -> tuple[str, dict[str, list[Any]]]:
        """A prompt without its <lora:...> tags, and the tags by kind."""

    def prompt_length(self, text: str) -> TokenCount:
        """Of the longest thing that a prompt becomes in its course."""

    def encode(
        self, p: Any, prompts: list[str], size: tuple[int, int], negative: bool
    ) -> list[list[tuple[list[Any], float]]]:
        """Conditioning of prompts: for each a list of (schedules, weight), one for each part of an AND composition."""

    def keeps_networks_apart(self) -> bool:
        """Whether LoRAs can act in some model calls and not in others."""

    def network_switch(self, added: Sequence[str]) -> NetworkSwitch | None:
        """Lets the networks named act no more but where they are asked for; None where that cannot be."""

    def note_what_was_encoded(self, p: Any) -> None:
        """The text encoder's remarks on what it has read (hashes of embeddings, texts too long) go to the job."""

    def padded(self, parts: list[Any], negative: Any) -> tuple[list[Any], Any]:
        """Texts of equal length, where the user's settings ask for it: as the host does to its own before it draws."""


class Sampling(Protocol):
    """The model, and the sampler that asks it."""

    def copies(self, p: Any, names: Sequence[str]) -> Copies:
        """A copy of the U-Net for each device but the model's own, for a job.

        Raises:
            TiledError: names the device that is not there, or what stands in the way of copies.
        """

    @property
    def LATENT_PX(self) -> int:  # noqa: N802 a constant of a module
        """Image pixels of a latent pixel's side."""

    def model_size(self) -> ModelTraits:
        """What the loaded model likes."""

    def network(self) -> Any:
        """The loaded model's U-Net or transformer; None where it has neither."""

    def checkpoint(self) -> str:
        """Which checkpoint is loaded."""

    def unseen_model(self) -> str | None:
        """What the loaded model is called where nobody has seen it drawn in tiles in this WebUI; None where it was."""

    def is_edit_model(self) -> bool:
        """Whether the loaded model is of the instruct-pix2pix kind, with three rows a picture."""

    def free_bytes(self) -> int | None:
        """Free memory of the device that draws, or None where it does not say."""

    def draw_noise(self, seed: int, shape: tuple[int, int, int], image: int) -> Any:
        """Noise by the WebUI's own source of random numbers; its global generator is not touched."""

    def hypertile_is_on(self, *, hires: bool) -> bool:
        """Whether the built-in Hypertile divides the U-Net's attention in this pass."""

    def encoded_colours(self, p: Any, colours: Tensor) -> Tensor:
        """[n, 3] RGB in -1..1 to latents [n, C]: the middle of plain pictures."""

    def encoded(self, p: Any, pixels: Tensor) -> Tensor:
        """[1, 3, H, W] in -1..1 to latents; the same ones every time, and no random numbers are taken from the job."""

    def start_level(self, p: Any, *, from_picture: bool) -> tuple[Level, Tensor]:
        """How noisy the latent is that the sampler begins with, and what the host multiplies the start noise by.

        Args:
            p: the job, whose sampler is about to begin.
            from_picture: it begins with alpha times a latent, and noise on it.
        """

    def noise_level(self, p: Any, sigma: Tensor) -> tuple[Level, Prediction]:
        """How noisy the latent of a model call is, for each row of `sigma`, and what the sampler is given of it."""

    def start(self) -> None:
        """Registers what hanging needs; called whenever the WebUI (re)loads its scripts."""

    def controls(self, p: Any, *, on_cpu: bool) -> Controls | None:
        """ControlNets of the sampling that is about to begin; None where there are none.

        Args:
            p: the job.
            on_cpu: whether whole hints lie in main memory while tiles are drawn.

        Raises:
            TiledError: names what cannot be cut into tiles.
        """

    def hang(
        self,
        p: Any,
        begin: Callable[[DenoiserCall], None],
        denoise: Denoise,
        call_shape: tuple[int, int, int],
        controls: Controls | None = None,
    ) -> Hung:
        """Puts `denoise` in the place of the model of the sampler that is about to begin, on that sampler alone.

        Args:
            p: the job.
            begin: called before each denoiser call; model calls follow. What it raises, the next model call raises.
            denoise: what is asked.
            call_shape: tiles of the largest model call, their height and width in latent pixels.
            controls: ControlNets that know the tiles of a model call, or None.
        """

    def model_call(self, p: Any) -> Forward:
        """The model of the sampler that is about to begin, as it is now.

        Raises:
            TiledError: this WebUI cannot be asked.
        """

    def before_img2img(self, p: Any, change: Callable[[Beginning], None]) -> None:
        """Lets `change` see what the sampler begins with, once, after all that the host does to the noise."""

    def noise_values(self, p: Any, steps: int | None, *, from_picture: bool = True) -> list[float]:
        """What the model is told in a sampling's steps, the least noisy first; from pictures, some are left out.

        Raises:
            TiledError: the model's latents are not noised in a way that is known.
        """

    def rows_at_first(self, p: Any, begin: Beginning) -> tuple[list[list[float]], dict[str, Any]]:
        """(weights of the parts of each picture's prompt, conditioning of a row for each part) at the first step."""

    def before_each_call(self, callback: Callable[[Any], None]) -> None:
        """Registers what is called with the job before each denoiser call of every sampler."""


@dataclass(frozen=True)
class Host:
    """A WebUI.

    Attributes:
        name: what users call it, with the version that was tested.
        page, jobs, texts, sampling, vae: its parts, each a module.
    """

    name: str
    page: Page
    jobs: Jobs
    texts: Texts
    sampling: Sampling
    vae: Vaes
