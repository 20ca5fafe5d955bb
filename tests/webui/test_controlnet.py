"""ControlNet: every tile sees exactly its crop of the hint, and of whatever else a unit keeps of the canvas."""

import itertools
import random
from dataclasses import replace

import pytest
import torch
from modules import shared
from torch.nn.functional import interpolate

from tests.webui.control_stand_in import Adapter, IpAdapter, Lite, Params, controlled, hint_of, inpainted
from tests.webui.host_model import FAMILIES
from tiled_diffusion.engine.geometry import Box, Extent
from tiled_diffusion.engine.guides import ModelRows
from tiled_diffusion.engine.tiles import Tile
from tiled_diffusion.webui.controlnet.tiles import ControlTiles

TILES = {"tile_width_lp": 16, "tile_height_lp": 16, "overlap_lp": 6}
HALVES = [
    {"prompt": "a house", "w": 0.5, "feather": 0},
    {"prompt": "a house", "x": 0.5, "w": 0.5, "feather": 0, "cfg_scale": 3.0},
]
OFF = {"prompt": "a house", "x": 0.5, "w": 0.5, "feather": 0, "controlnet": False}


def close(a, b):
    torch.testing.assert_close(a, b, atol=3e-5, rtol=0)


def differ(a, b):
    return float((a - b).abs().max())


def each(seed, batch, split=False):
    """A hint for each picture, as the extension lays them out: for the rows of one call of the whole picture."""
    return hint_of(seed, batch) if split or batch == 1 else torch.cat([hint_of(seed, batch)] * 2)


def plain_hint(size=(160, 320)):
    """One colour, the same at every size."""
    return torch.tensor([0.9, 0.5, 0.2])[None, :, None, None].expand(1, 3, *size).clone()


def several(batch, hires, split):
    """Units of all kinds that follow tiles."""
    own = each(7, batch, split)
    return [
        Params(hint_of(6, size=(80, 160)) if hires else own, hires=own if hires else None, cfg_injection=True),
        Params(hint_of(2), mask=hint_of(3)[:, :1], hires=hint_of(2) if hires else None, soft_injection=True),
        Params(hint_of(4), "T2I_Adapter", model=Adapter(), hires=hint_of(4) if hires else None),
        Params(hint_of(5), preprocessor="tile_colorfix", hires=hint_of(5) if hires else None, weight=0.7),
        Params(inpainted(8), preprocessor="inpaint_only", hires=inpainted(8) if hires else None, weight=0.5),
        Params(hint_of(9), "Controlllite", model=Lite(hint_of(9))),
    ]


GRID = list(itertools.product([1, 2], [1, 2, 4], *[[False, True]] * 4))


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_each_tile_sees_its_crops(family):
    """Every combination with one family of samplers; what goes with what changes from one to the next."""
    turn = sorted(FAMILIES).index(family)
    mixed = random.Random(1).sample(GRID, len(GRID))
    for batch, tile_batch, split, wrap, regions, hires in mixed[turn :: len(FAMILIES)]:
        shared.opts.batch_cond_uncond = not split
        more = {"batch_size": batch, "sampler_name": family, "steps": 2, "hires": hires}
        settings = {**TILES, "tile_batch": tile_batch, "wrap_x": wrap, "regions": HALVES if regions else []}
        plain, _, network = controlled(several(batch, hires, split), **more)
        assert set(shared.sd_model.hires_seen) == {hires}
        tiled, _, network = controlled(several(batch, hires, split), settings, **more)
        assert set(shared.sd_model.hires_seen) == {hires}
        assert len(network.encoded) == 2, "each of the two latents is made once, of the whole hint"
        close(tiled, plain)


