"""Plans, memory, NaN, interruption, swapping, and every error."""

import pytest
import torch
from torch import nn

from tests.tiled_vae.models import noise, tiny, tiny_diffusers
from tiled_vae import (
    Callbacks,
    Interrupted,
    Memory,
    TiledVaeError,
    TiledVaeSettings,
    decode,
    encode,
    executor,
    plan,
    swapped,
)
from tiled_vae import vae as vae_module

MUCH = Memory(2**40, 2**40)


def test_auto_takes_the_first_that_fits():
    net = tiny_diffusers().decoder
    need = plan(net, (256, 256), memory=MUCH).peak.device
    fast = plan(net, (256, 256), TiledVaeSettings("fast", decoder_tile_lp=16, offload="host"), memory=MUCH).peak
    modes = [(need * 2, 2**40), (need // 3, 2**40), (fast.device * 6 // 5, fast.host * 6 // 5)]
    found = [plan(net, (256, 256), memory=Memory(*m)) for m in modes]
    assert [p.mode for p in found] == ["untiled", "exact", "fast"]
    assert "untiled would need" in found[1].describe()
    assert plan(net, (256, 256), TiledVaeSettings(wrap_x=True), memory=MUCH).mode == "exact"


def test_fast_is_near_and_says_how_near():
    net, z, lines = tiny().decoder, noise(1, 4, 40, 60), []
    out = decode(net, z, TiledVaeSettings("fast", decoder_tile_lp=16), Callbacks(say=lines.append))
    want = net(z)
    assert (out - want).square().mean().sqrt() < 0.1 * want.std()
    assert "estimated error" in lines[-1]
    x = noise(1, 3, 200, 260)
    out, want = encode(tiny().encoder, x, TiledVaeSettings("fast", encoder_tile_px=64)), tiny().encoder(x)
    assert (out - want).square().mean().sqrt() < 0.1 * want.std()


def test_out_of_memory_takes_smaller_plans_then_names_the_numbers(monkeypatch):
    net, z, tried = tiny().decoder, noise(1, 4, 20, 20), []
    run, fails = vae_module._run, [3]

    def failing(*args):
        fails[0] -= 1
        if fails[0] >= 0:
            raise RuntimeError("CUDA out of memory")
        return run(*args)

    monkeypatch.setattr(vae_module, "_run", failing)
    out = decode(net, z, TiledVaeSettings("exact"), Callbacks(on_plan=tried.append), memory=MUCH)
    assert (out - net(z)).abs().max() < 1e-10
    assert [p.store for p in tried] == ["device", "host", "host", "host"]
    assert [p.tile_lp for p in tried] == [256, 256, 128, 64]
    fails[0] = 99
    with pytest.raises(TiledVaeError, match=r"160x160|80x80 px with the smallest tile, 16 latent px, needs about .* GiB"):
        decode(net, z, TiledVaeSettings("exact"), memory=MUCH)


def test_other_runtime_errors_are_not_swallowed(monkeypatch):
    def failing(*args):
        raise RuntimeError("something else")

    monkeypatch.setattr(vae_module, "_run", failing)
    with pytest.raises(RuntimeError, match="something else"):
        decode(tiny().decoder, noise(1, 4, 8, 8))


@pytest.mark.parametrize("mode", ["untiled", "exact", "fast"])
def test_nan_in_half_is_repeated_in_a_wider_type(mode):
    net, z, lines = tiny(torch.float16).decoder, noise(1, 4, 10, 10, dtype=torch.float16), []
    with torch.no_grad():
        net.conv_in.weight.mul_(2e5)  # overflows in float16
    out = decode(net, z, TiledVaeSettings(mode), Callbacks(say=lines.append))
    assert out.isfinite().all()
    assert out.dtype == torch.float16
    assert net.conv_in.weight.dtype == torch.float16
    assert any("once more in float32" in line for line in lines)
    assert decode(net, z, TiledVaeSettings(mode, retry_nan=False)).view(-1)[0].isnan()


@pytest.mark.parametrize("mode", ["untiled", "exact", "fast"])
def test_a_nan_is_never_hidden(mode):
    z = noise(1, 4, 20, 20)
    z[..., 15, 15] = float("nan")
    assert decode(tiny().decoder, z, TiledVaeSettings(mode, decoder_tile_lp=8)).view(-1)[0].isnan()


@pytest.mark.parametrize("mode", ["untiled", "exact", "fast"])
def test_interrupt_stops_within_one_tile(mode):
    done = []
    stop = Callbacks(lambda i, n: done.append((i, n)), lambda: len(done) >= (mode != "untiled"))
    with pytest.raises(Interrupted):
        decode(tiny().decoder, noise(1, 4, 20, 20), TiledVaeSettings(mode, decoder_tile_lp=8), stop)
    assert len(done) == (mode != "untiled")


@pytest.mark.parametrize("offload", ["host", "recompute"])
def test_progress_ends_at_its_total(offload):
    seen = []
    wish = TiledVaeSettings("exact", decoder_tile_lp=8, offload=offload)
    decode(tiny().decoder, noise(1, 4, 20, 20), wish, Callbacks(lambda i, n: seen.append((i, n))))
    assert [i for i, _ in seen] == list(range(1, len(seen) + 1))
    assert {n for _, n in seen} == {len(seen)}


def test_swapped_tiles_and_restores():
    vae, z = tiny_diffusers(), noise(1, 4, 20, 20)
    want = vae.decode(z).sample
    seen = []
    with swapped(vae, TiledVaeSettings("exact", decoder_tile_lp=8), Callbacks(on_plan=seen.append)):
        got = vae.decode(z).sample
        with swapped(vae, TiledVaeSettings("untiled"), Callbacks(on_plan=seen.append)):
            vae.decode(z)
        vae.encode(noise(1, 3, 40, 40))
    assert (got - want).abs().max() < 1e-10
    assert [p.mode for p in seen] == ["exact", "untiled", "exact"]
    assert "forward" not in vae.decoder.__dict__
    assert "forward" not in vae.encoder.__dict__


@pytest.mark.parametrize("stage", ["load", "note", "settle", "attention", "room"])
def test_an_exception_at_any_stage_leaves_the_vae_as_it_was(monkeypatch, stage):
    vae, z = tiny(), noise(1, 4, 10, 10)
    parts = [(m, dict(m._modules), set(m.__dict__)) for m in vae.modules()]

    def failing(*args):
        raise KeyError(stage)

    monkeypatch.setattr(executor.Run, stage, failing)
    with pytest.raises(KeyError, match=stage), swapped(vae, TiledVaeSettings("exact")):
        vae.decode(z)
    assert all(m._modules == before and set(m.__dict__) == names for m, before, names in parts)


def test_a_forward_that_was_there_is_put_back_and_one_on_top_is_left():
    vae, z = tiny(), noise(1, 4, 10, 10)
    own = vae.decoder.forward
    vae.decoder.forward = own
    with swapped(vae, TiledVaeSettings("exact")):
        pass
    assert vae.decoder.__dict__["forward"] is own
    with swapped(vae, TiledVaeSettings("exact")):
        inner = vae.decoder.forward
        top = vae.decoder.forward = lambda x: 1 * inner(x)
    assert vae.decoder.forward is top
    assert torch.equal(vae.decode(z), own(z))


@pytest.mark.parametrize(
    ("field", "value"),
    [("mode", "slow"), ("offload", "disk"), ("encoder_tile_px", 8), ("decoder_tile_lp", -1), ("decoder_tile_lp", 1.5),
     ("attention_tokens", 0)],
)  # fmt: skip
def test_wrong_settings(field, value):
    with pytest.raises(TiledVaeError, match=f"{field} is .* may be"):
        TiledVaeSettings(**{field: value})


def test_untiled_knows_no_ring():
    with pytest.raises(TiledVaeError, match="wrap_x"):
        TiledVaeSettings("untiled", wrap_x=True)


@pytest.mark.parametrize(
    ("x", "match"),
    [(noise(4, 8, 8), "4 channels"), (noise(1, 3, 8, 8), "4 channels"), (noise(1, 4, 0, 8), "needed"),
     (torch.ones(1, 4, 8, 8, dtype=torch.long), "floating"), (noise(1, 4, 8, 8).requires_grad_(), "gradients")],
)  # fmt: skip
def test_wrong_input(x, match):
    with pytest.raises(TiledVaeError, match=match):
        decode(tiny().decoder, x)


def test_wrong_sizes():
    with pytest.raises(TiledVaeError, match="too small"):
        encode(tiny().encoder, noise(1, 3, 2, 40))
    with pytest.raises(TiledVaeError, match="multiple of 4"):
        encode(tiny().encoder, noise(1, 3, 40, 41), TiledVaeSettings(wrap_x=True))


def broken(change):
    vae = tiny()
    change(vae.decoder)
    return vae


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda d: delattr(d, "up"), "neither 'up'"),
        (lambda d: delattr(d, "mid"), "no 'mid'"),
        (lambda d: delattr(d, "conv_in"), "no 'conv_in'"),
        (lambda d: delattr(d.mid, "attn_1"), "no 'attn_1'"),
        (lambda d: delattr(d.mid.attn_1, "q"), "no 'q'"),
        (lambda d: delattr(d.up[0].block[0], "conv2"), "no 'conv2'"),
        (lambda d: delattr(d.up[1], "upsample"), "no 'upsample'"),
        (lambda d: setattr(d, "norm_out", nn.Identity()), "only GroupNorm"),
        (lambda d: setattr(d, "conv_out", nn.Conv2d(4, 3, 3)), "changes the size"),
        (lambda d: setattr(d, "conv_in", nn.Conv2d(4, 8, 3, stride=2)), "stride 1"),
        (lambda d: setattr(d.up[1].upsample, "conv", nn.Conv2d(8, 8, 5)), "is known"),
        (lambda d: d.up[0].attn.append(nn.Identity()), "attention outside"),
        (lambda d: setattr(d, "give_pre_end", True), "give_pre_end"),
        (lambda d: setattr(d.up[1].block[0], "nin_shortcut", nn.Conv2d(8, 8, 3)), "shortcut"),
    ],
)
def test_an_unknown_layout_is_refused_by_name(change, match):
    vae = broken(change)
    with pytest.raises(TiledVaeError, match=match), swapped(vae):
        pass
    assert "forward" not in vae.encoder.__dict__


def test_an_object_without_decoder_is_refused():
    with pytest.raises(TiledVaeError, match="no 'encoder'"), swapped(nn.Linear(1, 1)):
        pass
