"""ControlNets of a run: loaded from this machine, and evaluated on the rows of a U-Net call, each with its own crop."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor

from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guides import Guide, ModelRows, Moment
from tiled_diffusion.engine.guides.control import acts_at, hint_crops
from tiled_diffusion.engine.placing import moved
from tiled_diffusion.engine.view import View
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.control import Control
from tiled_diffusion.settings.request import Request

from .control_hints import hint_of, open_hint
from .model import Model

SHIPPED = {"edges": Path(__file__).parent / "controlnet" / "edges"}
"""ControlNets for the shipped checkpoint by name."""
MUST_MATCH = ("block_out_channels", "layers_per_block", "cross_attention_dim", "addition_embed_type")
"""Fields of the configurations that a ControlNet shares with the U-Net that it is made for."""


@dataclass(frozen=True)
class Call:
    """What the rows of one U-Net call are.

    Attributes:
        crops: [n, C, h, w], as the U-Net sees them.
        t: the time.
        text: [n, tokens, width].
        added: SDXL's further conditioning, each [n, ...], or None.
        views: of each row.
        controlled: whether ControlNets act on it.
    """

    crops: Tensor
    t: Tensor
    text: Tensor
    added: dict[str, Tensor] | None
    views: Sequence[View]
    controlled: Sequence[bool]

    def only(self, rows: Sequence[int]) -> Call:
        """Some of its rows; itself where these are all."""
        if len(rows) == len(self.views):
            return self
        return replace(
            self,
            crops=self.crops[rows],
            text=self.text[rows],
            added=self.added and {name: value[rows] for name, value in self.added.items()},
            views=[self.views[i] for i in rows],
            controlled=[True] * len(rows),
        )


@dataclass(frozen=True)
class ControlNet:
    """A loaded ControlNet with its hint.

    Attributes:
        net: diffusers' ControlNetModel.
        hint: [1, 3, factor H, factor W] in 0..1 on the whole canvas.
        weight, start, end: see Control.
        factor: pixels of the hint for each latent pixel.
    """

    net: Any
    hint: Tensor
    weight: float = 1.0
    start: float = 0.0
    end: float = 1.0
    factor: int = 8

    def residuals(self, call: Call) -> list[Tensor]:
        """What is added within the U-Net, the middle block's last; all rows of the call are controlled."""
        seen = hint_crops(self.hint, call.views, [0] * len(call.views), self.factor)
        seen = moved(seen.to(call.crops.dtype), call.crops.device)
        down, middle = self.net(
            call.crops, call.t, call.text, seen, self.weight, added_cond_kwargs=call.added, return_dict=False
        )
        return [*down, middle]


@dataclass
class ControlNets(Guide):
    """All ControlNets of a run."""

    nets: tuple[ControlNet, ...] = ()
    progress: float = field(default=0.0, init=False)

    def begin_step(self, moment: Moment) -> None:
        """Keeps the progress: each acts in its part of the sampling."""
        self.progress = moment.progress

    def model_call(
        self, rows: ModelRows, x: Tensor, inputs: Mapping[str, Any]
    ) -> AbstractContextManager[dict[str, Any]]:
        """Adds the residuals to the U-Net's inputs; nothing where no ControlNet acts on any row."""
        text, added = inputs["encoder_hidden_states"], inputs["added_cond_kwargs"]
        views = [tile.view for tile in rows.tiles]
        return nullcontext(self.residuals(Call(x, inputs["timestep"], text, added, views, rows.on)))

    def residuals(self, call: Call) -> dict[str, Any]:
        """Arguments for the U-Net."""
        acting = [net for net in self.nets if acts_at(net.start, net.end, self.progress)]
        controlled = [i for i, on in enumerate(call.controlled) if on]
        if not acting or not controlled:
            return {}
        seen = call.only(controlled)
        parts = [net.residuals(seen) for net in acting]
        sums = [_spread(sum(p[1:], p[0]), controlled, len(call.views)) for p in zip(*parts, strict=True)]
        return {"down_block_additional_residuals": sums[:-1], "mid_block_additional_residual": sums[-1]}


