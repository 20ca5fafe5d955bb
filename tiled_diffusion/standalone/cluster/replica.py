"""A copy of the model at a worker, with what is sent to it once for many jobs."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch

import tiled_diffusion
from tiled_diffusion.engine.runner import Shared
from tiled_diffusion.standalone.model import Model

REMEMBERED = 2
"""Shared values that are kept ready: of the present picture, and of the one before."""
SAMPLES = 64
"""Numbers of each tensor that go into a model's digest."""


@dataclass
class Replica:
    """The model, and what was made of shared values.

    Attributes:
        model: see load_model.
    """

    model: Model
    _made: OrderedDict[str, Any] = field(default_factory=OrderedDict)

    def made_of(self, shared: Shared, make: Callable[[Any], Any]) -> Any:
        """What `make` makes of a shared value, once."""
        if shared.key not in self._made:
            self._made[shared.key] = make(shared.value())
        self._made.move_to_end(shared.key)
        while len(self._made) > REMEMBERED:
            self._made.popitem(last=False)
        return self._made[shared.key]


@dataclass(frozen=True)
class Card:
    """What has to be alike in two places that draw one picture.

    Attributes:
        version: of the program.
        code: digest of its files.
        dtype: of the model.
        digest: of the model's weights.
        device: for people; may differ.
    """

    version: str
    code: str
    dtype: str
    digest: str
    device: str = ""

    @classmethod
    def of(cls, model: Model) -> Card:
        """Of a loaded model."""
        dtype = str(model.dtype).removeprefix("torch.")
        return cls(tiled_diffusion.__version__, code_digest(), dtype, model_digest(model), str(model.device))

    def refusal(self, other: Card) -> str | None:
        """Why the other place cannot draw with this one, with both values; None where it can."""
        own, others = asdict(self), asdict(other)
        for name, words in _MUST_MATCH.items():
            if own[name] != others[name]:
                return f"{words}: {own[name]} here, {others[name]} there"
        return None


_MUST_MATCH = {
    "version": "version of the program",
    "code": "files of the program (their digest)",
    "dtype": "dtype of the model",
    "digest": "model (digest of its weights)",
}


@cache
def code_digest() -> str:
    """Of all Python files of the package."""
    root = Path(tiled_diffusion.__file__).parent
    hashed = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        hashed.update(path.relative_to(root).as_posix().encode())
        hashed.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return hashed.hexdigest()[:12]


def model_digest(model: Model) -> str:
    """Of names, shapes and evenly spread numbers of all tensors of the U-Net, the VAE and the text encoders.

    Reading a few numbers of each tensor takes no time, and another training or a merged LoRA changes them.
    """
    hashed = hashlib.sha256()
    parts = {"unet": model.unet, "vae": model.vae}
    parts |= {f"text {k}": encoder for k, encoder in enumerate(model.text_encoders)}
    for part, module in parts.items():
        for name, tensor in sorted(module.state_dict().items()):
            flat = tensor.reshape(-1)
            last, count = max(0, flat.numel() - 1), min(SAMPLES, flat.numel())
            picks = torch.linspace(0, last, count, dtype=torch.float64).long()  # float32 would round the last one up
            numbers = flat[picks.to(flat.device)].to("cpu", torch.float64)
            hashed.update(f"{part} {name} {tuple(tensor.shape)}".encode() + numbers.numpy().tobytes())
    return hashed.hexdigest()[:16]
