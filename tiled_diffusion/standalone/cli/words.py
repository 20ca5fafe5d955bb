"""From a request back to a command line."""

from __future__ import annotations

from collections.abc import Sequence

from tiled_diffusion.settings.growth import Growth
from tiled_diffusion.settings.inversion import Inversion
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Settings

from .arguments import columns, joined
from .flags import flags_of, prefixed_flags
from .helps import PROGRAM


def command_line(request: Request, out: str) -> list[str]:
    """The words of a command that makes the same request, starting with `python -m tiled_diffusion`.

    Raises:
        ValueError: the request's regions are not equal columns, which flags cannot say.
    """
    tiling = request.tiling
    if tiling.regions and tiling.regions != columns([r.prompt for r in tiling.regions]):
        raise ValueError("these regions need a canvas file")
    words = [*PROGRAM.split(), "generate", *([] if tiling.regions else [request.prompt])]
    for r in tiling.regions:
        words += ["--column", r.prompt]
    if tiling.regions and request.prompt != joined(tiling.regions):
        words += ["--prompt", request.prompt]
    words += ["--size", f"{request.width}x{request.height}"]
    words += _flag_words(request, {"prompt", "width", "height"})
    if tiling.tile_width and tiling.tile_height:
        words += ["--tile", f"{tiling.tile_width}x{tiling.tile_height}"]
        words += _flag_words(tiling, {"tile_width", "tile_height"})
    else:
        words += _flag_words(tiling, set())
    for c in request.controls:
        words += ["--control", c.to_text(), "--preprocess", c.preprocess]
    return [*words, *_inversion_words(request.inversion), *_growth_words(request.growth), "--out", out]


def _inversion_words(inversion: Inversion | None) -> list[str]:
    if inversion is None:
        return []
    flags = prefixed_flags(Inversion, "inversion")
    changed = [(flag, getattr(inversion, flag.row.name.removeprefix("inversion_"))) for flag in flags]
    words = [word for flag, value in changed if value != flag.row.default for word in flag.words(value)]
    return ["--keep", f"{round(1 - inversion.freedom, 6):g}", *words]


def _growth_words(growth: Growth | None) -> list[str]:
    return [] if growth is None else ["--progressive", *_flag_words(growth, set())]


def _flag_words(settings: Request | Settings | Growth, skipped: set[str]) -> list[str]:
    """Flags for all fields that differ from their defaults."""
    flags = [flag for flag in flags_of(type(settings)) if flag.row.name not in skipped]
    changed = [(flag, getattr(settings, flag.row.name)) for flag in flags]
    return [word for flag, value in changed if value != flag.row.default for word in flag.words(value)]


def quoted(words: Sequence[str]) -> str:
    """The words as one line for a shell; double quotes, which PowerShell, cmd and sh all understand."""
    return " ".join(f'"{w}"' if not w or any(c in w for c in " |()&;,*?<>") else w for w in words)
