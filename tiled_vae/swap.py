"""Replaces encoder and decoder forward of one VAE for a block of code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from .errors import TiledVaeError
from .layout import read_decoder, read_encoder
from .memory import Memory
from .settings import TiledVaeSettings
from .vae import ORIGINAL, Callbacks, decode, encode


@contextmanager
def swapped(
    vae: Any,
    settings: TiledVaeSettings | None = None,
    callbacks: Callbacks | None = None,
    *,
    memory: Memory | None = None,
) -> Iterator[None]:
    """Within the block, `vae.encode` and `vae.decode` of this one instance are tiled.

    Only `vae.encoder.forward` and `vae.decoder.forward` of the instance are replaced; everything around them stays the
    host's. They are put back on every exit. A forward that somebody else put on top meanwhile is left there, and ours
    below it then passes everything through.

    Args:
        vae: an object with `encoder` and `decoder`.
        settings: mode, tiles, rings.
        callbacks: progress, interruption, messages.
        memory: free bytes; measured by default.

    Raises:
        TiledVaeError: encoder or decoder is missing or has an unknown layout; then nothing is replaced.
    """
    settings, callbacks = settings or TiledVaeSettings(), callbacks or Callbacks()
    for name, read in (("encoder", read_encoder), ("decoder", read_decoder)):
        if getattr(vae, name, None) is None:
            raise TiledVaeError(f"{type(vae).__name__} has no {name!r}: not a known VAE")
        read(getattr(vae, name))
    with ExitStack() as stack:
        for net, tiled in ((vae.encoder, encode), (vae.decoder, decode)):
            stack.enter_context(_forward(net, tiled, settings, callbacks, memory))
        yield


@contextmanager
def _forward(
    net: Any, tiled: Callable[..., Tensor], settings: TiledVaeSettings, callbacks: Callbacks, memory: Memory | None
) -> Iterator[None]:
    before = net.__dict__.get("forward")
    original = getattr(net.forward, ORIGINAL, net.forward)
    active = [True]

    def forward(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        extra = any(a is not None for a in (*args, *kwargs.values()))
        if not active[0] or extra or (x.requires_grad and torch.is_grad_enabled()):
            passed: Tensor = original(x, *args, **kwargs)
            return passed
        return tiled(net, x, settings, callbacks, memory=memory)

    setattr(forward, ORIGINAL, original)
    net.forward = forward
    try:
        yield
    finally:
        active[0] = False
        if net.__dict__.get("forward") is forward:
            if before is None:
                del net.forward
            else:
                net.forward = before
