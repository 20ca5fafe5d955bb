"""AUTOMATIC1111: one line in the console for an error that tells the user what to do.

What a job from the page raises is printed with all of the job's arguments and a traceback, and so is what a cell of a
plot raises; neither asks what kind of error it is. So for as long as such an error lives, the two functions that print
leave out this one; every other error goes to what was there.
"""

from __future__ import annotations

import logging
import sys
import weakref
from collections.abc import Callable
from typing import Any

from modules import errors

log = logging.getLogger("tiled_diffusion")
_told: weakref.WeakSet[Exception] = weakref.WeakSet()
_before: dict[str, Callable[..., None]] = {}
_ours: dict[str, Callable[..., None]] = {}


def tell(error: Exception) -> None:
    """Prints the error's text in one line, and keeps the host from printing more about it."""
    if error in _told:
        return
    log.error(" ".join(str(error).split()))
    log.debug("raised here:", exc_info=error)
    _told.add(error)
    weakref.finalize(error, _restore)
    for name in ("report", "display"):
        if name not in _before:
            _before[name] = getattr(errors, name)
            _ours[name] = _without_those_told(_before[name])
            setattr(errors, name, _ours[name])


def _without_those_told(before: Callable[..., None]) -> Callable[..., None]:
    def printing(*args: Any, **kwargs: Any) -> None:
        if sys.exc_info()[1] not in list(_told):
            before(*args, **kwargs)

    return printing


def _restore() -> None:
    """When the last of them is gone; what somebody else has put on top is left there, and ours passes through below."""
    if list(_told):
        return
    for name in list(_before):
        before, ours = _before.pop(name), _ours.pop(name)
        if getattr(errors, name) is ours:
            setattr(errors, name, before)
