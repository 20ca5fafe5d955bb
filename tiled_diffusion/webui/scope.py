"""Wraps a job's own methods for as long as the job lasts, and takes the wrappers off on every exit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

OWNER = "tiled_owner"
BELOW = "tiled_below"


def wrap(p: Any, name: str, owner: str, around: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Replaces a method of one instance by `around(what was there)`.

    Args:
        p: the host's job.
        name: of the method.
        owner: whose wrapper it is; one of each owner at most.
        around: makes the wrapper.
    """
    unwrap(p, name, owner)
    own = p.__dict__.get(name)
    wrapper = around(getattr(p, name))
    setattr(wrapper, OWNER, (owner, id(p)))
    setattr(wrapper, BELOW, own)
    p.__dict__[name] = wrapper


def unwrap(p: Any, name: str, owner: str) -> None:
    """Takes this owner's wrapper off, if it is on top.

    A copy of a job carries the wrappers of the job that it was copied from: there everything down to the class goes.
    """
    wrapper = p.__dict__.get(name)
    found, job = getattr(wrapper, OWNER, (None, None))
    if found != owner:
        return
    below = getattr(wrapper, BELOW)
    if below is None or job != id(p):
        del p.__dict__[name]
    else:
        p.__dict__[name] = below