@pytest.mark.parametrize("wrong", ["sample-major", "one picture's", "shifted"])
def test_the_proof_tells_orders_apart(wrong, monkeypatch):
    """Were rows in another order, or crops elsewhere, the result would be far off."""
    right = ControlTiles.model_call

    def misled(self, rows, x, inputs):
        if wrong == "sample-major":
            order = sorted(range(len(rows.tiles)), key=lambda i: i % 4)
            rows = rows._replace(tiles=[rows.tiles[i] for i in order], images=[rows.images[i] for i in order])
        elif wrong == "one picture's":
            rows = rows._replace(images=[0] * len(rows.images))
        else:
            rows = rows._replace(tiles=[replace(t, view=t.box.moved(0, -min(1, t.box.x))) for t in rows.tiles])
        return right(self, rows, x, inputs)

    more = {"batch_size": 2, "steps": 2}
    plain, _, _ = controlled([Params(each(1, 2))], **more)
    settings = {**TILES, "tile_batch": 2}
    close(controlled([Params(each(1, 2))], settings, **more)[0], plain)
    monkeypatch.setattr(ControlTiles, "model_call", misled)
    assert differ(controlled([Params(each(1, 2))], settings, **more)[0], plain) > 0.01


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("settings", [{}, {"cfg_scale": 5.0}, {"prompt": "a house AND a house :0.5"}], ids=str)
def test_more_important_than_the_prompt_in_regions_with_texts_of_their_own_length(split, settings):
    """The unit acts on prompts' rows alone, whichever rows of the host's a region's texts travel in."""
    shared.opts.batch_cond_uncond = not split
    negative = "nothing blurred " * 6
    own = {"prompt": "a house", **settings}
    region = {"prompt": own["prompt"], "feather": 0, "cfg_scale": own.get("cfg_scale")}
    unit = {"hint": hint_of(1), "cfg_injection": True}
    plain, _, _ = controlled([Params(**unit)], prompt=own["prompt"], negative_prompt=negative, cfg_scale=own.get("cfg_scale", 3.0))  # fmt: skip
    tiled, _, _ = controlled([Params(**unit)], {**TILES, "regions": [region]}, negative_prompt=negative)
    close(tiled, plain)
    balanced, _, _ = controlled([Params(hint_of(1))], {**TILES, "regions": [region]}, negative_prompt=negative)
    assert differ(balanced, tiled) > 0.01


def test_a_hint_for_each_picture_of_a_batch_goes_to_its_rows():
    tiled, _, _ = controlled([Params(hint_of(1, batch=2))], TILES, batch_size=2)
    for image in range(2):
        alone, _, _ = controlled([Params(hint_of(1, batch=2)[image : image + 1])], TILES, seed=1 + image)
        close(tiled[image : image + 1], alone)


EVERY = [
    lambda: Params(hint_of(1)),
    lambda: Params(hint_of(1), "T2I_Adapter", model=Adapter(), cfg_injection=True),
    lambda: Params(hint_of(1), preprocessor="tile_colorfix"),
    lambda: Params(inpainted(1), preprocessor="inpaint_only"),
    lambda: Params(hint_of(1), "Controlllite", model=Lite(hint_of(1))),
    lambda: Params({"embedding": 1}, "IPAdapter", model=IpAdapter()),
    lambda: Params(plain_hint(), "AttentionInjection", preprocessor="reference_only"),
    lambda: Params(hint_of(1), "InstantID"),
]


@pytest.mark.parametrize("make", EVERY)
@pytest.mark.parametrize("in_channels", [4, 9])
def test_a_region_switches_each_kind_off(make, in_channels):
    more = {"in_channels": in_channels, "steps": 2}
    with_it, _, _ = controlled([make()], TILES, **more)
    without, _, _ = controlled([], TILES, **more)
    mixed, _, _ = controlled([make()], {**TILES, "regions": [OFF]}, **more)
    assert differ(with_it, without) > 0.01
    close(mixed[..., :20], with_it[..., :20])
    close(mixed[..., 20:], without[..., 20:])


@pytest.mark.parametrize("make", EVERY)
@pytest.mark.parametrize(
    "settings", [{"tile_batch": 1}, {"tile_batch": 3}, {"tile_batch": 4, "regions": HALVES}], ids=str
)
def test_each_kind_is_as_without_tiles(make, settings):
    """Also with rows that differ in number and kind from call to call."""
    for split, batch in ((False, 1), (True, 2)):
        shared.opts.batch_cond_uncond = not split
        if split and make().kind == "IPAdapter":
            continue  # the extension itself keeps the first call's keys for the second one
        plain, _, _ = controlled([make()], batch_size=batch, steps=2)
        close(controlled([make()], {**TILES, **settings}, batch_size=batch, steps=2)[0], plain)


