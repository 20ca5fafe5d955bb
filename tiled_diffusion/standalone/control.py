"""ControlNets of a run: loaded from this machine, and added up in each model call."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image
from safetensors import SafetensorError
from torch import Tensor

from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guides import Guide, ModelRows, Moment
from tiled_diffusion.engine.guides.control import acts_at
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.control import Control
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Settings

from . import flow_control
from .control_hints import hint_of, open_hint
from .control_net import Call, ControlNet
from .model import Model

SHIPPED = {"edges": Path(__file__).parent / "controlnet" / "edges"}
"""ControlNets for the shipped checkpoint by name."""
GUIDES = {"ControlNetModel": "SD 1.x, 2.x and XL", "SD3ControlNetModel": "SD 3.x", "FluxControlNetModel": "Flux"}
"""By the class of a ControlNet, what it is for."""
MUST_MATCH = ("block_out_channels", "layers_per_block", "cross_attention_dim", "addition_embed_type")
"""Fields of the configurations that a ControlNet shares with the U-Net that it is made for."""


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
        """Adds the residuals to the model's inputs; nothing where no ControlNet acts on any row."""
        text, added = inputs["encoder_hidden_states"], inputs["added_cond_kwargs"]
        views = [tile.view for tile in rows.tiles]
        return nullcontext(self.residuals(Call(x, inputs["timestep"], text, added, views, rows.on)))

    def residuals(self, call: Call) -> dict[str, Any]:
        """Arguments for the model."""
        acting = [net for net in self.nets if acts_at(net.start, net.end, self.progress)]
        controlled = [i for i, on in enumerate(call.controlled) if on]
        if not acting or not controlled:
            return {}
        seen = call.only(controlled)
        parts = [net.residuals(seen) for net in acting]
        sums: dict[tuple[int, ...], Tensor | None] = {}  # of what stands in several places, once
        places = [*zip(*parts, strict=True)]
        for p in places:
            if (key := tuple(map(id, p))) not in sums:
                sums[key] = _spread(_sum(p), controlled, len(call.views))
        return acting[0].inputs([sums[tuple(map(id, p))] for p in places])


def _sum(parts: Sequence[Tensor | None]) -> Tensor | None:
    given = [part for part in parts if part is not None]
    return sum(given[1:], given[0]) if given else None


def _spread(x: Tensor | None, rows: Sequence[int], count: int) -> Tensor | None:
    """`count` rows: those of x in their places, and zeros."""
    if x is None or len(rows) == count:
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
    factor = model.traits.factor
    canvas = Extent(request.height // factor, request.width // factor)
    nets = []
    for number, control in enumerate(request.controls, start=1):
        try:
            image = open_hint(control.image) if hints is None else hints[number - 1]
            hint = hint_of(image, canvas, control.preprocess, factor)
            nets.append(_placed(model, load_controlnet(control.model, model), hint, control, request.tiling))
        except TiledError as e:
            raise TiledError(f"control {number}: {e}") from e
    return ControlNets(tuple(nets))


def _placed(model: Model, net: Any, hint: Tensor, control: Control, tiling: Settings) -> ControlNet:
    if model.is_flow:
        return flow_control.with_hint(model, net, hint, control, tiling)
    return with_hint(net, hint, control, model.traits.factor)


def with_hint(net: Any, hint: Tensor, control: Control, factor: int = 8) -> ControlNet:
    """A loaded ControlNet for a U-Net as a Control asks for it."""
    return ControlNet(net, hint, control.weight, control.start, control.end, factor)


def with_full_paths(request: Request) -> Request:
    """The request with its ControlNets' full paths, for a process that stands in another folder."""
    controls = (
        replace(c, model=str(Path(c.model).resolve())) if Path(c.model).exists() else c for c in request.controls
    )
    return replace(request, controls=tuple(controls))


def load_controlnet(name: str | Path, model: Model) -> Any:
    """The ControlNet of diffusers for a model; nothing is fetched from the network.

    Args:
        name: path of a diffusers folder or a .safetensors file, or one of SHIPPED; for SD 3 and Flux a folder.
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
    _check_kind(source, model)
    try:
        net = _from_folder(source, model) if source.is_dir() else _from_file(source, model)
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as e:
        raise TiledError(_unloadable(source, model, _brief(e))) from e
    _check_match(source, net, model)
    return net.to(model.device).eval().requires_grad_(False)


def _unloadable(source: Path, model: Model, reason: str) -> str:
    return f"model: {source} cannot be loaded as a ControlNet for {model.name} ({reason})"


def _class_for(model: Model) -> str:
    """The name of diffusers' class."""
    return flow_control.CLASSES[model.kind] if model.is_flow else "ControlNetModel"


def _check_kind(source: Path, model: Model) -> None:
    """Of a folder by its config.json, before its weights are read."""
    if not source.is_dir():
        if model.is_flow:
            raise TiledError(f"model: {source} is no folder; ControlNets for {model.kind} models are diffusers folders")
        return
    config = source / "config.json"
    if not config.is_file():
        raise TiledError(_unloadable(source, model, "it has no config.json"))
    try:
        given = dict(json.loads(config.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as e:
        raise TiledError(_unloadable(source, model, f"its config.json: {_brief(e)}")) from e
    kind, wanted = str(given.get("_class_name")), _class_for(model)
    if kind in GUIDES and kind != wanted:
        raise TiledError(
            f"model: {source} is a ControlNet for {GUIDES[kind]} ({kind}), {model.name} is a model of another kind, "
            f"{GUIDES[wanted]}: take one for that ({wanted})"
        )
    if kind != wanted:
        raise TiledError(_unloadable(source, model, f"it holds a {kind}; supported is {wanted}"))
    if model.is_flow:
        flow_control.check_inputs(source, given)


def _from_folder(folder: Path, model: Model) -> Any:
    import diffusers

    kind = getattr(diffusers, _class_for(model))
    return kind.from_pretrained(folder, torch_dtype=model.dtype, local_files_only=True)


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
    own, wanted = (_shared(part.config, model) for part in (net, model.unet))
    for name, value in own.items():
        if value != wanted[name]:
            raise TiledError(
                f"model: {source} is a ControlNet for another kind of model than {model.name}: "
                f"its {name} is {value}, the model's is {wanted[name]}"
            )


def _shared(config: Mapping[str, Any], model: Model) -> dict[str, Any]:
    """What a ControlNet and its model have alike."""
    return flow_control.shared(config) if model.is_flow else {name: _plain(config.get(name)) for name in MUST_MATCH}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _brief(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
