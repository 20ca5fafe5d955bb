"""Lists of prompts of tiles: in documents, on the page, and in files."""

import json

import pytest

from tiled_diffusion.errors import SettingsError
from tiled_diffusion.settings.panel import PanelSettings, merge, to_controls
from tiled_diffusion.settings.tile_texts import TileText, tile_texts_from_file, tile_texts_from_text
from tiled_diffusion.settings.values import Settings, settings_from_dict

LIST = (TileText("a house, red", 1, 2), TileText("sky", x=0.0, y=0.0, w=0.5, h=0.25))


@pytest.mark.parametrize(
    "text",
    [
        'row,column,x,y,w,h,prompt\n1,2,,,,,"a house, red"\n,,0,0,0.5,0.25,sky\n',
        json.dumps([{"row": 1, "column": 2, "prompt": "a house, red"}, {"w": 0.5, "h": 0.25, "prompt": "sky"}]),
    ],
)
def test_csv_and_json_say_the_same(text, tmp_path):
    assert tile_texts_from_text(text, "list") == LIST
    for name in ("list.csv", "list.txt"):
        (tmp_path / name).write_text("\ufeff" + text, encoding="utf-8")
        assert tile_texts_from_file(tmp_path / name) == LIST
    assert merge(None, {"tile_prompts": "List", "tile_texts": text}).tiling.tile_texts == LIST


def test_documents_and_controls_hold_it():
    settings = Settings(tile_prompts="list", tile_texts=LIST)
    assert settings_from_dict(settings.to_dict()) == settings
    shown = to_controls(PanelSettings(settings))
    assert merge(None, shown).tiling == settings
    assert to_controls(PanelSettings())["tile_texts"] == ""
    assert tile_texts_from_text(" \n", "list") == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("row,column\n1,1", "list, line 2: prompt: it is missing"),
        ("row,colour,prompt\n1,1,a", "list, line 2: column 'colour' is unknown, known are prompt, row"),
        ("row,column,prompt\n1,1,a, b", "list, line 2: it has more or fewer values"),
        ("row,column,prompt\n1,1", "list, line 2: it has more or fewer values"),
        ("row,column,prompt\n0,1,a", "list, line 2: row: got"),
        ("row,prompt\n1,a", "list, line 2: column: it is missing"),
        ("row,column,x,prompt\n1,1,0.5,a", "list, line 2: (w|row): "),
        ("x,w,prompt\n0.8,0.5,a", "list, line 2: w: got 0.5"),
        ('row,column,prompt\n1,1,"a', r"list, line \d: "),
        ('[{"prompt": 3}]', r"list\[0\].prompt"),
        ('[{"place": 3}]', r"list\[0\]: unknown field 'place'"),
        ("[", "list: this is no valid JSON"),
    ],
)
def test_errors_name_the_line_and_the_field(text, message):
    with pytest.raises(SettingsError, match=message):
        tile_texts_from_text(text, "list")


def test_a_list_that_is_asked_for_must_be_there():
    with pytest.raises(SettingsError, match="tile_texts: got none"):
        Settings(tile_prompts="list")
    with pytest.raises(SettingsError, match="cannot be read"):
        tile_texts_from_file(__import__("pathlib").Path("/nowhere/list.csv"))
