"""Documents of version 1 are read for ever: every field of them, records in pictures and pasted texts among them."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tiled_diffusion.errors import SettingsError
from tiled_diffusion.settings.control import Control
from tiled_diffusion.settings.document import flat_rows
from tiled_diffusion.settings.fields import VERSION, rows
from tiled_diffusion.settings.masks import Mask
from tiled_diffusion.settings.panel import PanelSettings, merge, panel_settings_from_dict, panel_settings_from_json
from tiled_diffusion.settings.presets import Presets
from tiled_diffusion.settings.request import Request, request_from_dict
from tiled_diffusion.settings.vae import VaePanelSettings, vae_settings_from
from tiled_diffusion.settings.values import Region, Reroll, Settings, settings_from_dict
from tiled_diffusion.standalone.metadata import read_png

FOLDER = Path(__file__).parents[1] / "fixtures" / "v1"
REGION = Region(
    "a tree", 0.1, 0.2, 0.5, 0.6, "night", 0.3, 2.0, "left", False, "append", "foreground", "linear",
    Mask(polygons=(((0, 0), (1, 0), (0.5, 1)),)), 9, 6.0, 0.1, 0.9, False, 0.25,
)  # fmt: skip
SETTINGS = Settings(
    "jittered", 512, 768, 128, 2, True, True, 77, "tile", (REGION,), "none", (Reroll(3, 0.1, 0.2, 0.3, 0.4, "exclusive"),),
    compose=0.0,
)
PANEL = PanelSettings(SETTINGS, "hires", 1024, 768, "Lanczos", 3.0, False)
CONTROL = Control("edges", "hint.png", 0.5, 0.1, 0.9, "canny")
REQUEST = Request("grass", "fog", 256, 64, 3, 3.0, "Euler", 5, 2, "photo.png", 0.4, (CONTROL,), SETTINGS)
VAE = VaePanelSettings("exact", 512, 512, "host", True, False, False)
DOCUMENTS = [("settings", settings_from_dict, SETTINGS), ("panel", panel_settings_from_dict, PANEL),
             ("canvas", request_from_dict, REQUEST), ("vae", vae_settings_from, VAE)]  # fmt: skip


def fixture(name):
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("name", "read", "value"), DOCUMENTS, ids=lambda v: v if isinstance(v, str) else "")
def test_documents(name, read, value):
    data = fixture(name)
    assert data["version"] == 1
    assert read(data) == value
    assert set(data) == {"version"} | {r.name_in(1) for r in flat_rows(type(value)) if r.entry.since == 1}, "every field is there"
    written = value.to_dict()
    assert written["version"] == VERSION == 2
    assert read(written) == read({k: v for k, v in written.items() if k != "version"}) == value
    assert "_lp" not in json.dumps(written)


def test_every_field_is_in_the_fixtures_and_is_no_default():
    """A field that had its default there would be read as well if it were forgotten."""
    for value in (REGION, SETTINGS, *SETTINGS.rerolls, PANEL, CONTROL, REQUEST, VAE):
        same = [r.name for r in rows(type(value)) if r.entry.since == 1 and getattr(value, r.name) == r.default]
        assert same == []


@pytest.mark.parametrize(("name", "read", "value"), DOCUMENTS[:2] + DOCUMENTS[3:], ids=lambda v: v if isinstance(v, str) else "")
def test_without_a_version_a_name_of_version_1_tells(name, read, value):
    data = fixture(name)
    del data["version"]
    assert read(data) == value


def test_a_canvas_of_version_1_without_versions():
    data = fixture("canvas")
    del data["version"], data["tiling"]["version"]
    assert request_from_dict(data) == REQUEST
    assert request_from_dict({**data, "version": 1}) == REQUEST


def test_pictures():
    second = replace(SETTINGS, regions=(replace(REGION, seed=10),), rerolls=(replace(SETTINGS.rerolls[0], seed=4),))
    assert read_png(FOLDER / "record.png") == replace(REQUEST, seed=6, batch_size=1, tiling=second)
    simple = Settings(tile_width=128, tile_height=64, overlap=32, regions=(Region("a tree", w=0.5),), compose=0.0)
    assert read_png(FOLDER / "simple.png") == Request("grass", width=256, height=64, tiling=simple)


def test_a_pasted_text():
    text = (FOLDER / "infotext.txt").read_text(encoding="utf-8")
    record = json.loads(re.search(r"Tiled Diffusion: (\".*\")", text)[1])
    assert panel_settings_from_json(record) == replace(PANEL, width=None, height=None)


def test_presets(tmp_path):
    (tmp_path / "old.json").write_text(json.dumps(fixture("settings")), encoding="utf-8")
    assert settings_from_dict(Presets(tmp_path).read("old")) == SETTINGS


def test_a_panels_controls_fill_a_document_of_version_1():
    merged = merge({"version": 1, "overlap_lp": 6}, {"overlap": 64, "tile_width": 256, "method": "spot"}).tiling
    assert merged == Settings("spot", 256, overlap=48, compose=0.0)
    assert merge({"version": 1}, {"compose": 0.3}).tiling.compose == 0, "an API's controls are but its defaults"
    assert merge({"version": 2}, {"compose": 0.3}).tiling.compose == merge("", {"compose": 0.3}).tiling.compose == 0.3


def test_regions_of_version_1_have_soft_edges_from_the_start():
    assert settings_from_dict({"version": 1}).compose == settings_from_dict({"overlap_lp": 6}).compose == 0
    assert settings_from_dict({}).compose == settings_from_dict({"version": 2}).compose == Settings().compose > 0


@pytest.mark.parametrize("automatic", [0, None])
def test_the_vaes_automatic_tiles(automatic):
    assert vae_settings_from({"version": 1, "encoder_tile_px": automatic, "decoder_tile_lp": automatic}) == VaePanelSettings()


REFUSED = [
    (settings_from_dict, {"tile_width_lp": 7}, "settings.tile_width_lp: got 7, allowed is a whole number from 8 to 512"),
    (settings_from_dict, {"version": 1, "overlap_lp": -1}, "settings.overlap_lp: got -1, allowed is a whole number from 0 to 511"),
    (settings_from_dict, {"tile_width_lp": 64.0}, "settings.tile_width_lp: got 64.0"),
    (settings_from_dict, {"version": 2, "overlap_lp": 8}, "the field 'overlap_lp' is of version 1, and this document is of version 2: say 'overlap'"),
    (settings_from_dict, {"version": 1, "overlap": 8}, "the field 'overlap' is not in version 1, which this document is of"),
    (settings_from_dict, {"overlap_lp": 8, "tile_width": 64}, "the field 'tile_width' is not in version 1"),
    (settings_from_dict, {"version": 3}, "settings: written by version 3 of the format; this release reads up to 2"),
    (panel_settings_from_dict, {"version": 3}, "settings: written by version 3"),
    (request_from_dict, {"prompt": "a", "version": 3}, "canvas: written by version 3"),
    (request_from_dict, {"prompt": "a", "tiling": {"version": 3}}, "canvas.tiling: written by version 3"),
    (request_from_dict, {"prompt": "a", "tiling": {"overlap_lp": 512}}, "canvas.tiling.overlap_lp: got 512"),
    (vae_settings_from, {"version": 3}, "settings: written by version 3"),
    (vae_settings_from, {"version": 0}, "settings.version: got 0"),
    (vae_settings_from, {"decoder_tile_lp": 4}, "settings.decoder_tile_lp: got 4, allowed is a whole number of 8 or more"),
    (vae_settings_from, {"version": 2, "decoder_tile_lp": 64}, "the field 'decoder_tile_lp' is of version 1"),
    (vae_settings_from, {"decoder_tile": 4}, "settings.decoder_tile: got 4, allowed is a multiple of 8 of 64 or more"),
    (vae_settings_from, {"decoder_tile": 0}, "settings.decoder_tile: got 0"),
]  # fmt: skip


@pytest.mark.parametrize(("read", "data", "text"), REFUSED, ids=lambda v: v[:60] if isinstance(v, str) else "")
def test_what_is_refused(read, data, text):
    with pytest.raises(SettingsError) as e:
        read(data)
    assert text in str(e.value)


def test_no_entry_is_newer_than_the_format():
    for cls in (Settings, Region, Reroll, PanelSettings, Request, Control, VaePanelSettings):
        assert all(1 <= r.entry.since <= VERSION for r in rows(cls))
        assert all(r.entry.since == 1 for r in rows(cls) if r.entry.before)
