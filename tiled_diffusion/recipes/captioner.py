"""Captioners: whatever says in words what a picture shows; none is downloaded by this project."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from tiled_diffusion.engine.geometry import Box
from tiled_diffusion.errors import TiledError

Captioner = Callable[[Image.Image], str]
"""A picture in RGB -> a prompt."""


def command_captioner(command: str) -> Captioner:
    """A captioner that is a program: it gets the path of a PNG as its last argument and prints the caption.

    Args:
        command: the program and its first arguments, quoted as in a shell; no shell runs it. What it prints is UTF-8.

    Raises:
        TiledError: the command cannot be read, there is no such program; and when it is asked, that it failed.
    """
    words = command_words(command)
    if not words:
        raise TiledError("caption-command: it is empty: say a program that takes the path of a picture")
    if shutil.which(words[0]) is None:
        raise TiledError(f"caption-command: {words[0]!r} cannot be run: there is no such program")

    def caption(picture: Image.Image) -> str:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tile.png"
            picture.save(path)
            try:
                done = subprocess.run(
                    [*words, path], capture_output=True, check=False, encoding="utf-8", errors="replace"
                )
            except OSError as e:
                raise TiledError(f"caption-command: {words[0]!r} cannot be run: {e}") from None
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
            raise TiledError(f"caption-command: {words[0]!r} ended with status {done.returncode}: {last}")
        return " ".join(done.stdout.split())

    return caption


def command_words(command: str, *, windows: bool = os.name == "nt") -> list[str]:
    r"""The words of a command, quoted as in a shell.

    Args:
        command: on one line.
        windows: whether a backslash is a part of a path, as in C:\captions\caption.exe, and quotes nothing.

    Raises:
        TiledError: a quotation is not closed.
    """
    lexer = shlex.shlex(command, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, ""
    if windows:
        lexer.escape = ""
    try:
        return list(lexer)
    except ValueError as e:
        raise TiledError(f"caption-command: {command} cannot be read: {str(e).lower()}") from None


def cut(picture: Image.Image, area: Box) -> Image.Image:
    """What lies in a box of a picture; past the end of a ring it is the beginning again."""
    sheet = Image.new("RGB", (area.w, area.h))
    for y in (0, picture.height):
        for x in (0, picture.width):
            sheet.paste(picture, (x - area.x, y - area.y))
    return sheet
