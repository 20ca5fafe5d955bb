"""Exact mode equals the untiled pass; its parts keep their promises."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tiled_vae.models import noise, tiny, tiny_diffusers
from tiled_vae import TiledVaeSettings, attention, decode, encode
from tiled_vae.executor import Run, State
from tiled_vae.group_norm import Moments, measure
from tiled_vae.layout import read_decoder
from tiled_vae.tiles import Box, Span, grid


def exact(tile, factor=4, **more):
    return TiledVaeSettings("exact", decoder_tile_lp=tile, encoder_tile_px=max(tile * factor, 64), **more)


@pytest.mark.parametrize("offload", ["device", "host", "recompute"])
@pytest.mark.parametrize("shape", [(2, 4, 9, 13), (1, 4, 30, 8), (1, 4, 5, 40)])
def test_decode_equals_the_untiled_pass(shape, offload):
    vae, z = tiny(), noise(*shape)
    assert (decode(vae.decoder, z, exact(8, offload=offload)) - vae.decoder(z)).abs().max() < 1e-10


@pytest.mark.parametrize("offload", ["device", "host", "recompute"])
@pytest.mark.parametrize("shape", [(2, 3, 70, 81), (1, 3, 131, 40), (1, 3, 37, 150)])
def test_encode_equals_the_untiled_pass(shape, offload):
    vae, x = tiny(), noise(*shape)
    assert (encode(vae.encoder, x, exact(16, offload=offload)) - vae.encoder(x)).abs().max() < 1e-10


@pytest.mark.parametrize("layers", [0, 1])
def test_diffusers_layout(layers):
    vae = tiny_diffusers(layers=layers)
    z, x = noise(1, 4, 11, 18), noise(1, 3, 70, 71)
    assert (decode(vae.decoder, z, exact(8)) - vae.decoder(z)).abs().max() < 1e-10
    assert (encode(vae.encoder, x, exact(32)) - vae.encoder(x)).abs().max() < 1e-10


@settings(max_examples=12, deadline=None)
@given(h=st.integers(1, 22), w=st.integers(1, 22), tile=st.integers(8, 24), blocks=st.integers(0, 2))
def test_any_shape_and_tile(h, w, tile, blocks):
    vae = tiny(channels=(4, 4), blocks=blocks, groups=2)
    z, x = noise(1, 4, h, w), noise(1, 3, h * 2 + 1, w * 3 + 1)
    assert (decode(vae.decoder, z, exact(tile)) - vae.decoder(z)).abs().max() < 1e-10
    assert (encode(vae.encoder, x, exact(tile, 2)) - vae.encoder(x)).abs().max() < 1e-10


@pytest.mark.parametrize("offload", ["host", "recompute"])
def test_ring(offload):
    vae, z = tiny(), noise(1, 4, 12, 20)
    ring = exact(8, wrap_x=True, wrap_y=True, offload=offload)
    rolled = decode(vae.decoder, z.roll((3, 7), (2, 3)), ring)
    assert (rolled - decode(vae.decoder, z, ring).roll((12, 28), (2, 3))).abs().max() < 1e-10
    x = noise(1, 3, 64, 96)
    rolled = encode(vae.encoder, x.roll((8, 20), (2, 3)), ring)
    assert (rolled - encode(vae.encoder, x, ring).roll((2, 5), (2, 3))).abs().max() < 1e-10


def test_a_host_with_circular_convolutions_is_a_ring():
    vae, z = tiny(), noise(1, 4, 12, 20)
    ring = decode(vae.decoder, z, exact(8, wrap_x=True, wrap_y=True))
    for module in vae.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.padding_mode = "circular"
            module._reversed_padding_repeated_twice = [p for p in module.padding for _ in (0, 1)]
    assert (decode(vae.decoder, z, exact(8)) - vae.decoder(z)).abs().max() < 1e-10
    assert (vae.decoder(z) - ring).abs().max() < 1e-10


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_attention_in_chunks_is_the_whole_attention(monkeypatch, rows, strict):
    vae, z = tiny(strict=strict), noise(1, 4, 9, 7)
    before = dict(vae.decoder.mid.attn_1._modules)
    monkeypatch.setattr(attention, "chunk_rows", lambda *a: rows)
    assert (decode(vae.decoder, z, exact(8)) - vae.decoder(z)).abs().max() < 1e-12
    assert vae.decoder.mid.attn_1._modules == before


def test_attention_of_diffusers_in_chunks(monkeypatch):
    vae, z = tiny_diffusers(), noise(1, 4, 9, 7)
    monkeypatch.setattr(attention, "chunk_rows", lambda *a: 2)
    assert (decode(vae.decoder, z, exact(8)) - vae.decoder(z)).abs().max() < 1e-12
    monkeypatch.setattr(attention, "_host_can", lambda *a: False)
    assert (decode(vae.decoder, z, exact(8)) - vae.decoder(z)).abs().max() < 1e-12


def test_too_long_attention_takes_fewer_keys_and_warns(caplog):
    vae, z = tiny(), noise(1, 4, 12, 12)
    out = decode(vae.decoder, z, exact(8, attention_tokens=40))
    assert out.shape == (1, 3, 48, 48)
    assert "too long to be exact" in caplog.text


def test_merged_moments_are_those_of_the_whole():
    x = noise(1, 8, 20, 24) + torch.linspace(0, 50, 24, dtype=torch.float64)
    tiles = [measure(x[..., b.y.lo : b.y.hi, b.x.lo : b.x.hi], 4) for b in grid(20, 24, 7)]
    merged = tiles[0]
    for tile in tiles[1:]:
        merged = merged.merge(tile)
    whole = x.unflatten(1, (4, 2))
    assert merged.values == 2 * 20 * 24
    assert (merged.mean - whole.mean((0, 2, 3, 4))).abs().max() < 1e-12
    assert (merged.variance - whole.var((0, 2, 3, 4), correction=0)).abs().max() < 1e-10
    naive = sum(t.values * t.variance for t in tiles) / merged.values
    assert (naive - merged.variance).abs().min() > 10  # the mean of variances misses what lies between the tiles


def test_receptive_field_is_13_latent_pixels():
    vae = tiny(channels=(2, 2, 2, 2), blocks=3, groups=1)
    for name, p in vae.decoder.named_parameters():
        p.zero_() if name.endswith("bias") else p.abs_()
    program = read_decoder(vae.decoder)
    run = Run(program, (40, 40), 40)
    start, stop = program.tiled.start, program.tiled.stop
    frozen = {k: Moments(1, torch.zeros(1).double(), torch.ones(1).double()) for k in range(start, stop)}
    whole = Box(Span(0, 320), Span(0, 320))
    h = torch.zeros(1, 2, 40, 40, dtype=torch.float64)  # stays zero, so that the faintest influence shows
    other = h.clone()
    other[..., 20, 20] += 1
    a, b = (run.tile(start, stop, State(x), frozen, whole).main for x in (h, other))
    rows = (a != b).any(1)[0].any(1).nonzero()
    assert 8 * 7 <= rows.min() < 8 * 8
    assert 8 * 33 <= rows.max() < 8 * 34
    want = Box(Span(160, 168), Span(160, 168))
    assert run.op_boxes(start, stop, want)[0] == Box(Span(7, 34), Span(7, 34))


@pytest.mark.parametrize(("h", "w", "tile"), [(37, 53, 16), (200, 24, 64), (5, 90, 8), (1, 1, 8)])
def test_tiles_partition_the_picture(h, w, tile):
    count = torch.zeros(h, w)
    for box in grid(h, w, tile):
        count[box.y.lo : box.y.hi, box.x.lo : box.x.hi] += 1
        assert max(box.y.length, box.x.length) <= tile
    assert (count == 1).all()


def test_a_constant_latent_has_the_same_interior_in_all_tiles():
    vae = tiny()
    out = decode(vae.decoder, torch.ones(1, 4, 48, 48, dtype=torch.float64), exact(8))
    inner = out[..., 84:108, 84:108]
    assert (inner - inner[..., 4:8, 4:8].repeat(1, 1, 6, 6)).abs().max() < 1e-10


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_lower_precision_and_channels_last(dtype):
    vae, z = tiny(dtype), noise(1, 4, 13, 21, dtype=dtype).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        out, want = decode(vae.decoder, z, exact(8)), vae.decoder(z)
    assert out.dtype == dtype
    tolerance = 1e-4 if dtype == torch.float32 else 0.05
    assert (out - want).abs().max() <= tolerance * (want.max() - want.min())


def test_threads_do_not_disturb_each_other():
    vae = tiny()
    zs = [noise(1, 4, 10 + i, 14, seed=i) for i in range(4)]
    with ThreadPoolExecutor(4) as pool:
        outs = list(pool.map(lambda z: decode(vae.decoder, z, exact(8)), zs))
    for z, out in zip(zs, outs, strict=True):
        assert (out - vae.decoder(z)).abs().max() < 1e-10
