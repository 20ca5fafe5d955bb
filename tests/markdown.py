"""Reads the project's pages: their links, headings, examples and commands."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
PROGRAM = re.compile(r"^(?:\S*python|\.venv\\Scripts\\python) -m (?=tiled_|bench)")


def blocks(text, language):
    """The code between fences of a language."""
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)


def _prose(text):
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))


def links(text):
    """Targets of links and pictures, outside of code."""
    return re.findall(r"\]\(([^)\s]+)\)", _prose(text))


def anchors(text):
    """What code hosts and the site make of headings: small letters, digits and hyphens, of any script."""
    headings = re.findall(r"^#+ +(.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


def commands(text):
    """Every command of this project's: words after `python -m`, of indented lines, and of what stands in backticks."""
    lines = [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.startswith("    ")]
    lines += re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    return [shlex.split(PROGRAM.sub("", line), comments=True) for line in lines if PROGRAM.match(line)]
