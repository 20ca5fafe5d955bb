"""Wraps a job's own methods for as long as the job lasts, and takes the wrappers off on every exit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

OWNER = "tiled_diffusion_owner"
BELOW = "tiled_diffusion_below"


def wrap(p: Any, name: str, around: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Replaces a method of one instance by `around(what was there)`.

    A copy of a job carries the wrapper of the job that it was copied from; that one is dropped first, and what is below
    it is taken from the class unless somebody else had set it on the instance.
    """
    unwrap(p, name)
    own = p.__dict__.get(name)
    original = getattr(p, name)
    wrapper = around(original)
    setattr(wrapper, OWNER, id(p))
    setattr(wrapper, BELOW, own)
    p.__dict__[name] = wrapper


def unwrap(p: Any, name: str) -> None:
    """Takes our wrapper off, if it is on top."""
    wrapper = p.__dict__.get(name)
    if not hasattr(wrapper, OWNER):
        return
    below = getattr(wrapper, BELOW)
    if below is None or getattr(wrapper, OWNER) != id(p):
        del p.__dict__[name]
    else:
        p.__dict__[name] = below
