"""A device that is none: its tensors lie in main memory and say that they do not, and what crosses over is counted.

PyTorch is told of a device of the type that is asked for. Numbers are computed on the processor, so that everything
runs to its end; an operator that mixes devices raises the error that a real card raises.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map

from tiled_diffusion.standalone.model import Model

ATEN = torch.ops.aten
READS = (ATEN._local_scalar_dense.default, ATEN.nonzero.default, ATEN.masked_select.default, ATEN.equal.default)
"""Operators whose result the host has to wait for."""
INDEXING = (ATEN.index.Tensor, ATEN.index_put_.default, ATEN.index_put.default, ATEN._unsafe_index.Tensor)
SDPA_FOR_MPS = ATEN._scaled_dot_product_attention_math_for_mps.default
CPU = torch.device("cpu")


class OnDevice(Tensor):
    """A tensor that says it lies on the device; `elem` holds its numbers."""

    elem: Tensor
    place: torch.device

    @staticmethod
    def __new__(cls: type[OnDevice], elem: Tensor, place: torch.device) -> OnDevice:
        """A wrapper of numbers in main memory; below Python it is a meta tensor, for which no driver is asked."""
        made: OnDevice = Tensor._make_wrapper_subclass(
            cls, elem.size(), elem.stride(), elem.storage_offset(), dtype=elem.dtype, device="meta"
        )
        made.elem, made.place = elem, place
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        """Where it says that it lies."""
        return self.place

    @property
    def is_meta(self) -> bool:  # type: ignore[override]
        """It has numbers."""
        return False

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Without the mode there is no device."""
        raise RuntimeError(f"{func} on a tensor of the simulated device, outside of the simulation")

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"OnDevice({tuple(self.shape)}, {self.dtype})"


