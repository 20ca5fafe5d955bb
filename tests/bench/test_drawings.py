"""The drawings of docs/why.md are what the engine's weights give."""

from xml.etree import ElementTree

from bench.drawings import drawings


def test_the_drawings_are_current():
    for path, drawing in drawings().items():
        assert path.read_text(encoding="utf-8") == drawing, "run `python -m bench.drawings`"
        assert ElementTree.fromstring(drawing).tag.endswith("svg")