@pytest.mark.parametrize(("tile", "size"), [(16, (64, 192)), (24, (128, 256)), (64, (160, 320))])
def test_a_reference_is_the_whole_picture_but_no_larger_than_a_tile(tile, size):
    settings = {"tile_width_lp": tile, "tile_height_lp": tile, "overlap_lp": 6, "regions": HALVES}
    _, _, network = controlled([Params(hint_of(1), "AttentionInjection")], settings)
    assert network.encoded == [(1, 3, *size)]


def test_keys_of_an_ip_adapter_are_those_of_the_rows_that_it_sees():
    shared.opts.batch_cond_uncond = False
    tiled, _, _ = controlled([Params({}, "IPAdapter", model=IpAdapter())], {**TILES, "tile_batch": 3}, batch_size=2)
    shared.opts.batch_cond_uncond = True
    plain, _, _ = controlled([Params({}, "IPAdapter", model=IpAdapter())], batch_size=2)
    close(tiled, plain)


def test_where_an_ip_adapter_acts_is_cropped():
    mask = hint_of(3)[:, :1]
    units = [[Params({}, "IPAdapter", mask=mask, model=IpAdapter(mask=mask, size=(20, 40)))] for _ in range(2)]
    plain, _, _ = controlled(units[0])
    close(controlled(units[1], {**TILES, "tile_batch": 4})[0], plain)
    model = units[1][0].control_model
    assert model.effective_region_mask is mask
    assert (model.latent_height, model.latent_width) == (20, 40)


@pytest.mark.parametrize(("start", "end"), [(0.0, 0.4), (0.5, 1.0), (0.3, 0.6)])
def test_guidance_starts_and_ends(start, end):
    def units():
        when = {"start_guidance_percent": start, "stop_guidance_percent": end}
        lite, ip = Lite(hint_of(2), start, end), IpAdapter()
        ip.p_start, ip.p_end = start, end
        return [
            Params(hint_of(1), **when),
            Params(hint_of(2), "Controlllite", model=lite, **when),
            Params({}, "IPAdapter", model=ip, **when),
        ]

    plain, _, _ = controlled(units(), steps=5)
    close(controlled(units(), TILES, steps=5)[0], plain)
    always, _, _ = controlled([Params(hint_of(1)), *units()[1:]], TILES, steps=5)
    assert differ(always, plain) > 0.01


@pytest.mark.parametrize("mode", [{"weight": 0.3}, {"soft_injection": True}, {"soft_injection": True, "cfg_injection": True}, {"advanced_weighting": [0.9, -0.2]}], ids=str)  # fmt: skip
@pytest.mark.parametrize("kind", ["ControlNet", "T2I_Adapter"])
def test_weights_of_layers_and_modes_hold(kind, mode):
    def unit(**more):
        return [Params(hint_of(1), kind, model=Adapter(), **more)]

    plain, _, _ = controlled(unit(**mode), batch_size=2)
    close(controlled(unit(**mode), {**TILES, "tile_batch": 4}, batch_size=2)[0], plain)
    assert differ(controlled(unit(), TILES, batch_size=2)[0], plain) > 0.01


@pytest.mark.parametrize("option", ["Both", "Low res only", "High res only"])
@pytest.mark.parametrize("hires", [False, True])
@pytest.mark.parametrize("kind", ["ControlNet", "AttentionInjection"])
def test_units_of_one_pass_act_in_that_pass(option, hires, kind):
    def units():
        return [Params(plain_hint((80, 160)), kind, hires=1 - plain_hint(), hr_option=option)]

    size = {} if hires else {"width": 160, "height": 80}
    plain, _, _ = controlled(units(), hires=hires, **size)
    tiled, _, _ = controlled(units(), {**TILES, "tile_height_lp": 8}, hires=hires, **size)
    close(tiled, plain)
    off = option == ("Low res only" if hires else "High res only")
    assert (differ(tiled, controlled([], hires=hires, **size)[0]) < 3e-5) == off


