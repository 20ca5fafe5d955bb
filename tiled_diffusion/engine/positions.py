"""Where a transformer is told that a tile lies: in the canvas, instead of in a picture of the tile's own size.

SD 3 adds to each token a vector of its place, out of a table of whose middle a picture takes as much as it is large
(arXiv 2403.03206, section 4). Flux turns its tokens by their row and column (RoPE, arXiv 2104.09864), which no table
limits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from tiled_diffusion.errors import TiledError

from .dilated import Dilated
from .geometry import Extent
from .model import ModelTraits
from .placing import moved
from .view import Indexed, Reference, View

Hook = Callable[[Any, tuple[Tensor]], tuple[Tensor]]
"""Of a module, before its forward: from it and its arguments to other arguments."""


class Corner(NamedTuple):
    """The place in the canvas of a tile's first token, tokens."""

    row: int
    column: int


@dataclass(frozen=True)
class CanvasPositions:
    """Tells transformers the places of tiles in a canvas.

    Attributes:
        canvas: latent pixels.
        token: side of a token, latent pixels.
        factor: image pixels of a latent pixel's side.
    """

    canvas: Extent
    token: int = 2
    factor: int = 8

    @classmethod
    def wanted(cls, positions: str, model: ModelTraits, canvas: Extent) -> CanvasPositions | None:
        """As the settings say ("tile" or "canvas"); None where a model is to be told nothing else than ever."""
        if positions == "tile" or model.prediction != "flow":
            return None
        return cls(canvas, model.token, model.factor)

    @contextmanager
    def told(self, network: Any, views: Sequence[View], size: Extent) -> Iterator[None]:
        """Within, calls of a network are of rows with these views.

        Args:
            network: a transformer, or a ControlNet of one, as diffusers or the models' makers have written them; others
                stay as they are.
            views: of each row; small pictures of the whole remain pictures of their own.
            size: of each row, latent pixels.

        Raises:
            TiledError: the canvas has places that the model's table does not have.
        """
        corners = [self.corner(view) for view in views]
        with ExitStack() as stack:
            own: tuple[Any, ...] = (network, getattr(network, "pos_embed", None), getattr(network, "pe_embedder", None))
            for module in own:
                if hasattr(module, "cropped_pos_embed"):
                    table = self._of_table(module, corners, size)
                    stack.enter_context(_instead(module, "cropped_pos_embed", table))
                elif hasattr(module, "axes_dim"):
                    stack.callback(module.register_forward_pre_hook(self._shifting(corners, size)).remove)
            yield

    def corner(self, view: View) -> Corner | None:
        """Of a tile; one that reaches past a ring's end begins before the canvas where more of it lies beyond.

        None for a picture of its own.
        """
        if isinstance(view, (Reference, Dilated)):
            return None
        begin = (int(view.rows[0, 0]), int(view.cols[0, 0])) if isinstance(view, Indexed) else view.box[:2]
        row, column = (
            (first - whole if first + side // 2 >= whole else first) // self.token
            for first, side, whole in zip(begin, view.extent, self.canvas, strict=True)
        )
        return Corner(row, column)

    def _of_table(self, module: Any, corners: Sequence[Corner | None], size: Extent) -> Tensor:
        """[rows, tokens, channels]: the vectors of all places of the rows."""
        most = int(module.pos_embed_max_size)
        table = module.pos_embed.reshape(most, most, -1)
        rows, columns = (torch.arange(side // self.token, device=table.device) for side in size)
        out = []
        for corner in corners:
            whole = size if corner is None else self.canvas
            y, x = ((most - side // self.token) // 2 + at for side, at in zip(whole, corner or (0, 0), strict=True))
            if min(y, x) < 0 or y + len(rows) > most or x + len(columns) > most:
                self._refuse(most)
            out.append(table[y + rows[:, None], x + columns].flatten(0, 1))
        return torch.stack(out)

    def _refuse(self, most: int) -> None:
        side, height, width = (n * self.factor for n in (most * self.token, *self.canvas))
        raise TiledError(
            f"positions: this model has places for {side} x {side} px, and a picture of {width} x {height} px, with "
            "what its tiles reach past a ring's ends, has more: take a smaller picture, or positions in each tile"
        )

    def _shifting(self, corners: Sequence[Corner | None], size: Extent) -> Hook:
        """A hook that moves the places of a picture's tokens, which stand behind those of the text.

        Places are [rows, tokens, axes] in the makers' code, and [tokens, axes] for all rows in diffusers.
        """
        tokens = (size.h // self.token) * (size.w // self.token)
        shift = torch.tensor([[0, *(corner or (0, 0))] for corner in corners], dtype=torch.float32)

        def shifted(_: Any, places: tuple[Tensor]) -> tuple[Tensor]:
            (ids,) = places
            own = shift[:, None] if ids.dim() == 3 else shift[0]
            if ids.dim() == 2 and bool((shift != own).any()):
                raise ValueError("rows of different places in one call of a model that is told one for all")
            out = ids.float().clone()
            out[..., -tokens:, :] += moved(own, ids.device)
            return (out,)

        return shifted


def one_place_a_call(network: Any) -> bool:
    """Whether all rows of a call of this network have the same places: Flux of diffusers."""
    return hasattr(getattr(network, "pos_embed", None), "axes_dim")


@contextmanager
def _instead(module: Any, method: str, result: Tensor) -> Iterator[None]:
    """Within, a method of this one object gives a result; one that already stands in its place comes back."""
    before = module.__dict__.get(method)
    setattr(module, method, lambda *_, **__: result)
    try:
        yield
    finally:
        if before is None:
            delattr(module, method)
        else:
            setattr(module, method, before)