class _Requests(TorchFunctionMode):
    """What PyTorch resolves before operators are dispatched, and for which it would look for a real device."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, ours = dict(kwargs or {}), bool(args) and isinstance(args[0], OnDevice)
        if func is Tensor.to:
            return self.to(args, kwargs)
        if func is Tensor.cpu or (ours and func is Tensor.tolist):
            there = self.to((args[0], CPU), {})
            return there if func is Tensor.cpu else there.tolist()
        if ours and func in (Tensor.__getitem__, Tensor.__setitem__):
            args = (args[0], _tensors(args[1]), *args[2:])
        elif func in (torch.tensor, torch.as_tensor, torch.asarray) or (ours and func is Tensor.new_tensor):
            return self.made(func, args, kwargs)
        return func(*args, **kwargs)

    def made(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Tensor:
        """Numbers of the host as a tensor on the device that was asked for."""
        device = kwargs.pop("device", None)
        if func is Tensor.new_tensor:
            kwargs.setdefault("dtype", args[0].dtype)
            return self.to((torch.tensor(args[1], **kwargs), device or self.device), {})
        host: Tensor = func(*args, **kwargs)
        return host if device is None else self.to((host, device), {})

    def to(self, args: Any, kwargs: dict[str, Any]) -> Tensor:
        """Tensor.to, by the operator that it comes down to."""
        x, *given = args
        other = next((a for a in given if isinstance(a, Tensor)), kwargs.pop("other", None))
        device = kwargs.get("device") or next((a for a in given if isinstance(a, str | torch.device)), None)
        dtype = kwargs.get("dtype") or next((a for a in given if isinstance(a, torch.dtype)), None)
        if other is not None:
            device, dtype = other.device, other.dtype
        device = x.device if device is None else torch.device(device)
        dtype = dtype or x.dtype
        bools = [a for a in given if isinstance(a, bool)]
        waits = not kwargs.get("non_blocking", bools[0] if bools else False)
        copy = kwargs.get("copy", bools[1] if len(bools) > 1 else False)
        if device.type == x.device.type and dtype == x.dtype and not copy:
            return x  # type: ignore[no-any-return]
        options = {k: kwargs[k] for k in ("memory_format",) if k in kwargs}
        made: Tensor = ATEN._to_copy.default(x, device=device, dtype=dtype, non_blocking=not waits, **options)
        return made


class Simulated(TorchDispatchMode):
    """Within the block there is a device of this type, and what makes the host wait for it is counted.

    Args:
        kind: "mps", or another type that PyTorch knows without looking for its driver.
        refuses: number types that no tensor on the device may have.

    Attributes:
        waits: (what, "file:line of the project") to how often it made the host wait: numbers that are read, and copies
            from and to the device.
        calls: operators that ran on the device.
    """

    def __init__(self, kind: str = "mps", refuses: tuple[torch.dtype, ...] = ()) -> None:
        super().__init__()
        self.device, self.refuses = torch.device(kind, 0), refuses
        self.waits: Counter[tuple[str, str]] = Counter()
        self.calls = 0
        self._requests = _Requests(self.device)

    def __enter__(self) -> Simulated:
        super().__enter__()
        self._requests.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._requests.__exit__(*error)
        super().__exit__(*error)

    @property
    def total(self) -> int:
        """All waits."""
        return sum(self.waits.values())

    def put(self, x: Tensor) -> OnDevice:
        """Numbers of main memory as they were on the device from the start; not counted.

        Raises:
            TypeError: the device has no such number type.
        """
        self._check(x)
        return OnDevice(x.detach(), self.device)

    def hold(self, model: Model) -> Model:
        """Places all of a loaded model on it, for good."""
        for part in (model.unet, model.vae, *model.text_encoders):
            self.place(part)
        model.device = self.device
        return model

    def place(self, module: nn.Module) -> nn.Module:
        """All parameters and buffers of a module, for good."""
        for part in module.modules():
            for name, value in part._parameters.items():
                if value is not None:
                    part._parameters[name] = nn.Parameter(self.put(value), requires_grad=False)
            for name, buffer in part._buffers.items():
                if buffer is not None:
                    part._buffers[name] = self.put(buffer)
        return module

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs an operator on the numbers and puts its results where the device's would lie."""
        kwargs = dict(kwargs or {})
        given = [t for t in tree_iter((args, kwargs)) if isinstance(t, Tensor)]
        ours = [t for t in given if isinstance(t, OnDevice)]
        to = kwargs.pop("device", None)
        there = bool(ours) if to is None else torch.device(to).type in (self.device.type, "meta")  # see OnDevice
        if func in (ATEN._to_copy.default, ATEN.copy_.default):
            there = self._copied(func, args, kwargs, there)
        elif ours:
            there = self._read(func, args, given)
        self.calls += there
        out = _function(func)(*tree_map(_inner, args), **tree_map(_inner, kwargs))
        return self._placed(func, out, args, there)

    def _copied(self, func: Any, args: Any, kwargs: Any, there: bool) -> bool:
        """Counts a copy that crosses over; where its result lies."""
        source = args[0] if func is ATEN._to_copy.default else args[1]
        if func is ATEN.copy_.default:
            there = isinstance(args[0], OnDevice)
        waits = not (kwargs.get("non_blocking") or (func is ATEN.copy_.default and len(args) > 2 and args[2]))
        if isinstance(source, OnDevice) != there and (waits or not there):
            self._count("copied to the device" if there else "copied to the host")
        return there

    def _read(self, func: Any, args: Any, given: list[Tensor]) -> bool:
        """Counts numbers that the host reads, and checks that all lie on one device."""
        if func in INDEXING:
            indices = [i for i in args[1] if i is not None]
            if any(i.dtype in (torch.bool, torch.uint8) for i in indices):
                self._count("a mask that is an index")
            if any(not isinstance(i, OnDevice) for i in indices):
                self._count("an index copied to the device")
            return isinstance(args[0], OnDevice)
        if func in READS:
            self._count(str(func))
            return func is not ATEN._local_scalar_dense.default
        elsewhere = [t for t in given if not isinstance(t, OnDevice) and t.dim() > 0]
        if elsewhere:
            raise RuntimeError(
                f"{func}: expected all tensors to be on the same device, but got {self.device} and {CPU} {_site()}"
            )
        return True

    def _placed(self, func: Any, out: Any, args: Any, there: bool) -> Any:
        first = func._schema.arguments[0] if func._schema.arguments else None
        if first is not None and first.alias_info is not None and first.alias_info.is_write and out is not None:
            return args[0]  # in place: the very tensor that was given
        return tree_map(lambda t: self._wrapped(t) if there and isinstance(t, Tensor) else t, out)

    def _wrapped(self, t: Tensor) -> Tensor:
        self._check(t)
        return t if isinstance(t, OnDevice) else OnDevice(t, self.device)

    def _check(self, t: Tensor) -> None:
        if t.dtype in self.refuses:
            raise TypeError(f"{t.dtype} {tuple(t.shape)} on {self.device.type}, which has none {_site()}")

    def _count(self, what: str) -> None:
        self.waits[what, _site()] += 1


def _tensors(index: Any) -> Any:
    """An index whose lists are tensors: of a meta tensor PyTorch would not read them."""
    if isinstance(index, tuple):
        return tuple(_tensors(i) for i in index)
    return torch.tensor(index) if isinstance(index, list) else index


def _inner(value: Any) -> Any:
    return value.elem if isinstance(value, OnDevice) else value


def _function(func: Any) -> Callable[..., Any]:
    """The operator that the processor has in its place."""
    if func is SDPA_FOR_MPS:
        return ATEN._scaled_dot_product_attention_math.default  # type: ignore[no-any-return]
    return func  # type: ignore[no-any-return]


def _site() -> str:
    """The project's line that is at work, or that called the library that is."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        parts = Path(frame.f_code.co_filename).parts
        if ("tiled_diffusion" in parts or "tiled_vae" in parts) and "site-packages" not in parts:
            return f"{'/'.join(parts[-2:])}:{frame.f_lineno} {frame.f_code.co_name}"
        frame = frame.f_back
    return "outside of the project"


@contextmanager
def simulated(kind: str = "mps", refuses: tuple[torch.dtype, ...] = ()) -> Iterator[Simulated]:
    """A simulated device, without gradients."""
    with torch.no_grad(), Simulated(kind, refuses) as device:
        yield device
