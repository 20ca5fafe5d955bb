"""Layouts written as text: Omost's canvases and Regional Prompter's prompts."""

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tiled_diffusion.errors import SettingsError
from tiled_diffusion.settings.foreign import document_of
from tiled_diffusion.settings.values import settings_from_dict
from tiled_diffusion.standalone.cli.commands import main

OMOST = """Here is the canvas:
```python
# Initialize the canvas
canvas = Canvas()

canvas.set_global_description(
    description='a quiet harbour.', detailed_descriptions=['soft light', 'old houses'], tags='harbour, dusk',
    HTML_web_color_name='dimgray')

canvas.add_local_description(
    location='on the left', offset='slightly to the upper-left', area='a small vertical area',
    distance_to_viewer=2.0, description='a lighthouse', detailed_descriptions=['white stone'], tags='tower',
    atmosphere='calm', style='painting', quality_meta='detailed', HTML_web_color_name='white')
canvas.add_local_description('in the center', 'no offset', 'a large horizontal area', 5.0, 'the sea', [], '', '', '', '', 'navy')
```
"""


def regions(text):
    return settings_from_dict(document_of({"text": text})).regions


def boxes(text):
    return [(r.prompt, *(round(v, 3) for v in (r.x, r.y, r.w, r.h))) for r in regions(text)]


def test_omosts_python_is_read_and_not_run(tmp_path):
    whole, sea, tower = regions(OMOST + f"\nopen({str(tmp_path / 'x')!r}, 'w')")
    assert whole.prompt == "a quiet harbour, soft light, old houses, harbour, dusk"
    assert (whole.x, whole.y, whole.w, whole.h, whole.layer) == (0, 0, 1, 1, "background")
    assert (sea.name, sea.prompt, sea.layer) == ("the sea", "a quiet harbour, the sea", "foreground")
    assert [round(v * 90) for v in (sea.x, sea.y, sea.w, sea.h)] == [0, 15, 90, 60]
    assert tower.prompt == "a quiet harbour, a lighthouse, white stone, tower, calm, painting, detailed"
    assert [round(v * 90) for v in (tower.x, tower.y, tower.w, tower.h)] == [0, 5, 25, 60]
    assert not (tmp_path / "x").exists()


def test_omosts_json():
    data = [{"rect": [0, 90, 0, 90], "prefixes": ["a harbour."], "suffixes": ["soft light."]},
            {"rect": [45, 90, 30, 60], "prefixes": ["a harbour.", "a boat."], "suffixes": []}]  # fmt: skip
    assert boxes(json.dumps(data)) == [("a harbour, soft light", 0, 0, 1, 1), ("a harbour, a boat", 0.333, 0.5, 0.333, 0.5)]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("canvas.set_global", "canvas.set_local", "got 0 calls of set_global_description"),
        ("'on the left'", "'somewhere'", "location: got 'somewhere', allowed are texts with left"),
        ("'a small vertical area'", "'a tiny area'", "area: got"),
        ("distance_to_viewer=2.0", "distance_to_viewer=-1", "distance_to_viewer: got -1"),
        ("distance_to_viewer=2.0", "distance_to_viewer=open('x')", "distance_to_viewer in line 1[0-9] is no plain value"),
        ("style='painting'", "look='painting'", "has no argument 'look'"),
        ("canvas = Canvas()", "canvas = Canvas(", "no Python that can be read"),
    ],
)
def test_omosts_faults_are_named(old, new, message):
    with pytest.raises(SettingsError, match=message):
        regions(OMOST.replace(old, new))


@pytest.mark.parametrize("data", ["[3]", '[{"rect": [1, 2, 3], "prefixes": [], "suffixes": []}]', "[[]]", "[{}]"])
def test_faults_of_the_json(data):
    with pytest.raises(SettingsError, match=r"Omost\[0\]: got"):
        regions(data)


