"""AUTOMATIC1111: which LoRAs act in a model call.

Its built-in extension has a list of networks that act. Whenever a layer is called and finds another list than before,
it puts its weights back and adds those of the networks that are in the list now. So a change of the list is a change
of what the next model call draws; it costs one putting back and adding of weights for each layer that is called.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

Strengths = tuple[float, float, "int | None"]
"""For the text encoder and the U-Net, and the rank."""


def _module() -> Any:
    """The built-in extension's, where it is there; other extensions of that name do not have these parts."""
    module = sys.modules.get("networks")
    return module if all(hasattr(module, name) for name in ("loaded_networks", "load_networks")) else None


def keeps_networks_apart() -> bool:
    """Whether LoRAs can act in some model calls and not in others."""
    return _module() is not None


class NetworkSwitch:
    """The networks of a job that are loaded, and which of them act.

    Args:
        added: names of those that are in the prompts of regions alone.
    """

    def __init__(self, added: Sequence[str]) -> None:
        self._list: list[Any] = _module().loaded_networks
        self._by_name = {getattr(net, "mentioned_name", net.name): net for net in self._list}
        self._main = [net for name, net in self._by_name.items() if name not in set(added)]
        self._list[:] = self._main

    @contextmanager
    def only(self, tags: Sequence[Any]) -> Iterator[None]:
        """Within, the main prompt's networks act and those of some tags, as strongly as the tags say."""
        own = {tag.items[0]: _strengths(tag.items) for tag in tags if tag.items[0] in self._by_name}
        nets = [self._by_name[name] for name in own]
        before = [(net.te_multiplier, net.unet_multiplier, net.dyn_dim) for net in nets]
        self._list[:] = [*self._main, *(net for net in nets if net not in self._main)]
        _set(nets, own.values())
        try:
            yield
        finally:
            self._list[:] = self._main
            _set(nets, before)


def _set(nets: Iterable[Any], every: Iterable[Strengths]) -> None:
    for net, strengths in zip(nets, every, strict=True):
        net.te_multiplier, net.unet_multiplier, net.dyn_dim = strengths


def network_switch(added: Sequence[str]) -> NetworkSwitch | None:
    """From now on the main prompt's networks act alone, until the host loads others; None where that cannot be."""
    return NetworkSwitch(added) if keeps_networks_apart() else None


def _strengths(items: Sequence[str]) -> Strengths:
    """For the text encoder and the U-Net, and the rank, as the host reads "name:te:unet:dyn" or "name:te=1:unet=1"."""
    named = dict(item.split("=", 1) for item in items if "=" in item)
    places = [item for item in items if "=" not in item]
    text = float(named.get("te", places[1] if len(places) > 1 else 1.0))
    unet = float(named.get("unet", places[2] if len(places) > 2 else text))
    rank = named.get("dyn", places[3] if len(places) > 3 else None)
    return text, unet, None if rank is None else int(rank)
