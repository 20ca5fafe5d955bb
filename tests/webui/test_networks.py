"""LoRAs in regions' prompts: each acts in its region alone, as strongly as it says there, and the main prompt's do everywhere."""

import sys
from types import SimpleNamespace

import pytest
import torch
from modules import shared

from tests.webui.host_model import FAMILIES, Job, Model, activate, run

TILES = {"tile_width": 128, "tile_height": 128, "overlap": 48, "version": 2}
NAMES = {"leaves": 1.0, "gold": 10.0, "style": 100.0}


class Adapted(Model):
    """Texts and predictions are pushed by the networks that act, each by its own amount."""

    @staticmethod
    def push(which):
        return sum(NAMES[net.name] * getattr(net, which) for net in sys.modules["networks"].loaded_networks)

    def encoded(self, text):
        return super().encoded(text) + 0.01 * self.push("te_multiplier")

    def predict(self, x, sigma, cond):
        return super().predict(x, sigma, cond) + 0.001 * self.push("unet_multiplier")


@pytest.fixture(autouse=True)
def networks(monkeypatch):
    """The built-in extension's module."""
    module = SimpleNamespace(loaded_networks=[], load_networks=None)
    monkeypatch.setitem(sys.modules, "networks", module)
    shared.sd_model = Adapted()
    return module


def columns(left, right, **more):
    return {**TILES, "compose": 1.0, "regions": [
        {"prompt": left, "w": 0.5, "feather": 0, **more}, {"prompt": right, "x": 0.5, "w": 0.5, "feather": 0}]}  # fmt: skip


def drawn(settings, **more):
    p = Job(args=(True, settings), **more)
    return run(p), p


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("batch", [1, 2])
def test_a_lora_acts_in_its_region_alone(family, batch):
    more = {"sampler_name": family, "batch_size": batch}
    left, _ = drawn(columns("a tree <lora:leaves:0.5>", "a dog"), **more)
    right, _ = drawn(columns("a tree", "a dog <lora:gold:0.2>"), **more)
    none, _ = drawn(columns("a tree", "a dog"), **more)
    both, p = drawn(columns("a tree <lora:leaves:0.5>", "a dog <lora:gold:0.2>"), **more)
    assert torch.equal(both[..., :20], left[..., :20])
    assert torch.equal(both[..., 20:], right[..., 20:])
    assert torch.equal(left[..., 20:], none[..., 20:])
    assert not torch.equal(left[..., :20], none[..., :20])
    assert p.comments == []


def test_over_everything_it_is_as_in_the_main_prompt():
    whole = {**TILES, "regions": [{"prompt": "a tree <lora:leaves:0.5:0.25>", "feather": 0}]}
    expected = run(Job(prompt="a tree <lora:leaves:0.5:0.25>"))
    torch.testing.assert_close(drawn(whole)[0], expected, atol=2e-6, rtol=0)


def test_the_main_prompts_networks_act_everywhere_and_a_region_may_weigh_them_otherwise(networks):
    main = "a house <lora:style:0.3>"
    both, _ = drawn(columns("a tree", "a dog <lora:style:0.1>"), prompt=main)
    assert [(net.name, net.unet_multiplier) for net in networks.loaded_networks] == [("style", 0.3)]
    left, _ = drawn(columns("a tree", "a dog"), prompt=main)
    weaker, _ = drawn(columns("a tree", "a dog"), prompt="a house <lora:style:0.1>")
    assert torch.equal(both[..., :20], left[..., :20])
    assert torch.equal(both[..., 20:], weaker[..., 20:])


def test_two_regions_weigh_one_network_differently():
    both, _ = drawn(columns("a tree <lora:leaves:0.5>", "a dog <lora:leaves:te=1:unet=0.1>"))
    left, _ = drawn(columns("a tree <lora:leaves:0.5>", "a dog"))
    right, _ = drawn(columns("a tree", "a dog <lora:leaves:1:0.1>"))
    assert torch.equal(both[..., :20], left[..., :20])
    assert torch.equal(both[..., 20:], right[..., 20:])


@pytest.mark.parametrize("at", [0, 2])
def test_after_an_exception_the_main_prompts_networks_are_as_they_were(at, networks):
    p = Job(args=(True, columns("a tree <lora:leaves:0.5>", "a dog")), prompt="a house <lora:style:0.3>", fail_at=at)
    with pytest.raises(RuntimeError, match="broken on purpose"):
        run(p)
    assert [(net.name, net.te_multiplier) for net in networks.loaded_networks] == [("style", 0.3)]


def test_without_networks_in_regions_the_hosts_list_is_left_alone(networks):
    p = Job(args=(True, columns("a tree", "a dog")), prompt="a house <lora:style:0.3>")
    run(p)
    kept = networks.loaded_networks
    assert [net.name for net in kept] == ["style"]
    activate(p)
    assert networks.loaded_networks is kept


def test_a_network_that_was_not_found_is_passed_over():
    NAMES["missing"] = 0.0
    out, _ = drawn(columns("a tree <lora:missing:1>", "a dog"))
    assert torch.equal(out, drawn(columns("a tree", "a dog"))[0])
    del NAMES["missing"]
