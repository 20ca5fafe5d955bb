"""What SD 3 and Flux are told of where tiles lie: in the canvas, a tile's tokens are those of the untiled picture."""

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from tests.standalone.test_flow import ONE, TILES, WIDE, latents
from tests.standalone.test_flow_control import controlled, plain
from tests.standalone.test_flow_control import latents as controlled_latents
from tests.standalone.tiny import flow_model
from tiled_diffusion.engine.dilated import Dilated
from tiled_diffusion.engine.geometry import Box, Extent
from tiled_diffusion.engine.model import ModelTraits
from tiled_diffusion.engine.positions import CanvasPositions, Corner
from tiled_diffusion.engine.view import Reference, across_pictures, ring
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.values import Region, Settings
from tiled_diffusion.standalone.flow import places
from tiled_diffusion.standalone.sampling import make_planner

KINDS = ("sd3", "flux", "schnell")
CANVAS = Extent(20, 40)
IN_CANVAS = replace(TILES, positions="canvas")
BOXES = [Box(0, 0, 16, 16), Box(4, 24, 16, 16), Box(0, 10, 12, 16)]


def test_who_is_told():
    flow = ModelTraits(multiple=2, prediction="flow")
    assert CanvasPositions.wanted("tile", flow, CANVAS) is None
    assert CanvasPositions.wanted("canvas", ModelTraits(), CANVAS) is None
    assert CanvasPositions.wanted("canvas", flow, CANVAS) == CanvasPositions(CANVAS, 2, 8)


@pytest.mark.parametrize(
    ("view", "corner"),
    [
        (Box(4, 24, 16, 16), Corner(2, 12)),
        (Box(4, 30, 16, 16), Corner(2, 15)),
        (Box(4, 32, 16, 16), Corner(2, -4)),
        (ring(Box(4, 30, 16, 16), CANVAS), Corner(2, 15)),
        (ring(Box(4, 34, 16, 16), CANVAS), Corner(2, -3)),
        (across_pictures(Box(4, 32, 16, 16), CANVAS), Corner(2, -4)),
        (Reference.of(CANVAS, Extent(10, 20)), None),
        (Dilated(torch.arange(0, 20, 2)[:, None], torch.arange(0, 40, 2)[None], canvas=CANVAS), None),
    ],
    ids=str,
)
def test_where_a_tile_begins(view, corner):
    """Of a ring's tile the larger part lies in its place; a small picture of the whole is one of its own."""
    assert CanvasPositions(CANVAS).corner(view) == corner


