"""The VAE of whatever model is loaded, tiled for as long as a job works on it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import get_ident
from typing import Any

from torch import Tensor

from tiled_diffusion.settings.vae import VaePanelSettings
from tiled_diffusion.webui.hosts import host
from tiled_diffusion.webui.hosts.port import Job
from tiled_vae import Callbacks, Interrupted, TiledVaeError, swapped

log = logging.getLogger("tiled_vae")
TITLE = "Tiled VAE"
NOT_ASKED = "this WebUI decoded without asking the VAE that was tiled: the picture is without tiles"
PEER_HOOK = "VAEHook"
ROOM_LP = 96
"""Side of the tile that memory is kept free for where the size is left to the plan, which takes the largest that fits;
not the least that is worth it, which is `tiled_vae.plan.GOOD_TILE_LP`."""


class Tiling:
    """The part of one job.

    Args:
        job: what the panel asks for.
        p: the host's job, for its notes to the user.
    """

    def __init__(self, job: VaePanelSettings, p: Job) -> None:
        self.job, self.p = job, p
        self._vae: Any = None
        self._swap = ExitStack()
        self._depth = 0
        self._thread = get_ident()
        self._said: set[str] = set()
        self.asked = self._steps_aside = False
        self._can_stop = self._stopped_before = self._stopped = False

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Within the outermost of these, the VAE is tiled.

        Raises:
            TiledVaeError: its layout is unknown, or something in the WebUI tiles before it.
        """
        self._depth += 1
        self._thread = get_ident()
        try:
            self.arm()
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self._disarm()

    @contextmanager
    def stoppable(self) -> Iterator[None]:
        """Within it, pressing Interrupt stops the VAE within one tile by raising Interrupted.

        Pressed before, while the sampler ran, it does not: the host decodes what is there, and so does this.
        """
        before = self._can_stop, self._stopped_before
        self._can_stop, self._stopped_before = True, host.vae.interrupted()
        try:
            yield
        except Interrupted:
            self._stopped = True
            raise
        finally:
            self._can_stop, self._stopped_before = before
            host.vae.show(None)

    def arm(self) -> None:
        """Tiles the VAE of the model that is loaded now; a job may change its model on the way."""
        vae = host.vae.in_use()
        if not self._depth or vae is None or vae is self._vae:
            return
        self._disarm()
        rival = host.vae.tiles_itself()
        if rival is not None:
            raise TiledVaeError(f"{rival} cuts pictures into tiles of its own before these: switch its VAE part off")
        if _is_hooked(vae):
            self._steps_aside = True
            self.say(f"{TITLE}: another extension has put its tiles on this VAE already; this one steps aside")
            return
        with ExitStack() as stack:
            stack.enter_context(_on_device(vae, self.job.move_to_gpu and not host.vae.moves_models()))
            if self.job.mode in ("exact", "fast"):
                stack.enter_context(host.vae.for_tiles(*self._largest_tile()))
            stack.enter_context(swapped(vae, self.job.settings(), self._callbacks(), this_thread_only=True))
            stack.callback(vae.decoder.register_forward_pre_hook(self._note_call).remove)
            stack.enter_context(_method(host.vae.decoding_owner(), "decode_first_stage", self._decoding))
            self._swap = stack.pop_all()
        self._vae = vae

    def _largest_tile(self) -> tuple[int, int]:
        """Sides for which memory is kept free."""
        settings, factor = self.job.settings(), host.sampling.LATENT_PX
        return settings.decoder_tile_lp or ROOM_LP, settings.encoder_tile_px or ROOM_LP * factor

    def _note_call(self, decoder: Any, args: Any) -> None:  # noqa: ARG002 a hook of torch
        self.asked |= get_ident() == self._thread

    def require_asked(self) -> None:
        """After a decoding.

        Raises:
            TiledVaeError: the host never called what was tiled.
        """
        if not (self.asked or self._steps_aside or self._stopped):
            raise TiledVaeError(NOT_ASKED)

    def _disarm(self) -> None:
        self._vae = None
        self._swap.close()

    def _callbacks(self) -> Callbacks:
        return Callbacks(
            on_progress=lambda done, total: host.vae.show(f"{TITLE}: {done} of {total}"),
            should_stop=lambda: self._can_stop and host.vae.interrupted() and not self._stopped_before,
            say=self.say,
        )

    def say(self, line: str) -> None:
        """A line below the picture; each plan once, whatever was free at the time."""
        log.info(line)
        short = line.split(";", maxsplit=1)[0]
        if short not in self._said:
            self._said.add(short)
            self.p.comment(line)

    def _decoding(self, original: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """The model's decoding, which is where the host's own preview of a stopped picture can still be had."""

        def decode_first_stage(z: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            if get_ident() != self._thread:
                return original(z, *args, **kwargs)
            if self._stopped:
                return host.vae.cheap_pictures(z)
            try:
                with self.stoppable():
                    return original(z, *args, **kwargs)
            except Interrupted:
                return host.vae.cheap_pictures(z)

        return decode_first_stage


def _is_hooked(vae: Any) -> bool:
    """Whether another extension has put its own forward on the VAE."""
    nets = (getattr(vae, "encoder", None), getattr(vae, "decoder", None))
    return any(type(getattr(net, "forward", None)).__name__ == PEER_HOOK for net in nets)


@contextmanager
def _on_device(vae: Any, wanted: bool) -> Iterator[None]:
    """Moves a VAE that lies elsewhere to the device, and back."""
    before = next(vae.parameters()).device
    moved = wanted and before.type != host.vae.device().type
    if moved:
        vae.to(host.vae.device())
    try:
        yield
    finally:
        if moved:
            vae.to(before)


@contextmanager
def _method(target: Any, name: str, around: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
    """Replaces a method of one instance; what somebody else put on top meanwhile is left there."""
    before = target.__dict__.get(name)
    ours = around(getattr(target, name))
    target.__dict__[name] = ours
    try:
        yield
    finally:
        if target.__dict__.get(name) is ours:
            if before is None:
                del target.__dict__[name]
            else:
                target.__dict__[name] = before