def test_an_adapter_keeps_no_features_from_call_to_call():
    """Neither those of a job before, nor the last tile's for whoever draws next."""
    fresh, used = Adapter(), Adapter()
    used.control = torch.ones(1, 1, 16, 16)
    expected, _, _ = controlled([Params(hint_of(1), "T2I_Adapter", model=fresh)])
    tiled, _, _ = controlled([Params(hint_of(1), "T2I_Adapter", model=used)], TILES)
    close(tiled, expected)
    assert used.control is None


def test_a_reference_beside_a_map_does_not_choose_the_pass():
    """In the hires pass the last unit with two hints decides which pass it is: by their sizes, not by the tile's."""

    def units():
        other = {"hires": 1 - plain_hint(), "preprocessor": "reference_only"}
        return [
            Params(hint_of(6, size=(80, 160)), hires=hint_of(1), hr_option="High res only"),
            Params(plain_hint((80, 160)), "AttentionInjection", **other),
        ]

    plain, _, _ = controlled(units(), hires=True)
    close(controlled(units(), TILES, hires=True)[0], plain)


@pytest.mark.parametrize("size", [(80, 160), (320, 640), (96, 400)])
def test_a_hint_of_another_size_is_resized_once_on_the_canvas(size):
    unit = Params(hint_of(1, size=size))
    fitted = interpolate(unit.hint_cond, size=(160, 320), mode="bilinear", antialias=True)
    tiled, _, _ = controlled([unit], TILES)
    close(tiled, controlled([Params(fitted)])[0])


@pytest.mark.parametrize("regions", [[], HALVES])
def test_an_inpainting_checkpoint_sees_the_crop_of_the_masked_picture(regions):
    unit = Params(inpainted(1))
    plain, _, _ = controlled([Params(inpainted(1))], in_channels=9, batch_size=2)
    tiled, _, network = controlled([unit], {**TILES, "regions": regions}, in_channels=9, batch_size=2)
    close(tiled, plain)
    assert network.encoded == [(1, 3, 160, 320)]


def test_each_unit_for_its_own_picture_is_drawn_one_tile_at_a_time():
    script = {"ui_batch_option_state": ["Each ControlNet unit for each image in a batch", False]}
    controlled([Params(hint_of(1)), Params(hint_of(2))], {**TILES, "tile_batch": 4}, script=script, batch_size=2)
    assert {shape[0] for shape, _ in shared.sd_model.calls} == {4}


def test_units_of_the_whole_picture_are_left_alone_and_named():
    units = [
        Params({"embedding": 1}, kind="IPAdapter"), Params(hint_of(1), kind="AttentionInjection"), Params(hint_of(2)),
        Params(torch.zeros(1, 1280), kind="ReVision"), Params(hint_of(3), kind="InstantID"),
        Params(hint_of(4), kind="Controlllite"), Params([{}, {}], kind="T2I_StyleAdapter"),
    ]  # fmt: skip
    _, p, _ = controlled(units, TILES)
    assert units[0].sets == units[1].sets == 0
    kinds = "IPAdapter, AttentionInjection, ReVision, InstantID, Controlllite, T2I_StyleAdapter"
    assert p.comments[0].endswith(f"whole picture: {kinds}")


@pytest.mark.parametrize("main_memory", [False, True])
@pytest.mark.parametrize("fail_at", [None, 2])
@pytest.mark.parametrize("hires", [False, True])
def test_afterwards_the_units_are_as_before(fail_at, main_memory, hires):
    shared.opts.tiled_diffusion_hints_in_main_memory = main_memory
    hint, later, mask, region_mask = hint_of(1), hint_of(2), hint_of(3)[:, :1], hint_of(4)[:, :1]
    unit = Params(hint, hires=later, mask=mask, preprocessor="tile_colorfix", weight=0.4)
    lite = Params(hint, "Controlllite", model=Lite(hint))
    image = lite.control_model.modules["one"].cond_image
    adapter = Params(hint, "T2I_Adapter", model=Adapter())
    ip = Params({}, "IPAdapter", mask=region_mask, model=IpAdapter(mask=region_mask, size=(20, 40)))
    unit.used_hint_cond, unit.used_hint_cond_latent = later, later[:, :, ::8, ::8]
    made = unit.used_hint_cond_latent
    cache = ip.control_model.cache
    units, settings = [unit, lite, adapter, ip], {**TILES, "regions": [OFF]}
    if fail_at is None:
        controlled(units, settings, hires=hires)
    else:
        with pytest.raises(RuntimeError, match="on purpose"):
            controlled(units, settings, fail_at=fail_at, hires=hires)
    assert unit.hint_cond is hint
    assert unit.hr_hint_cond is later
    assert unit.effective_region_mask is mask
    assert unit.guidance_stopped is False
    assert unit.weight == 0.4
    assert unit.used_hint_cond is later
    assert unit.used_hint_cond_latent is made
    assert lite.control_model.modules["one"].cond_image is image
    assert adapter.control_model.control is None
    assert ip.control_model.cache is cache
    assert ip.control_model.effective_region_mask is region_mask