@pytest.mark.parametrize("box", BOXES, ids=str)
def test_places_of_a_tile_are_those_of_the_whole_picture(box):
    """Also beside others in one call; those of a small picture of the whole are what they were."""
    network = flow_model("sd3").unet
    whole, own = (network.pos_embed.cropped_pos_embed(*size) for size in (CANVAS, box.extent))
    small = Reference.of(CANVAS, box.extent)
    with CanvasPositions(CANVAS).told(network, [box, small, box], box.extent):
        told = network.pos_embed.cropped_pos_embed(*box.extent)
    y, x = box.y // 2, box.x // 2
    wanted = whole[0].unflatten(0, (10, 20))[y : y + box.h // 2, x : x + box.w // 2].flatten(0, 1)
    assert torch.equal(told, torch.stack([wanted, own[0], wanted]))


@pytest.mark.parametrize("box", BOXES, ids=str)
def test_flux_turns_a_tiles_tokens_as_those_of_the_whole_picture(box):
    network, text = flow_model("flux").unet, torch.zeros(5, 3)
    whole = [part[5:].unflatten(0, (10, 20)) for part in network.pos_embed(torch.cat([text, places(CANVAS)]))]
    own = torch.cat([text, places(box.extent)])
    with CanvasPositions(CANVAS).told(network, [box, box], box.extent):
        told = network.pos_embed(own)
    y, x = box.y // 2, box.x // 2
    for part, all_of_it, before in zip(told, whole, network.pos_embed(own), strict=True):
        assert torch.equal(part[5:], all_of_it[y : y + box.h // 2, x : x + box.w // 2].flatten(0, 1))
        assert torch.equal(part[:5], before[:5]), "the text's places"


def test_rows_of_flux_in_one_call_have_one_place():
    network = flow_model("flux").unet
    with CanvasPositions(CANVAS).told(network, BOXES[:2], Extent(16, 16)), pytest.raises(ValueError, match="different"):
        network.pos_embed(torch.cat([torch.zeros(5, 3), places(Extent(16, 16))]))


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("kind", ["sd3", "flux"])
def test_afterwards_a_model_is_as_before(kind, fails):
    embed = flow_model(kind).unet.pos_embed
    before, told = dict(embed.__dict__), CanvasPositions(CANVAS)
    with pytest.raises(RuntimeError) if fails else nullcontext():  # noqa: SIM117
        with told.told(flow_model(kind).unet, BOXES[:1], Extent(16, 16)), told.told(flow_model(kind).unet, BOXES[1:2], Extent(16, 16)):
            if fails:
                raise RuntimeError("a call that fails")
    assert embed.__dict__ == before
    assert not embed._forward_pre_hooks


@pytest.mark.parametrize("kind", KINDS)
def test_one_tile_is_the_picture_that_it_was(kind):
    assert torch.equal(latents(kind, replace(ONE, tiling=Settings(positions="canvas"))), latents(kind, ONE))


@pytest.mark.parametrize("kind", KINDS)
def test_tile_batches_do_not_matter(kind):
    out = latents(kind, replace(WIDE, tiling=IN_CANVAS))
    one = latents(kind, replace(WIDE, tiling=replace(IN_CANVAS, tile_batch=1)))
    torch.testing.assert_close(out, one, atol=1e-4, rtol=1e-4)
    assert not torch.equal(out, latents(kind, WIDE))


def test_what_tiles_of_sd3_say_together_is_nearer_to_what_the_whole_picture_says():
    whole = latents("sd3", replace(WIDE, steps=1, tiling=replace(TILES, tile_width=256)))
    off = {
        name: float((latents("sd3", replace(WIDE, steps=1, tiling=replace(TILES, positions=name))) - whole).abs().mean())
        for name in ("tile", "canvas")
    }
    assert 0 < off["canvas"] < off["tile"] / 4


@pytest.mark.parametrize(
    "tiling",
    [
        {"wrap_x": True},
        {"wrap_x": True, "wrap_y": True, "method": "spot", "overlap": 0},
        {"method": "jittered"},
        {"dilated": True},
        {"regions": (Region("a tree", x=0.4, w=0.3, bootstrap=0.5),)},
    ],
    ids=lambda tiling: ", ".join(map(str, tiling)),
)
@pytest.mark.parametrize("kind", ["sd3", "flux"])
def test_it_goes_with(kind, tiling):
    request = replace(WIDE, tiling=replace(TILES, **tiling))
    out = latents(kind, replace(request, tiling=replace(request.tiling, positions="canvas")))
    assert torch.isfinite(out).all()
    assert not torch.equal(out, latents(kind, request))


def test_a_table_that_is_too_small_is_named():
    """The tiny model's has 24 places a side, 384 px."""
    wide = replace(WIDE, width=512)
    with pytest.raises(TiledError, match=r"positions: this model has places for 384 x 384 px, and a picture of 512 x 128 px"):
        latents("sd3", replace(wide, tiling=IN_CANVAS))
    assert torch.isfinite(latents("sd3", wide)).all()
    assert torch.isfinite(latents("flux", replace(wide, tiling=IN_CANVAS))).all()
    assert "cropped_pos_embed" not in flow_model("sd3").unet.pos_embed.__dict__


@pytest.mark.parametrize("name", ["sd3", "sd3.5 large", "flux", "flux, own encoder"])
def test_controlnets_are_told_too(name):
    """A ControlNet over a canvas of one tile says what it says without; and regions may do without one."""
    control = plain(weight=0.7)
    one = {"width": 256, "tiling": replace(TILES, tile_width=256)}
    own, told = (replace(WIDE, **{**one, "tiling": replace(one["tiling"], positions=p)}) for p in ("tile", "canvas"))
    same = [controlled_latents(name, r, controlled(name, control, tiling=r.tiling)) for r in (own, told)]
    assert torch.equal(*same)
    region = Region("a tree", x=0.5, w=0.5, controlnet=False)
    request = replace(WIDE, tiling=replace(IN_CANVAS, regions=(region,)))
    out, single = (
        controlled_latents(name, r, controlled(name, control, tiling=r.tiling))
        for r in (request, replace(request, tiling=replace(request.tiling, tile_batch=1)))
    )
    torch.testing.assert_close(out, single, atol=1e-4, rtol=1e-4)
    with_own = replace(request, tiling=replace(request.tiling, positions="tile"))
    assert not torch.allclose(out, controlled_latents(name, with_own, controlled(name, control, tiling=with_own.tiling)))


def test_each_row_has_its_own_places_in_model_and_controlnet(monkeypatch):
    from diffusers.models.embeddings import PatchEmbed

    seen, asked = [], PatchEmbed.forward

    def forward(self, latent):
        if self.pos_embed is not None:
            seen.append((len(latent), len(self.cropped_pos_embed(*latent.shape[-2:]))))
        return asked(self, latent)

    monkeypatch.setattr(PatchEmbed, "forward", forward)
    request = replace(WIDE, steps=1, tiling=IN_CANVAS)
    controlled_latents("sd3", request, controlled("sd3", plain(), tiling=request.tiling))
    assert len(seen) == 2 * -(-len(make_planner(flow_model("sd3"), request).plan().tiles) // 2)
    assert all(rows == places for rows, places in seen)
