"""ControlNet: every tile sees exactly its crop of the hint."""

from types import SimpleNamespace

import pytest
import torch
from modules import shared
from torch.nn.functional import avg_pool2d, interpolate

from tests.webui.host_model import Job, Model, run

TILES = {"tile_width_lp": 16, "tile_height_lp": 16, "overlap_lp": 6}
WIDTH, HEIGHT = 320, 160


class Params:
    """A unit, as the extension keeps it."""

    def __init__(self, hint, kind="ControlNet", mask=None, hires=None):
        self._hint, self.hr_hint_cond, self.effective_region_mask = hint, hires, mask
        self.control_model_type, self.guidance_stopped = SimpleNamespace(name=kind), False
        self.control_model, self.weight, self.sets = SimpleNamespace(), 1.0, 0

    @property
    def hint_cond(self):
        return self._hint

    @hint_cond.setter
    def hint_cond(self, value):
        self._hint, self.sets = value, self.sets + 1


class Echo(Model):
    """Adds the hint that it sees, pixel by pixel: a wrong crop shows at once."""

    def __init__(self, units):
        super().__init__()
        self.units = units

    def predict(self, x, sigma, cond):
        out = super().predict(x, sigma, cond)
        for unit in self.units:
            if unit.guidance_stopped or unit.control_model_type.name != "ControlNet":
                continue
            seen = avg_pool2d(unit.hint_cond, 8)
            assert seen.shape[-2:] == x.shape[-2:], "the hint is no crop of the tile"
            assert seen.shape[0] in (1, x.shape[0])
            if unit.effective_region_mask is not None:
                seen = seen * interpolate(unit.effective_region_mask, size=x.shape[-2:], mode="bilinear")
            out = out + unit.weight * seen.mean(1, keepdim=True)
        return out


def hint_of(seed, batch=1, size=(HEIGHT, WIDTH)):
    return torch.rand((batch, 3, *size), generator=torch.Generator().manual_seed(seed))


def controlled(units, settings=None, **more):
    shared.sd_model = Echo(units)
    p = Job(args=() if settings is None else (True, settings), width=WIDTH, height=HEIGHT, **more)
    network = SimpleNamespace(control_params=units)
    p.scripts.alwayson_scripts = [SimpleNamespace(latest_network=network, title=lambda: "ControlNet", filename="")]
    return run(p), p


def close(a, b):
    torch.testing.assert_close(a, b, atol=3e-5, rtol=0)


@pytest.mark.parametrize("tile_batch", [1, 2, 4])
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("wrap", [False, True])
def test_each_tile_sees_its_crop(tile_batch, batch, split, wrap):
    shared.opts.batch_cond_uncond = not split
    units = [Params(hint_of(1)), Params(hint_of(2), mask=hint_of(3)[:, :1])]
    plain, _ = controlled(units, batch_size=batch)
    tiled, _ = controlled(units, {**TILES, "tile_batch": tile_batch, "wrap_x": wrap}, batch_size=batch)
    close(tiled, plain)


@pytest.mark.parametrize("prompt", ["a house", "a house " * 9])
def test_in_regions_too(prompt):
    units = [Params(hint_of(1))]
    regions = [{"prompt": prompt, "w": 0.5, "feather": 0}, {"prompt": prompt, "x": 0.5, "w": 0.5, "feather": 0}]
    plain, _ = controlled(units, prompt=prompt)
    tiled, _ = controlled(units, {**TILES, "regions": regions})
    close(tiled, plain)


def test_a_hint_for_each_picture_of_a_batch_goes_to_its_rows():
    units = [Params(hint_of(1, batch=2))]
    tiled, _ = controlled(units, TILES, batch_size=2)
    for image in range(2):
        alone, _ = controlled([Params(hint_of(1, batch=2)[image : image + 1])], TILES, seed=1 + image)
        close(tiled[image : image + 1], alone)


def test_a_region_switches_it_off():
    units = [Params(hint_of(1))]
    with_it, _ = controlled(units, TILES)
    without, _ = controlled([], TILES)
    region = {"prompt": "a house", "x": 0.5, "w": 0.5, "feather": 0, "controlnet": False}
    mixed, _ = controlled(units, {**TILES, "regions": [region]})
    close(mixed[..., :20], with_it[..., :20])
    close(mixed[..., 20:], without[..., 20:])


def test_a_hint_of_another_size_is_resized_once():
    unit = Params(hint_of(1, size=(HEIGHT // 2, WIDTH // 2)))
    fitted = interpolate(unit.hint_cond, size=(HEIGHT, WIDTH), mode="bilinear", antialias=True)
    tiled, _ = controlled([unit], TILES)
    plain, _ = controlled([Params(fitted)])
    close(tiled, plain)


def test_the_hires_hint_is_taken_for_the_hires_size():
    unit = Params(hint_of(9, size=(64, 128)), hires=hint_of(1))
    tiled, _ = controlled([unit], TILES)
    plain, _ = controlled([Params(hint_of(1))])
    close(tiled, plain)


def test_units_of_the_whole_picture_are_left_alone_and_named():
    units = [Params({"embedding": 1}, kind="IPAdapter"), Params(hint_of(1), kind="AttentionInjection"), Params(hint_of(2))]
    _, p = controlled(units, TILES)
    assert units[0].sets == units[1].sets == 0
    assert "IPAdapter, AttentionInjection" in p.comments[0]


@pytest.mark.parametrize("fail_at", [None, 2])
def test_afterwards_the_units_are_as_before(fail_at):
    hint, hires, mask = hint_of(1), hint_of(2), hint_of(3)[:, :1]
    unit = Params(hint, hires=hires, mask=mask)
    if fail_at is None:
        controlled([unit], TILES)
    else:
        with pytest.raises(RuntimeError, match="on purpose"):
            controlled([unit], TILES, fail_at=fail_at)
    assert unit.hint_cond is hint
    assert unit.hr_hint_cond is hires
    assert unit.effective_region_mask is mask
    assert unit.guidance_stopped is False


def test_adapters_forget_the_last_hint():
    resets = []
    unit = Params(hint_of(1))
    unit.control_model.reset = lambda: resets.append(1)
    controlled([unit], TILES, steps=1)
    assert len(resets) == 2  # eight tiles, four at once


def test_without_the_extension_nothing_is_asked_of_it():
    out, p = controlled([], TILES)
    assert out.isfinite().all()
    assert not p.comments
