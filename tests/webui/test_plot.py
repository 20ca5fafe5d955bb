"""Axes of the X/Y/Z plot."""

from types import SimpleNamespace

import pytest
import torch
from modules import scripts

from tests.webui.host_model import Job, copied, field, job, run, written
from tiled_diffusion.settings.document import flat_rows
from tiled_diffusion.settings.panel import PanelSettings
from tiled_diffusion.settings.vae import VaePanelSettings
from tiled_diffusion.webui import xyz
from tiled_diffusion.webui.hosts.failure import JobError

TILES = {"tile_width": 128, "tile_height": 128, "overlap": 48}


class AxisOption:
    """As the plot script's."""

    def __init__(self, label, type, apply, choices=None):
        self.label, self.type, self.apply, self.choices = label, type, apply, choices


@pytest.fixture
def axes(monkeypatch):
    """Axes by label."""
    module = SimpleNamespace(axis_options=[AxisOption("Nothing", str, None)], AxisOption=AxisOption)
    monkeypatch.setattr(scripts, "scripts_data", [SimpleNamespace(path="/webui/scripts/xyz_grid.py", module=module)])
    for _ in range(2):
        xyz.DIFFUSION.register()
        xyz.VAE.register()
    found = {option.label: option for option in module.axis_options}
    assert len(found) == len(module.axis_options)
    return found


def cell(p, axes, **values):
    """A cell's job: a copy, which shares what the copied job's dicts hold."""
    made = copied(p)
    made.comments = []
    for label, value in values.items():
        axes[label].apply(made, value, [])
    return made


def test_there_is_an_axis_for_each_field(axes):
    labels = [f"[Tiled Diffusion] {label}" for label in (axis.label for axis in xyz.DIFFUSION.fields)]
    labels += [f"[Tiled VAE] {label}" for label in (axis.label for axis in xyz.VAE.fields)]
    assert list(axes) == ["Nothing", *labels]
    assert "Jittered tiles" in axes["[Tiled Diffusion] Method"].choices()
    assert axes["[Tiled VAE] VAE mode"].choices() == ["off", "Auto", "Untiled", "Exact", "Fast"]


@pytest.mark.parametrize("cls", [PanelSettings, VaePanelSettings])
def test_what_is_no_axis_says_why(cls):
    every = flat_rows(cls)
    assert [r.name for r in every if r.entry.axis is bool(r.entry.no_axis)] == []
    assert any(r.entry.no_axis for r in every)


VALUES = [
    ("Method", "Jittered tiles", {"method": "jittered"}),
    ("Tile width (px)", "192", {"tile_width": 192}),
    ("Tile overlap (px)", "64", {"overlap": 64}),
    ("Tile batch size", "2", {"tile_batch": 2}),
    ("Seamless X", "on", {"wrap_x": True}),
    ("Grid seed", "7", {"grid_seed": 7}),
    ("Size told to SDXL", "Each tile", {"size_conditioning": "tile"}),
    ("Rest", "rest: main prompt", {}),
    ("Whole prompt", "before it", {"tile_prompts_join": "append"}),
    ("Captioner", "clip", {"captioner": "clip"}),
    ("Local prompt", "sky", {"elastic_local_prompt": "sky"}),
    ("Tiled passes of hires fix", "First pass", {"passes": "first"}),
]


@pytest.mark.parametrize(("label", "value", "change"), VALUES)
def test_a_cell_is_the_job_with_that_value(axes, label, value, change):
    made = cell(Job(args=(True, TILES)), axes, **{f"[Tiled Diffusion] {label}": value})
    assert torch.equal(run(made), job({**TILES, **change}))
    assert field(made.infotexts[0]) == written({**TILES, **change})
    assert not made.comments


@pytest.mark.parametrize(
    ("label", "value"), [("Tile batch size", "many"), ("Seamless X", "perhaps"), ("Method", "best")]
)
def test_a_wrong_value_is_named(axes, label, value):
    with pytest.raises(JobError, match=f"got '{value}', allowed is"):
        run(cell(Job(args=(True, TILES)), axes, **{f"[Tiled Diffusion] {label}": value}))


def test_axes_of_a_panel_that_is_off_are_told(axes):
    p = cell(Job(args=(False, TILES)), axes, **{"[Tiled Diffusion] Method": "spot"})
    assert torch.equal(run(p), job())
    assert p.comments == ["Tiled Diffusion: the axes of the plot change nothing while the panel is switched off"]
    assert p.processed.extra_generation_params["Comments"] == p.comments


def test_cells_share_their_records_dict_but_not_the_record(axes):
    p = Job(args=(True, TILES))
    first = cell(p, axes, **{"[Tiled Diffusion] Method": "spot"})
    run(first)
    second = cell(p, axes)
    second.args = (False, TILES)
    run(second)
    assert field(second.infotexts[0]) is None
