"""Writes what is made of the table of settings: `python -m tiled_diffusion.settings.generate` in the repository.

That is javascript/fields.js, and in the pages of docs/ what stands between `<!-- table: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
from pathlib import Path

from tiled_diffusion.errors import TiledError

from .page_table import page_script
from .reference import TABLES

SCRIPT = "javascript/fields.js"
BLOCK = re.compile(r"(<!-- table: ([^>]*?) -->\n).*?(<!-- end -->)", re.DOTALL)


def generated(root: Path) -> dict[Path, str]:
    """The files of a copy of the repository as they should be.

    Raises:
        TiledError: there are no docs, or a page asks for a table that there is not.
    """
    pages = sorted((root / "docs").glob("*.md"))
    if not pages:
        raise TiledError(f"there are no docs in {root}: run it in a copy of the repository")
    return {root / SCRIPT: page_script(), **{page: _with_tables(page) for page in pages}}


def _with_tables(page: Path) -> str:
    def filled(block: re.Match[str]) -> str:
        begin, name, end = block.groups()
        if name not in TABLES:
            raise TiledError(f"{page}: got the table {name!r}, allowed is one of {', '.join(TABLES)}")
        return f"{begin}{TABLES[name]()}\n{end}"

    return BLOCK.sub(filled, page.read_text(encoding="utf-8"))


def stale(root: Path) -> list[Path]:
    """The files that are not as they should be."""
    return [path for path, text in generated(root).items() if not path.is_file() or _text(path) != text]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def main() -> None:
    """Writes the files that are not as they should be."""
    root = Path(__file__).parents[2]
    texts = generated(root)
    for path in stale(root):
        path.write_text(texts[path], encoding="utf-8")


if __name__ == "__main__":
    main()
