"""The demo's page: one HTML file that needs nothing but the pictures beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; --ink: #1d2733; --soft: #526070; --paper: #fbfaf7; --card: #fff; --line: #dcd9d0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e6e1; --soft: #a9b1bb; --paper: #15181c; --card: #1e2329; --line: #343b44; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 17px/1.55 system-ui, "Segoe UI", sans-serif; }
main { max-width: 1600px; margin: 0 auto; padding: 2rem clamp(1rem, 3vw, 3rem) 4rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { margin: 0 0 .3rem; }
p { max-width: 70ch; margin: .3rem 0 1rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1.4rem;
  margin: 1.6rem 0; }
a.picture { display: block; margin: 0 0 .8rem; }
img, video { display: block; width: 100%; height: auto; border-radius: 6px; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.2rem; margin: 1rem 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
pre { margin: .4rem 0; padding: .7rem .9rem; border: 1px solid var(--line); border-radius: 6px;
  background: var(--paper);  white-space: pre-wrap; overflow-wrap: anywhere; font-size: .88rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; color: var(--soft); }
footer { color: var(--soft); }
"""


@dataclass(frozen=True)
class Figure:
    """A picture on the page.

    Attributes:
        title, text: above it.
        pictures: file names; the last but one and the last stand side by side where they are not wide.
        plan: file name of the drawn tiles, or nothing.
        size: width and height of the pictures as shown.
        facts: name and value of each setting and measurement.
        commands: what makes it again.
        viewer: file name of a page that shows it, or nothing.
    """

    title: str
    text: str
    pictures: tuple[str, ...]
    plan: str
    size: tuple[int, int]
    facts: tuple[tuple[str, str], ...]
    commands: tuple[str, ...]
    viewer: str = ""


def page(figures: Sequence[Figure], model: Any) -> str:
    """The whole page."""
    sections = "\n".join(_section(f) for f in figures)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tiled Diffusion: demo</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>Pictures larger than the model</h1>
<p>The model behind these pictures is tiny and was trained on pictures of 128 to 192 pixels. Everything here is
larger: the canvas is cut into overlapping tiles, each is denoised by itself, and the results are fused at every
step.</p>
{sections}
<footer>
<p>Model: {escape(str(model.name))} on {escape(str(model.device))}. Each PNG holds its own settings:
<code>python -m tiled_diffusion generate panorama.png</code> makes the same picture again.</p>
</footer>
</main>
</body>
</html>
"""


def _section(figure: Figure) -> str:
    return "\n".join(_parts(figure))


def _parts(figure: Figure) -> Iterator[str]:
    width, height = figure.size
    yield f"<section>\n<h2>{escape(figure.title)}</h2>\n<p>{escape(figure.text)}</p>"
    pair = len(figure.pictures) > 1 and width < 3 * height
    yield '<div class="pair">' if pair else "<div>"
    yield from (_image(name, f"{figure.title}: {name}", figure.size) for name in figure.pictures)
    yield "</div>\n<dl>"
    yield from (f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in figure.facts)
    yield "</dl>\n<h3>The command</h3>"
    yield from (f"<pre>{escape(command)}</pre>" for command in figure.commands)
    if figure.plan:
        yield "<h3>The tiles</h3>"
        yield _image(figure.plan, f"{figure.title}: its tiles, drawn over the picture", None)
    if figure.viewer:
        yield f'<p><a href="{escape(figure.viewer)}">Look into it</a></p>'
    yield "</section>"


def _image(name: str, alt: str, size: tuple[int, int] | None) -> str:
    if name.endswith(".webm"):
        return f'<video src="{escape(name)}" autoplay loop muted controls></video>'
    shape = f' width="{size[0]}" height="{size[1]}"' if size else ""
    return f'<a class="picture" href="{escape(name)}"><img src="{escape(name)}" alt="{escape(alt)}"{shape}></a>'
