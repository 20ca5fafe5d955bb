"""Decides mode, tile size and where activations wait, from the picture and the free memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from .attention import key_stride
from .executor import Run
from .memory import GIB, Memory, Peak, exact_peak, one_pass_peak, untiled_peak
from .program import Program, check_ring
from .settings import TiledVaeSettings

Store = Literal["device", "host", "recompute"]
TILES_LP = (256, 192, 128, 96, 64, 48, 32, 24, 16)
LEAST_TILE_LP = 16
GOOD_TILE_LP = 48  # a smaller tile is worth it only when nothing else fits

WHERE: dict[Store, str] = {
    "device": "activations stay on the device",
    "host": "activations wait in host memory",
    "recompute": "activations are recomputed",
}


@dataclass(frozen=True)
class Plan:
    """What will be done, and what it will need.

    Attributes:
        mode: `untiled`, `exact` or `fast`.
        tile_lp: side of a tile in latent pixels.
        store: where activations wait between norms.
        size: height and width of the picture in image pixels.
        wrap: rows, columns form a ring.
        peak: predicted peak of activation bytes.
        memory: free bytes when the plan was made.
        reason: why this mode.
        key_stride: every how many-th row and column the attention takes keys from; 1 is exact.
    """

    mode: Literal["untiled", "exact", "fast"]
    tile_lp: int
    store: Store
    size: tuple[int, int]
    wrap: tuple[bool, bool]
    peak: Peak
    memory: Memory
    reason: str
    key_stride: int = 1

    def describe(self) -> str:
        """The plan in one line."""
        where = "" if self.mode == "untiled" else f", tiles of {self.tile_lp} latent px"
        where += f", {WHERE[self.store]}" if self.mode == "exact" else ""
        host = f" and {self.peak.host / GIB:.2f} GiB of host memory" if self.peak.host else ""
        return (
            f"Tiled VAE: {self.mode}, {self.size[1]}x{self.size[0]} px{where}; predicted peak "
            f"{self.peak.device / GIB:.2f} GiB of {self.memory.device / GIB:.2f} GiB free{host}; {self.reason}"
        )


class Planner:
    """Plans for one program and one size of input.

    Args:
        program: the network.
        size: height and width of its input.
        itemsize: bytes per value.
        settings: what the user wants.
        memory: what is free.
    """

    def __init__(
        self, program: Program, size: tuple[int, int], itemsize: int, settings: TiledVaeSettings, memory: Memory
    ) -> None:
        self.program, self.size, self.itemsize, self.settings, self.memory = program, size, itemsize, settings, memory
        self.wrap = (settings.wrap_y or program.circular, settings.wrap_x or program.circular)
        check_ring(program, *size, self.wrap)

    def plan(self) -> Plan:
        """The first way that fits; if none does, the one that needs least."""
        mode = self.settings.mode
        if mode == "untiled":
            return self.untiled("asked for")
        need = untiled_peak(self.run(LEAST_TILE_LP), self.itemsize)
        why = "asked for"
        if mode == "auto":
            if any(self.wrap):
                why = "a ring is decoded in tiles"
            elif self.memory.fits(*need):
                return self.untiled("it fits")
            else:
                why = f"untiled would need {need.device / GIB:.2f} GiB"
        if mode == "fast" and self.settings.offload == "auto" and self.first_fit("exact", why, ["device"]):
            why = "asked for, though exact would fit and is quicker"
        fitting = self.first_fit("fast" if mode == "fast" else "exact", why)
        if fitting is None and mode == "auto":
            fitting = self.first_fit("fast", f"{why}, and exact fits neither on the device nor in host memory")
        return fitting or self.make(
            "fast" if mode == "fast" else "exact", LEAST_TILE_LP, "recompute", "nothing fits well"
        )

    def untiled(self, reason: str) -> Plan:
        """The host's own pass."""
        return replace(self.make("exact", LEAST_TILE_LP, "device", reason), mode="untiled", peak=self.untiled_peak())

    def untiled_peak(self) -> Peak:
        """What the host's own pass needs."""
        return untiled_peak(self.run(LEAST_TILE_LP), self.itemsize)

    def first_fit(
        self, mode: Literal["exact", "fast"], reason: str, stores: Sequence[Store] | None = None
    ) -> Plan | None:
        """Good tiles first: device, then host memory; small tiles after all of them."""
        every = [self.make(mode, tile, store, reason) for store in stores or self.stores(mode) for tile in self.tiles()]
        every.sort(key=lambda p: p.tile_lp < GOOD_TILE_LP)
        return next((p for p in every if self.memory.fits(*p.peak)), None)

    def stores(self, mode: Literal["exact", "fast"]) -> list[Store]:
        """Where activations may wait, quickest first; recomputing only when it is asked for, or for mode `exact`."""
        if self.settings.offload != "auto":
            return [self.settings.offload]
        last: list[Store] = ["recompute"] if mode == "exact" and self.settings.mode == "exact" else []
        return ["device", "host", *last]

    def tiles(self) -> list[int]:
        """Tile sizes in latent pixels, largest first."""
        px, lp = self.settings.encoder_tile_px, self.settings.decoder_tile_lp
        asked = max(px // self.program.factor, 1) if self.program.encodes and px else 0 if self.program.encodes else lp
        return [asked] if asked else list(TILES_LP)

    def run(self, tile_lp: int, store: Store = "device") -> Run:
        """The run that a plan stands for."""
        limit = self.settings.attention_tokens
        return Run(self.program, self.size, tile_lp, self.wrap, store != "device", limit)

    def make(self, mode: Literal["exact", "fast"], tile_lp: int, store: Store, reason: str) -> Plan:
        """A plan with its predicted peak."""
        run = self.run(tile_lp, store)
        one_pass = mode == "fast" or store == "recompute"
        peak = (one_pass_peak if one_pass else exact_peak)(run, self.itemsize)
        middle = self.program.tiled.stop if self.program.encodes else 0
        stride = key_stride(run.heights[middle], run.widths[middle], self.settings.attention_tokens)
        image = self.size if self.program.encodes else (run.heights[-1], run.widths[-1])
        return Plan(mode, tile_lp, store, image, self.wrap, peak, self.memory, reason, stride)

    def smaller(self, plan: Plan) -> Iterator[Plan]:
        """What to try, one after the other, when this plan runs out of memory."""
        mode: Literal["exact", "fast"] = "fast" if plan.mode == "fast" else "exact"
        tile, why = plan.tile_lp, "out of memory before"
        if plan.mode == "untiled":
            tile = 64
        if plan.store == "device":
            yield self.make(mode, tile, "host", why)
        while tile > LEAST_TILE_LP:
            tile = max(tile // 2, LEAST_TILE_LP)
            yield self.make(mode, tile, "host" if plan.store != "recompute" else "recompute", why)
        if mode == "exact" and plan.store != "recompute":
            yield self.make(mode, LEAST_TILE_LP, "recompute", why)
