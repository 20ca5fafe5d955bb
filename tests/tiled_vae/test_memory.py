"""Predicted peaks are those that are counted."""

import pytest
import torch
import torch.nn.functional as F

from bench.memory import peak_bytes
from bench.vae import build, exact, lean_attention, peak
from tests.tiled_vae.models import Decoder, Encoder, tiny, tiny_diffusers
from tiled_vae import Memory, TiledVaeSettings, plan
from tiled_vae.attention import writes_scores
from tiled_vae.layout import read_decoder

MUCH = Memory(2**50, 2**50)


@pytest.fixture(scope="module")
def vae():
    return build((32, 64, 64, 64), 8).to("meta")


@pytest.mark.parametrize("lean", [True, False])
@pytest.mark.parametrize("side", [40, 64])
@pytest.mark.parametrize(
    "wish",
    [exact(32, offload="host"), exact(32, offload="device"), exact(128, offload="device"),
     TiledVaeSettings("untiled")],
)  # fmt: skip
def test_decoder(vae, wish, side, lean):
    assert 0.9 <= peak(vae.decoder, side, wish, lean)[1] <= 1.1


@pytest.mark.parametrize("wish", [exact(16, offload="host"), exact(16, offload="device"), TiledVaeSettings("untiled")])
@pytest.mark.parametrize("side", [200, 512])
def test_encoder(vae, wish, side):
    assert 0.9 <= peak(vae.encoder, side, wish)[1] <= 1.1


class HoardingEncoder(Encoder):
    """As in ldm, where a list keeps every block's result."""

    def forward(self, x):
        every = [self.conv_in(x)]
        for i, level in enumerate(self.down):
            for block in level.block:
                every.append(block(every[-1]))
            if i < len(self.down) - 1:
                every.append(level.downsample(every[-1]))
        h = self.mid.block_2(self.mid.attn_1(self.mid.block_1(every[-1])))
        return self.conv_out(F.silu(self.norm_out(h)))


@pytest.mark.parametrize(("net", "channels", "side"), [(HoardingEncoder, 3, 256), (Decoder, 4, 40)])
def test_the_host_s_own_pass_of_ldm(net, channels, side):
    made = net(channels=(32, 64, 64, 64), blocks=2, groups=8).requires_grad_(False).to("meta")
    x = torch.empty(1, channels, side, side, device="meta")
    predicted = plan(made, (side, side), TiledVaeSettings("untiled"), memory=MUCH).peak.device - 4 * x.numel()
    assert 0.9 <= predicted / peak_bytes(lambda: made(x)) <= 1.1


@pytest.mark.parametrize(("vae", "expected"), [(tiny(), True), (tiny(strict=True), True), (tiny_diffusers(torch.float32), False)])
def test_whether_scores_are_written_is_seen(vae, expected):
    attention = next(s.attention for s in read_decoder(vae.decoder).segments if s.attention)
    assert writes_scores(attention) == expected
    attention.module, attention.writes_scores = torch.nn.Linear(2, 2), None
    assert writes_scores(attention), "one that cannot be tried may write them"


@pytest.mark.parametrize(("net", "side"), [("decoder", 128), ("encoder", 1024)])
def test_auto_takes_fast_only_where_exact_fits_nowhere(vae, net, side):
    def planned(free, *wish):
        with lean_attention():
            return plan(getattr(vae, net), (side, side), TiledVaeSettings(*wish), memory=free)

    modes = set()
    for device in range(22, 34):
        for host in (2**20, 2**34):
            free = Memory(2**device, host)
            auto, exact_one = planned(free, "auto"), planned(free, "exact")
            modes.add(auto.mode)
            if auto.mode == "fast":
                assert exact_one.store == "recompute", "there was room for no other way"
            if exact_one.store != "recompute":
                assert auto.mode in ("untiled", "exact")
    assert modes == {"untiled", "exact", "fast"}


def test_fast_says_where_exact_would_be_quicker(vae):
    def told(offload, free):
        return plan(vae.decoder, (64, 64), TiledVaeSettings("fast", offload=offload), memory=free).describe()

    assert "exact would fit and is quicker" in told("auto", MUCH)
    assert "quicker" not in told("auto", Memory(2**20, 2**20))
    assert "quicker" not in told("host", MUCH)
