"""Viewer and player of a mosaic on a page: what serves its files, and the HTML that shows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI
from fastapi.responses import FileResponse, JSONResponse, Response

from tiled_diffusion.recipes.mosaic.page import PAGE

MOSAICS = "/tiled-diffusion/mosaics"
SERVED = (".html", ".js", ".jpg", ".png", ".webm", ".gif", ".dzi")
ZOOMS = ("zoom.webm", "zoom.gif")


def add_mosaic_route(app: FastAPI, folder: Callable[[], Path], dependencies: Sequence[Any] = ()) -> None:
    """Serves the files of the mosaics in a folder, and nothing else.

    Args:
        app: a FastAPI application.
        folder: where the mosaics are.
        dependencies: of FastAPI, for instance a log-in.
    """

    def file(path: str) -> Response:
        base = folder().resolve()
        wanted = (base / path).resolve()
        if not wanted.is_relative_to(base) or wanted.suffix not in SERVED or not wanted.is_file():
            return JSONResponse({"detail": "there is no such file"}, status_code=404)
        return FileResponse(wanted)

    file.__annotations__ = {"path": str}
    app.add_api_route(
        MOSAICS + "/{path:path}", file, methods=["GET"], response_model=None, dependencies=list(dependencies)
    )


def viewer_html(path: Path) -> str:
    """The page that shows a mosaic, in a frame and to be opened; and its zoom, where there is one."""
    there = f"{MOSAICS}/{quote(path.name)}"
    parts = [
        f'<p><a href="{there}/{PAGE}" target="_blank">Open the viewer</a></p>',
        f'<iframe src="{there}/{PAGE}" title="viewer" style="width:100%;aspect-ratio:1;border:0"></iframe>',
    ]
    for zoom in (path / name for name in ZOOMS):
        if zoom.is_file():
            source = f"{there}/{zoom.name}?{int(zoom.stat().st_mtime)}"
            video = zoom.suffix == ".webm"
            form, end = ("<video autoplay loop muted controls", "</video>") if video else ("<img", "")
            parts.append(f'{form} src="{source}" style="width:100%">{end}')
    return "".join(parts)
