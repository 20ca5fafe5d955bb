"""What tiles ask of the ControlNets of a sampling, whoever brings them."""

from __future__ import annotations

from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.guides import Guide


class Controls(Guide):
    """All of one sampling; within `model_call` they have the crops of that call's rows."""

    @property
    def one_tile(self) -> bool:
        """Whether a model call can have one tile only."""
        return False

    @property
    def whole(self) -> list[str]:
        """Names of those that act on the whole picture, or part of which does."""
        return []

    def begin(self, canvas: Extent, tile: Extent) -> None:
        """A sampling on a canvas begins.

        Args:
            canvas: in latent pixels.
            tile: size of the largest one.
        """

    def restore(self) -> None:
        """Everything is as before."""
