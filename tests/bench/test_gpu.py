"""The section for graphics cards runs to its end on a processor, and its instruments see what they must see."""

import json
import math

import pytest
import torch

from bench.gpu import PARTS, measured, run
from bench.gpu.simulated import simulated
from bench.gpu.stage import UNETS, Stage


def test_all_parts_run_in_small(tmp_path):
    out = run(report=tmp_path / "gpu.json", seconds=math.inf, part_seconds=math.inf)
    assert json.loads((tmp_path / "gpu.json").read_text("utf-8")) == out
    assert list(out["parts"]) == list(PARTS)
    assert {name: rows["error"] for name, rows in out["parts"].items() if "error" in rows} == {}
    assert all(out["parts"].values())
    assert max(out["parts"]["waits"].values()) <= 2
    assert all(out["parts"]["equality"].values())
    assert 0 < out["parts"]["halving"]["tiles_at_once_after"] < out["parts"]["halving"]["tiles_at_once_before"]


def test_parts_can_be_chosen_and_what_time_cuts_off_is_named(tmp_path):
    out = run(["halving", "equality"], tmp_path / "gpu.json", seconds=0)
    assert list(out["parts"]) == ["halving", "equality"]
    assert out["cut_off"] == ["halving after nothing", "equality after nothing"]
    with pytest.raises(SystemExit, match="--parts: got speed, allowed are overhead, waits"):
        run(["speed"], tmp_path / "gpu.json")


def test_an_error_ends_its_part_alone():
    def part(stage):
        yield "a", 1
        raise RuntimeError("too hot\nand more")

    assert measured(part, Stage.here(), 9) == ({"a": 1, "error": "RuntimeError: too hot"}, "")


@pytest.mark.parametrize(("kind", "millions"), [("sd1", 859.5), ("sdxl", 2567.5)])
def test_networks_have_the_size_of_the_real_ones(kind, millions):
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        net = UNet2DConditionModel(**UNETS[kind])
    assert sum(p.numel() for p in net.parameters()) / 1e6 == pytest.approx(millions, abs=0.1)


def test_a_simulated_device_has_numbers_and_counts_what_makes_the_host_wait():
    with simulated() as device:
        x = torch.arange(4.0).to(device.device)
        assert device.total == 1, "to the device"
        assert (x.device.type, x.shape, (x * 2 + 1)[1:].tolist()) == ("mps", (4,), [3.0, 5.0, 7.0])
        assert device.total == 2, "to the host"
        assert float(x.sum()) == 6
        assert bool((x > 0).any())
        assert x[x > 1].shape == (2,)
        assert x[torch.tensor([0, 2])].shape == (2,)
        x.to(device.device), x.to(torch.float16), torch.zeros(4, device=device.device) + x
        assert device.total == 6, "two numbers, a mask and an index"
        assert [x[[3, 1]].tolist(), x.new_tensor([2.0]).tolist()] == [[3.0, 1.0], [2.0]]


def test_a_simulated_device_is_as_strict_as_a_real_one():
    with simulated(refuses=(torch.float64,)) as device:
        x = torch.ones(4).to(device.device)
        with pytest.raises(RuntimeError, match="expected all tensors to be on the same device"):
            x + torch.ones(4)
        assert (x + torch.tensor(1.0)).device.type == "mps", "one number is no tensor of another device"
        with pytest.raises(TypeError, match="float64"):
            x.double()
        with pytest.raises(TypeError, match="float64"):
            torch.ones(2, dtype=torch.float64).to(device.device)
        assert torch.ones(2, dtype=torch.float64).sum() == 2, "in main memory there are such numbers"