def test_an_error_within_a_call_restores_them_too(monkeypatch):
    unit, hint = Params(hint_of(1)), hint_of(1)
    unit.hint_cond = hint

    def broken(*args):
        raise ValueError("within the model")

    monkeypatch.setattr("tests.webui.control_stand_in.added", broken)
    with pytest.raises(ValueError, match="within the model"):
        controlled([unit], {**TILES, "regions": [OFF]})
    assert unit.hint_cond is hint
    assert unit.hr_hint_cond is unit.used_hint_cond is None
    assert (unit.weight, unit.guidance_stopped) == (1.0, False)


class Elsewhere(torch.Tensor):
    """A tensor that says it lies on a device without memory of its own; what really goes there has no values."""

    device = torch.device("meta")

    def cpu(self):
        return self.as_subclass(torch.Tensor)


def test_only_crops_leave_main_memory():
    hint, later, mask = (hint_of(seed).as_subclass(Elsewhere) for seed in (1, 2, 3))
    lite = Lite(hint.cpu())
    lite.modules["one"].cond_image = lite.modules["two"].cond_image = (hint.cpu() * 2 - 1).as_subclass(Elsewhere)
    unit = Params(hint, "Controlllite", hires=later, mask=mask[:, :1].as_subclass(Elsewhere), model=lite)
    tiles, every = ControlTiles([unit], on_cpu=True), ("hint_cond", "hr_hint_cond", "effective_region_mask")
    tiles.begin(Extent(20, 40), Extent(16, 16))
    for name in every:
        assert type(getattr(unit, name)) is torch.Tensor, name
        assert getattr(unit, name).device.type == "cpu", name
    assert {m.cond_image.device.type for m in lite.modules.values()} == {"cpu"}
    rows = ModelRows([Tile(Box(0, 8, 16, 16), torch.ones(16, 16))], [0], None, [True])
    with tiles.model_call(rows, torch.zeros(1, 4, 16, 16), {}):
        assert unit.hint_cond.device.type == unit.effective_region_mask.device.type == "meta"
        assert unit.hint_cond.shape[-2:] == (128, 128)
    assert type(unit.hint_cond) is torch.Tensor
    tiles.restore()
    assert {getattr(unit, name).device.type for name in every} == {"meta"}
    assert {m.cond_image.device.type for m in lite.modules.values()} == {"meta"}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_hints_lie_in_main_memory_and_come_back():
    hint = hint_of(1).cuda()
    expected = hint.cpu()
    unit = Params(hint, hires=hint_of(2).cuda(), mask=hint_of(3)[:, :1].cuda())
    tiles = ControlTiles([unit], on_cpu=True)
    tiles.begin(Extent(20, 40), Extent(16, 16))
    assert (
        unit.hint_cond.device.type == unit.hr_hint_cond.device.type == unit.effective_region_mask.device.type == "cpu"
    )
    tiles.restore()
    assert (
        unit.hint_cond.device.type == unit.hr_hint_cond.device.type == unit.effective_region_mask.device.type == "cuda"
    )
    assert torch.equal(unit.hint_cond.cpu(), expected)


def test_without_the_extension_nothing_is_asked_of_it():
    out, p, network = controlled([], TILES)
    assert out.isfinite().all()
    assert not p.comments
    assert not network.encoded
