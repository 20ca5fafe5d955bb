"""What the studio's tabs say of a run: a line with a bar, errors that name their field, and where pictures are."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from html import escape
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.panel import NAME
from tiled_vae import Interrupted

from .studio import Update

JPEG_QUALITY = 85
MARK = "() => { tiledDiffusion.studio?.mark(); }"
"""JavaScript for where a run's line has changed: errors are repeated beside their fields."""
CANCELLED = "Cancelled"
_FIELD = re.compile(rf"(?:{re.escape(NAME)}\.)?([a-z_]+)[^:\s]*: ")


def said(text: str, fraction: float | None = None) -> str:
    """HTML of a line that is read out, with a bar where a run goes on."""
    bar = "" if fraction is None else f'<progress max="1" value="{fraction:.3f}" aria-label="Progress"></progress>'
    return f'{bar}<p role="status">{escape(text)}</p>'


def wrong(error: TiledError, prefix: str) -> str:
    """HTML of an error; the page shows it beside the field that it names, too.

    Args:
        error: "width: got 100, ...".
        prefix: of the ids of the tab's fields.
    """
    match = _FIELD.match(str(error))
    field = f' data-field="{match[1]}" data-prefix="{prefix}"' if match else ""
    return f'<p role="alert" class="td-wrong"{field}>{escape(str(error))}</p>'


def data_url(image: Image.Image) -> str:
    """A small picture as an address that holds it."""
    out = BytesIO()
    image.convert("RGB").save(out, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()


def file_url(path: str | Path) -> str:
    """Where the page finds a file that it may see."""
    return "gradio_api/file=" + quote(str(Path(path).resolve()))


def followed(updates: Iterator[Update], prefix: str) -> Iterator[tuple[str, Update | None]]:
    """A run's updates for a page, each with its line as HTML.

    The user's stop and errors end it; their line comes with None.

    Args:
        updates: of a run.
        prefix: as for `wrong`.
    """
    try:
        for update in updates:
            yield said(update.text, None if update.files else update.fraction), update
    except Interrupted:
        yield said(CANCELLED), None
    except TiledError as e:
        yield wrong(e, prefix), None


def wipe(before: str, after: str, size: tuple[int, int]) -> str:
    """HTML of two pictures, one above the other, with a slider between them; keys move it, too.

    Args:
        before: address of the left one, which is stretched to the size of the other.
        after: address of the right one.
        size: its width and height.
    """
    ratio = f"{size[0]} / {size[1]}"
    return (
        f'<figure class="td-wipe" style="aspect-ratio: {ratio}"><img src="{escape(after)}" alt="after">'
        f'<img src="{escape(before)}" alt="before">'
        '<input type="range" min="0" max="100" value="50" aria-label="Wipe between before and after" '
        "oninput=\"this.parentNode.style.setProperty('--td-at', this.value + '%')\">"
        "<figcaption><span>before</span><span>after</span></figcaption></figure>"
        f'<p><a href="{escape(after)}" download>{size[0]} x {size[1]} px: download</a></p>'
    )
