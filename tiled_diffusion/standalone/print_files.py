"""Files for the print shop: PNG, JPEG, TIFF and PDF, with their DPI, an sRGB profile, and what was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.frame.photo import srgb_profile

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF", ".pdf": "PDF"}
"""By the end of a file's name."""


def checked_print_path(path: Path) -> Path:
    """The path; raises TiledError where its ending names no format of a print."""
    if path.suffix.lower() not in FORMATS:
        raise TiledError(f"print: got {path.name}, allowed are files that end in {', '.join(FORMATS)}")
    return path


def save_print(image: Image.Image, path: Path, dpi: float, text: str) -> None:
    """Writes a print.

    Args:
        image: RGB.
        path: its ending says the format. A PDF is one page of the print's size; it holds no profile.
        dpi: pixels per inch.
        text: what was asked for: in a PNG as "parameters", in a JPEG as its comment, in a TIFF as its description and
            in a PDF as its subject.

    Raises:
        TiledError: the ending names no format of a print.
    """
    kind = FORMATS[checked_print_path(path).suffix.lower()]
    info = PngInfo()
    info.add_itxt("parameters", text)
    profile = srgb_profile()
    options: dict[str, dict[str, Any]] = {
        "PNG": {"dpi": (dpi, dpi), "icc_profile": profile, "pnginfo": info},
        "JPEG": {
            "dpi": (round(dpi), round(dpi)), "icc_profile": profile, "quality": 95, "subsampling": 0,
            "comment": text.encode()[:65000],
        },
        "TIFF": {"dpi": (dpi, dpi), "icc_profile": profile, "compression": "tiff_deflate", "description": text},
        "PDF": {"resolution": dpi, "quality": 95, "subject": text},
    }  # fmt: skip
    image.save(path, format=kind, **options[kind])
