"""What a WebUI is asked about its VAE."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from torch import Tensor, device, dtype


class Vaes(Protocol):
    """The VAE and where it works."""

    def in_use(self) -> Any:
        """The VAE that is in use now; asking for it may load a model."""

    def loaded(self) -> Any:
        """The VAE of the model that is loaded, or None."""

    def decoding_owner(self) -> Any:
        """The object whose `decode_first_stage` decodes latents with the VAE in use."""

    def interrupted(self) -> bool:
        """Whether the user pressed Interrupt."""

    def show(self, line: str | None) -> None:
        """A line in the progress bar."""

    def decodes_fully(self) -> bool:
        """Whether the VAE decodes, and not one of its small stand-ins."""

    def is_decoded(self, samples: Any) -> bool:
        """Whether samples are pictures already."""

    def decode(self, p: Any, samples: Tensor) -> Any:
        """The host's own decoding of a batch, with its second try in a wider type."""

    def decoded(self, pictures: Iterable[Tensor]) -> Any:
        """Pictures [3, H, W] in -1..1 as the host keeps those that need no decoding any more."""

    def undecodable(self, error: Exception) -> Any:
        """Stands for pictures that could not be decoded: whoever looks at it gets the error."""

    def cheap_pictures(self, latents: Tensor) -> Tensor:
        """What the host shows of pictures that were stopped: [B, 3, 8 H, 8 W] for latents [B, C, H, W]."""

    def device(self) -> device:
        """Where models work."""

    def for_tiles(self, decoder_lp: int, encoder_px: int) -> AbstractContextManager[None]:
        """Within, the WebUI keeps memory free for a tile of the VAE in use, and not for the whole picture.

        Args:
            decoder_lp: side of the decoder's tile, latent pixels.
            encoder_px: side of the encoder's tile, image pixels.
        """

    def tiles_itself(self) -> str | None:
        """What in the WebUI cuts pictures into tiles before the VAE gets them; None where nothing does."""

    def moves_models(self) -> bool:
        """Whether the WebUI moves the parts of the model in use in and out itself (medvram, lowvram)."""

    def number_type(self) -> dtype:
        """The number type in which the VAE works."""
