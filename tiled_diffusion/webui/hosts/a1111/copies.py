"""AUTOMATIC1111: copies of the U-Net on further devices, for one sampling, each asked by a thread of its own.

All around the U-Net goes on as ever, in the WebUI's own code; the U-Net's `forward`, on that instance alone, hands a
call of a copy's thread to the copy.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from modules import lowvram, shared
from torch import Tensor

from tiled_diffusion.errors import TiledError
from tiled_diffusion.webui.hosts.port import Copies
from tiled_diffusion.webui.hosts.values import DRAW_ON

from .page import option


class UNetCopies:
    """The U-Net of the loaded model and its copies.

    Attributes:
        names: of the devices, the first one the model's own.
    """

    def __init__(self, devices: Sequence[torch.device]) -> None:
        self.names: Sequence[str] = [str(device) for device in devices]
        self._unet = shared.sd_model.model.diffusion_model
        self._mine = threading.local()
        self._devices = devices
        self._copies = [self._unet, *(copied(self._unet, device) for device in devices[1:])]
        original = self._unet.forward

        def forward(*args: Any, **kwargs: Any) -> Any:
            place = getattr(self._mine, "place", 0)
            if place == 0:
                return original(*args, **kwargs)
            device = self._devices[place]
            out = self._copies[place](*_moved(args, device), **_moved(kwargs, device))
            return _moved(out, _device_of(args))

        self._forward = self._unet.forward = forward

    @contextmanager
    def at(self, place: int) -> Iterator[None]:
        """Within, this thread's calls of the U-Net go to the copy of a place."""
        self._mine.place = place
        try:
            yield
        finally:
            self._mine.place = 0

    def take_off(self) -> None:
        """The U-Net is as before, and the copies are given up."""
        if self._unet.__dict__.get("forward") is self._forward:
            del self._unet.forward
        self._copies = [self._unet]


def copied(module: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """A copy on a device, of which at no time a part lies anywhere else."""
    memo: dict[int, Any] = {}
    for tensor in (*module.parameters(), *module.buffers()):
        moved = tensor.detach().to(device, copy=True)
        is_parameter = isinstance(tensor, torch.nn.Parameter)
        memo[id(tensor)] = torch.nn.Parameter(moved, tensor.requires_grad) if is_parameter else moved
    return copy.deepcopy(module, memo)


def copies(p: Any, names: Sequence[str]) -> Copies:
    """Copies for a job on devices by their names, of which one is the model's own.

    Raises:
        TiledError: names the device that is not there, or what a copy cannot do.
    """
    own = _device(str(shared.device))
    devices = [_device(name) for name in names]
    if own not in devices:
        raise TiledError(f"{DRAW_ON}: got {', '.join(names)}, allowed is a list with {own}, where the model is")
    refusal = _refusal(p)
    if refusal is not None:
        raise TiledError(f"{DRAW_ON}: {refusal}; leave the setting empty")
    devices.remove(own)
    return UNetCopies([own, *devices])


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as e:
        raise TiledError(f"{DRAW_ON}: got {name!r}, allowed are devices such as cuda:0, cuda:1") from e
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise TiledError(f"{DRAW_ON}: got {name}, but there are {count} such devices here")
        return torch.device("cuda", device.index or 0)
    return device


def _refusal(p: Any) -> str | None:
    """What stands in the way of copies, or None."""
    unet = shared.sd_model.model.diffusion_model
    if not isinstance(unet, torch.nn.Module):
        return "this model has no U-Net that can be copied"
    if getattr(p, "refiner_checkpoint_info", None) is not None:
        return "the refiner comes in the place of the model, and not of its copies"
    if lowvram.is_enabled(shared.sd_model):
        return "--lowvram and --medvram move the model about, and copies of it cannot be"
    if "forward" in unet.__dict__:
        return "another extension has taken over the U-Net"
    if getattr(shared, "loaded_hypernetworks", None):
        return "hypernetworks act on one U-Net alone"
    unit = option("sd_unet", "Automatic")
    return f"the SD Unet {unit} cannot be copied" if unit not in ("Automatic", "None", None) else None


def _moved(value: Any, device: torch.device) -> Any:
    """Tensors of arguments, and of lists and mappings in them, on a device."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, Mapping):
        return {name: _moved(part, device) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_moved(part, device) for part in value)
    return value


def _device_of(args: Sequence[Any]) -> torch.device:
    return next(arg.device for arg in args if isinstance(arg, Tensor))
