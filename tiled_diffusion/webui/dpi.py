"""Writes dots per inch into files that a WebUI has saved, which knows no such thing; their pixels stay as they are."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from tiled_diffusion.settings.files import write_whole

PNG, HEADER_END = b"\x89PNG\r\n\x1a\n", 33
"""How a PNG begins, and where its first chunk ends."""
START, SCAN, APP0 = b"\xff\xd8", b"\xff\xda", b"\xff\xe0"
"""Markers of a JPEG: its beginning, where its pixels begin, and the kind of segment that a JFIF header is."""
JFIF = b"JFIF\0"
PER_INCH = 1
METRES_PER_INCH = 0.0254


def write_dpi(file: Path, across: float, down: float) -> None:
    """Into a PNG that has none yet, or a JPEG; other files stay as they are.

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
    elif data.startswith(START):
        write_whole(file, _jpeg(data, across, down))


def _jpeg(data: bytes, across: float, down: float) -> bytes:
    """With the density in its JFIF header, or with such a header, JFIF 1.02, where another one such as EXIF leads."""
    density = struct.pack(">BHH", PER_INCH, *(min(round(dpi), 65535) for dpi in (across, down)))
    at = _jfif_at(data)
    if at is None:
        body = JFIF + b"\x01\x02" + density + b"\0\0"
        return START + APP0 + struct.pack(">H", len(body) + 2) + body + data[len(START) :]
    at += len(APP0) + 2 + len(JFIF) + 2
    return data[:at] + density + data[at + len(density) :]


def _jfif_at(data: bytes) -> int | None:
    """Where the JFIF header begins; None where there is none. A thumbnail's, within EXIF, does not count."""
    at = len(START)
    while data[at : at + 1] == b"\xff" and data[at : at + 2] != SCAN:
        if data[at : at + 2] == APP0 and data[at + 4 : at + 9] == JFIF:
            return at
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _physical(across: float, down: float) -> bytes:
    """The chunk pHYs: pixels per metre, PNG specification 11.3.5.3."""
    chunk = b"pHYs" + struct.pack(">IIB", *(round(dpi / METRES_PER_INCH) for dpi in (across, down)), 1)
    return struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
