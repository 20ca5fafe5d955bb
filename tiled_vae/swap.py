"""Replaces encoder and decoder forward of one VAE for a block of code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import get_ident
from typing import Any

import torch
from torch import Tensor

from .errors import TiledVaeError
from .layout import read_decoder, read_encoder
from .memory import Memory
from .settings import TiledVaeSettings
from .vae import ORIGINAL, Callbacks, decode, encode

Forward = Callable[[Tensor], Tensor]


@contextmanager
def swapped(
    vae: Any,
    settings: TiledVaeSettings | None = None,
    callbacks: Callbacks | None = None,
    *,
    memory: Memory | None = None,
    this_thread_only: bool = False,
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
        this_thread_only: calls from other threads (a host's live previews) get mode `auto` and no callbacks: the
            original pass wherever that fits.

    Raises:
        TiledVaeError: encoder or decoder is missing or has an unknown layout; then nothing is replaced.
    """
    settings, callbacks = settings or TiledVaeSettings(), callbacks or Callbacks()
    for name, read in (("encoder", read_encoder), ("decoder", read_decoder)):
        if getattr(vae, name, None) is None:
            raise TiledVaeError(f"{type(vae).__name__} has no {name!r}: not a known VAE")
        read(getattr(vae, name))
    thread = get_ident() if this_thread_only else None
    with ExitStack() as stack:
        for net, tiled in ((vae.encoder, encode), (vae.decoder, decode)):
            ours = partial(tiled, net, settings=settings, callbacks=callbacks, memory=memory)
            stack.enter_context(_forward(net, ours, partial(tiled, net, memory=memory), thread))
        yield


@contextmanager
def _forward(net: Any, ours: Forward, elsewhere: Forward, thread: int | None) -> Iterator[None]:
    before = net.__dict__.get("forward")
    original = getattr(net.forward, ORIGINAL, net.forward)
    active = [True]

    def forward(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        extra = any(a is not None for a in (*args, *kwargs.values()))
        if not active[0] or extra or (x.requires_grad and torch.is_grad_enabled()):
            passed: Tensor = original(x, *args, **kwargs)
            return passed
        return ours(x) if thread in (None, get_ident()) else elsewhere(x)

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
