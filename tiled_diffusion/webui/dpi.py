"""Writes dots per inch into files that a WebUI has saved, which knows no such thing; their pixels stay as they are."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from tiled_diffusion.settings.files import write_whole

PNG, HEADER_END = b"\x89PNG\r\n\x1a\n", 33
"""How a PNG begins, and where its first chunk ends."""
JFIF = b"JFIF\0"
PER_INCH = 1
METRES_PER_INCH = 0.0254


def write_dpi(file: Path, across: float, down: float) -> None:
    """Into a PNG that has none yet, or a JPEG with a JFIF header; other files stay as they are.

    Args:
        file: to be changed.
        across: dots per inch.
        down: dots per inch.

    Raises:
        OSError: the file cannot be read or written.
    """
    data = file.read_bytes()
    if data.startswith(PNG) and b"pHYs" not in data[:512]:
        write_whole(file, data[:HEADER_END] + _physical(across, down) + data[HEADER_END:])
    elif data[6:11] == JFIF:
        density = struct.pack(">BHH", PER_INCH, *(min(round(dpi), 65535) for dpi in (across, down)))
        write_whole(file, data[:13] + density + data[18:])


def _physical(across: float, down: float) -> bytes:
    """The chunk pHYs: pixels per metre, PNG specification 11.3.5.3."""
    chunk = b"pHYs" + struct.pack(">IIB", *(round(dpi / METRES_PER_INCH) for dpi in (across, down)), 1)
    return struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