def _spread(x: Tensor, rows: Sequence[int], count: int) -> Tensor:
    """`count` rows: those of x in their places, and zeros."""
    if len(rows) == count:
        return x
    out = x.new_zeros((count, *x.shape[1:]))
    out[rows] = x
    return out


def load_controls(model: Model, request: Request, hints: Sequence[Image.Image] | None = None) -> ControlNets:
    """The ControlNets of a request.

    Args:
        model: see load_model.
        request: what it asks for.
        hints: the pictures of their hints; None opens the files that the request names.

    Raises:
        TiledError: says which one's model or hint cannot be used, and why.
    """
    if request.controls and model.is_flow:
        raise TiledError(f"controls: ControlNets of {model.kind} models are not known here yet: leave them out")
    factor = model.traits.factor
    canvas = Extent(request.height // factor, request.width // factor)
    nets = []
    for number, control in enumerate(request.controls, start=1):
        try:
            image = open_hint(control.image) if hints is None else hints[number - 1]
            hint = hint_of(image, canvas, control.preprocess, factor)
            net = load_controlnet(control.model, model)
        except TiledError as e:
            raise TiledError(f"control {number}: {e}") from e
        nets.append(with_hint(net, hint, control, factor))
    return ControlNets(tuple(nets))


def with_hint(net: Any, hint: Tensor, control: Control, factor: int = 8) -> ControlNet:
    """A loaded ControlNet as a Control asks for it."""
    return ControlNet(net, hint, control.weight, control.start, control.end, factor)


def with_full_paths(request: Request) -> Request:
    """The request with its ControlNets' full paths, for a process that stands in another folder."""
    controls = (
        replace(c, model=str(Path(c.model).resolve())) if Path(c.model).exists() else c for c in request.controls
    )
    return replace(request, controls=tuple(controls))


def load_controlnet(name: str | Path, model: Model) -> Any:
    """The ControlNetModel of diffusers for a model; nothing is fetched from the network.

    Args:
        name: path of a diffusers folder or a .safetensors file, or one of SHIPPED.
        model: that it is to guide.

    Raises:
        TiledError: there is no such file, it is no ControlNet, or one for another kind of model.
    """
    source = Path(name)
    if not source.exists():
        shipped = SHIPPED.get(str(name))
        if shipped is None:
            raise TiledError(f"model: there is no file or folder {source}; by name there is {', '.join(SHIPPED)}")
        source = shipped
    try:
        net = _from_folder(source, model.dtype) if source.is_dir() else _from_file(source, model)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as e:
        raise TiledError(f"model: {source} cannot be loaded as a ControlNet for {model.name} ({_brief(e)})") from e
    _check_match(source, net, model)
    return net.to(model.device).eval().requires_grad_(False)


def _from_folder(folder: Path, dtype: torch.dtype) -> Any:
    from diffusers import ControlNetModel

    config = folder / "config.json"
    if not config.is_file():
        raise ValueError("it has no config.json")
    kind = json.loads(config.read_text(encoding="utf-8")).get("_class_name")
    if kind != "ControlNetModel":
        raise ValueError(f"it holds a {kind}; supported is ControlNetModel")
    return ControlNetModel.from_pretrained(folder, torch_dtype=dtype, local_files_only=True)


def _from_file(path: Path, model: Model) -> Any:
    """A single file, in diffusers' or in CompVis layout, of the usual shape: that of the U-Net's first half."""
    from diffusers import ControlNetModel

    with tempfile.TemporaryDirectory() as config:
        hollow = ControlNetModel.from_unet(model.unet, load_weights_from_unet=False)
        hollow.register_to_config(in_channels=model.traits.channels)  # one for an inpainting U-Net sees no mask
        hollow.save_config(config)
        return ControlNetModel.from_single_file(
            str(path), config=config, torch_dtype=model.dtype, local_files_only=True
        )


def _check_match(source: Path, net: Any, model: Model) -> None:
    for name in MUST_MATCH:
        own, wanted = (_plain(part.config.get(name)) for part in (net, model.unet))
        if own != wanted:
            raise TiledError(
                f"model: {source} is a ControlNet for another kind of model than {model.name}: "
                f"its {name} is {own}, the model's is {wanted}"
            )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _brief(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
