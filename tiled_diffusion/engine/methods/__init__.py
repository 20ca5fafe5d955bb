"""The table of methods: each says where the tiles of one axis lie and how much each counts.

To add one, write a file with a `METHOD`, add a line below, and a row to the table in the tests (see CONTRIBUTING.md).
"""

from . import jittered, mixture, multidiffusion, spot
from .method import Method

METHODS: dict[str, Method] = {
    m.name: m
    for m in (
        multidiffusion.METHOD,
        mixture.METHOD,
        spot.METHOD,
        jittered.METHOD,
    )
}

__all__ = ["METHODS", "Method"]