THIRDS = [("a", 0, 0, 0.333, 1), ("b", 0.333, 0, 0.333, 1), ("c", 0.667, 0, 0.333, 1)]
TABLE = [
    ("a BREAK b BREAK c", THIRDS),
    ("a ADDCOL b ADDCOL\nc", THIRDS),
    ("a BREAK b BREAK c\nDivide mode : Vertical\nDivide Ratio : 1,1,2",
     [("a", 0, 0, 1, 0.25), ("b", 0, 0.25, 1, 0.25), ("c", 0, 0.5, 1, 0.5)]),
    ("a ADDROW b", [("a", 0, 0, 1, 0.5), ("b", 0, 0.5, 1, 0.5)]),
    ("a ADDROW b\nRatios: 1;3", [("a", 0, 0, 1, 0.25), ("b", 0, 0.25, 1, 0.75)]),
    ("sky ADDCOL a ADDCOL b ADDROW desk ADDCOL sofa\nDivide mode : Horizontal\nDivide Ratio : 1,2,1,1;3,4,6",
     [("sky", 0, 0, 0.5, 0.25), ("a", 0.5, 0, 0.25, 0.25), ("b", 0.75, 0, 0.25, 0.25),
      ("desk", 0, 0.25, 0.4, 0.75), ("sofa", 0.4, 0.25, 0.6, 0.75)]),
    ("sky BREAK a BREAK b BREAK desk BREAK sofa\nDivide Ratio: 1,2,1,1;3,4,6",
     [("sky", 0, 0, 0.5, 0.25), ("a", 0.5, 0, 0.25, 0.25), ("b", 0.75, 0, 0.25, 0.25),
      ("desk", 0, 0.25, 0.4, 0.75), ("sofa", 0.4, 0.25, 0.6, 0.75)]),
    ("a ADDROW b ADDCOL c\nDivide mode: Rows",
     [("a", 0, 0, 0.5, 0.5), ("b", 0, 0.5, 0.5, 0.5), ("c", 0.5, 0, 0.5, 1)]),
    ("a ADDROW b ADDCOL c\nDivide mode: Vertical\nDivide ratio: 1;1;3,2;1",
     [("a", 0, 0, 0.333, 0.25), ("b", 0, 0.25, 0.333, 0.75), ("c", 0.333, 0, 0.667, 1)]),
    ("a BREAK b BREAK c\nDivide ratio: 1,2", THIRDS),
    ("best ADDCOMM a BREAK b", [("best, a", 0, 0, 0.5, 1), ("best, b", 0.5, 0, 0.5, 1)]),
    ("best ADDBASE a BREAK b", [("a :0.8 ENSEMBLE best :0.2", 0, 0, 0.5, 1), ("b :0.8 ENSEMBLE best :0.2", 0.5, 0, 0.5, 1)]),
    ("x ADDCOMM y ADDBASE a BREAK b\nBase ratio: 0.5",
     [("x, a :0.5 ENSEMBLE y :0.5", 0, 0, 0.5, 1), ("x, b :0.5 ENSEMBLE y :0.5", 0.5, 0, 0.5, 1)]),
    ("y ADDBASE a BREAK b\nBase ratio: 0.5,0.25",
     [("a :0.5 ENSEMBLE y :0.5", 0, 0, 0.5, 1), ("b :0.75 ENSEMBLE y :0.25", 0.5, 0, 0.5, 1)]),
    ("[a] tree BREAK b", [("[a] tree", 0, 0, 0.5, 1), ("b", 0.5, 0, 0.5, 1)]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), TABLE)
def test_regional_prompters_grammar(text, expected):
    assert boxes(text) == expected


@given(st.lists(st.sampled_from(["BREAK", "ADDCOL", "ADDROW"]), min_size=1, max_size=8),
       st.sampled_from(["", "1,1", "1,2,1;2,4,6", "1;2;3"]), st.sampled_from(["Rows", "Columns"]))  # fmt: skip
def test_whatever_is_read_covers_the_canvas_once(words, ratio, mode):
    text = "p" + "".join(f" {word} p" for word in words) + f"\nDivide mode: {mode}\nDivide ratio: {ratio}"
    fits = sum(max(1, part.count(",")) for part in ratio.split(";")) == len(words) + 1
    if ratio.count(";") and set(words) == {"BREAK"} and mode == "Columns" and not fits:
        with pytest.raises(SettingsError, match="Divide ratio: it parts the canvas into"):
            regions(text)
        return
    assume(not ratio.count(";") or mode == "Columns" or set(words) != {"BREAK"})
    own = regions(text)
    assert len(own) == len(words) + 1
    assert sum(r.w * r.h for r in own) == pytest.approx(1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a BREAK b\nDivide ratio: 1,x", "Divide ratio: got '1,x'"),
        ("a BREAK b\nDivide ratio: 0,1", "Divide ratio: got '0,1'"),
        ("a BREAK b\nDivide mode: diagonal", "Divide mode: got 'diagonal'"),
        ("a BREAK b ADDCOMM c", "ADDCOMM stands behind 2 parts"),
        ("a ADDBASE b BREAK c\nBase ratio: 3", "Base ratio: got '3'"),
        ("a ADDBASE b BREAK c\nBase ratio: .1,.2,.3", "Base ratio: got '.1,.2,.3', allowed is one number from 0 to 1, or one for each of the 2"),
        ("a BREAK b\nDivide ratio: 1,1,1;1,1,1", "it parts the canvas into 4, and there are 2 prompts"),
        ("just a prompt", "none of the files that are known"),
    ],
)
def test_faults_of_the_grammar(text, message):
    with pytest.raises(SettingsError, match=message):
        regions(text)


def test_the_command_line_draws_them(tmp_path, capsys):
    (tmp_path / "layout.txt").write_text("a house on grass BREAK a tree on snow", encoding="utf-8")
    words = ["inspect", str(tmp_path / "layout.txt"), "--size", "256x128", "--out", str(tmp_path / "p.png"), "--json"]
    assert main(words) == 0, capsys.readouterr().err
    assert "region" in capsys.readouterr().out
    (tmp_path / "layout.txt").write_text("a house", encoding="utf-8")
    assert main(words) == 2
    assert "layout.txt" in capsys.readouterr().err
