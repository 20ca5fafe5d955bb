"""Tiles on several devices, each a thread with a copy of the U-Net: the same picture, and nothing left behind."""

import threading
from contextlib import nullcontext
from types import SimpleNamespace
from typing import ClassVar

import pytest
import torch
from modules import lowvram, shared

from tests.webui.host_model import Job, Model, job, run
from tests.webui.test_jobs import CLEAN, REGION, TILES, traces
from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.model import ModelTraits
from tiled_diffusion.engine.plan import Planner
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.values import Settings
from tiled_diffusion.webui.hosts.a1111.copies import copied
from tiled_diffusion.webui.hosts.failure import JobError
from tiled_diffusion.webui.places import OPTION, check_served


class UNet(torch.nn.Module):
    """Depends on weights, so that a copy is one, and notes who asked which."""

    asked: ClassVar = []

    def __init__(self):
        super().__init__()
        self.channel_mult = (1, 2)
        self.scale = torch.nn.Parameter(torch.tensor(0.7))
        self.dropped = torch.nn.Identity()
        self.broken = False

    def forward(self, x, t, context=None):
        UNet.asked.append((id(self), threading.get_ident(), torch.is_grad_enabled()))
        if self.broken:
            raise RuntimeError("broken")
        push = context.mean(dim=1)[:, :, None, None] * self.scale
        return torch.tanh(x + push) * 0.5 + push + 0.1 * t.reshape(-1, 1, 1, 1)


class WithUNet(Model):
    def __init__(self):
        super().__init__()
        self.model = SimpleNamespace(diffusion_model=UNet(), conditioning_key="crossattn")

    def predict(self, x, sigma, cond):
        self.calls.append((x.shape, cond["c_crossattn"][0].shape))
        return self.model.diffusion_model(x, sigma, context=cond["c_crossattn"][0])


@pytest.fixture(autouse=True)
def model(fresh_host, monkeypatch):
    UNet.asked.clear()
    shared.sd_model = WithUNet()
    return shared.sd_model


def on(devices):
    setattr(shared.opts, OPTION, devices)


def unet():
    return shared.sd_model.model.diffusion_model


@torch.no_grad()
def drawn(settings, devices, **more):
    on(devices)
    return job(settings, **more)


@pytest.mark.parametrize("settings", [TILES, REGION, {**TILES, "tile_batch": 1}], ids=["tiles", "region", "one by one"])
@pytest.mark.parametrize("devices", ["cpu,cpu", "cpu, cpu, cpu"])
def test_two_devices_draw_the_same_picture(settings, devices):
    settings = {"tile_batch": 1, **settings}
    here = drawn(settings, "")
    assert {who for who, _, _ in UNet.asked} == {id(unet())}
    UNet.asked.clear()
    assert torch.equal(drawn(settings, devices), here)
    places = devices.count("cpu")
    assert len({who for who, _, _ in UNet.asked}) == len({thread for _, thread, _ in UNet.asked}) == places
    assert not any(grad for _, _, grad in UNet.asked), "a thread has modes of its own"


def test_one_device_is_as_ever():
    drawn(TILES, "cpu")
    assert {thread for _, thread, _ in UNet.asked} == {threading.get_ident()}


@pytest.mark.parametrize("fail_at", [None, 0, 2])
def test_nothing_is_left_on_the_model(fail_at):
    on("cpu,cpu")
    p = Job(args=(True, REGION), fail_at=fail_at)
    threads = set(threading.enumerate())
    if fail_at is None:
        run(p)
    else:
        with pytest.raises(RuntimeError, match="on purpose"):
            run(p)
    assert traces(p) == CLEAN
    assert "forward" not in unet().__dict__
    for thread in set(threading.enumerate()) - threads:
        thread.join(10)
        assert not thread.is_alive()


def test_one_that_breaks_is_left_out_and_the_picture_is_the_same(monkeypatch, caplog):
    here = drawn({**TILES, "tile_batch": 1}, "")
    own, original = unet(), UNet.forward

    def breaks(self, *args, **more):
        if self is not own:
            raise RuntimeError("CUDA error: device-side assert triggered")
        return original(self, *args, **more)

    monkeypatch.setattr(UNet, "forward", breaks)
    assert torch.equal(drawn({**TILES, "tile_batch": 1}, "cpu,cpu"), here)
    assert "cpu failed twice and is left out from now on: CUDA error" in caplog.text


@pytest.mark.parametrize("fits", [1, 2])
def test_where_memory_runs_out_a_place_takes_fewer_tiles(fits, monkeypatch, caplog):
    """Rows are two to a tile; on the other device there is room for fewer."""
    settings = {**TILES, "tile_batch": 3}
    here = drawn({**settings, "tile_batch": fits}, "")
    own, original, sizes = unet(), UNet.forward, []

    def small(self, x, *args, **more):
        if self is not own:
            if x.shape[0] > 2 * fits:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
            sizes.append(x.shape[0])
        return original(self, x, *args, **more)

    monkeypatch.setattr(UNet, "forward", small)
    assert torch.equal(drawn(settings, "cpu,cpu"), here)
    assert sizes
    assert caplog.text.count("Out of memory: going on with") == 1
    assert "left out" not in caplog.text


def test_a_tile_that_fits_nowhere_is_told(monkeypatch):
    def full(self, *args, **more):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(UNet, "forward", full)
    with pytest.raises(JobError, match="out of memory with a single tile of 16 x 16 latent pixels"):
        drawn({**TILES, "tile_batch": 2}, "cpu,cpu")


def test_interrupt_ends_it():
    on("cpu,cpu")
    p = Job(args=(True, {**TILES, "tile_batch": 1}))
    original, calls = UNet.forward, []

    def forward(self, *args, **more):
        calls.append(0)
        shared.state.interrupted = len(calls) >= 3
        return original(self, *args, **more)

    UNet.forward = forward
    try:
        with torch.no_grad():
            run(p)
    finally:
        UNet.forward = original
    assert len(calls) <= 3 + 4
    assert shared.state.interrupted
    assert traces(p) == CLEAN


def test_a_copy_lies_on_its_own_device_from_the_beginning(monkeypatch):
    """None of its weights is copied where the model is, and what is shared in it stays shared."""
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 2))
    module[2].weight = module[0].weight
    module.eval()
    copied_here = []
    for kind in (torch.nn.Parameter, torch.Tensor):
        monkeypatch.setattr(kind, "__deepcopy__", lambda self, memo: copied_here.append(self))
    away, here = copied(module, torch.device("meta")), copied(module, torch.device("cpu"))
    assert copied_here == []
    assert {tensor.device.type for tensor in away.state_dict().values()} == {"meta"}
    assert away[2].weight is away[0].weight
    own, others = module.state_dict(keep_vars=True), here.state_dict(keep_vars=True)
    for name, tensor in own.items():
        assert torch.equal(others[name], tensor)
        assert (type(others[name]), others[name].requires_grad) == (type(tensor), tensor.requires_grad)
        assert others[name].data_ptr() != tensor.data_ptr()
    x = torch.ones(1, 2)
    assert torch.equal(here(x), module(x))


def refuse_lowvram(monkeypatch):
    monkeypatch.setattr(lowvram, "is_enabled", lambda model: True)


def refuse_taken_over(monkeypatch):
    unet().forward = unet().forward


def refuse_hypernetworks(monkeypatch):
    monkeypatch.setattr(shared, "loaded_hypernetworks", ["one"], raising=False)


def refuse_unit(monkeypatch):
    shared.opts.sd_unet = "[TRT] one"


def refuse_no_unet(monkeypatch):
    shared.sd_model = Model()


REFUSED = {
    refuse_lowvram: "--lowvram and --medvram",
    refuse_taken_over: "another extension has taken over the U-Net",
    refuse_hypernetworks: "hypernetworks",
    refuse_unit: r"the SD Unet \[TRT\] one cannot be copied",
    refuse_no_unet: "this model has no U-Net that can be copied",
}


@pytest.mark.parametrize("prepare", REFUSED, ids=lambda f: f.__name__)
def test_what_copies_cannot_do_is_named(prepare, monkeypatch):
    prepare(monkeypatch)
    with pytest.raises(JobError, match=f"Draw tiles on: .*{REFUSED[prepare]}"):
        drawn(TILES, "cpu,cpu")


def test_the_refiner_is_named():
    on("cpu,cpu")
    p = Job(args=(True, TILES))
    p.refiner_checkpoint_info = object()
    with pytest.raises(JobError, match="Draw tiles on: the refiner"):
        run(p)


@pytest.mark.parametrize(
    ("devices", "told"),
    [
        ("cpu,nowhere", "got 'nowhere', allowed are devices such as"),
        ("cuda:7,cpu", "got cuda:7, but there are"),
        ("meta,meta", "got meta, meta, allowed is a list with cpu, where the model is"),
    ],
)
def test_wrong_devices_are_named(devices, told):
    with pytest.raises(JobError, match=f"Draw tiles on: {told}"):
        drawn(TILES, devices)


@pytest.mark.parametrize(("name", "told"), [("controls", "ControlNets"), ("networks", "LoRAs"), ("main", "elastic")])
def test_what_acts_on_one_unet_alone_is_named(name, told):
    flow = Planner(Extent(16, 32), Settings(), ModelTraits(prediction="flow"))
    tiling = SimpleNamespace(controls=None, networks=None, main=None, planner=flow)
    check_served(tiling)
    setattr(tiling, name, object())
    with pytest.raises(TiledError, match=f"Draw tiles on: {told}"):
        check_served(tiling)


@pytest.mark.parametrize(("prediction", "refused"), [("flow", True), ("eps", False)])
def test_positions_in_the_canvas_are_told_to_one_model_alone(prediction, refused):
    planner = Planner(Extent(16, 32), Settings(positions="canvas"), ModelTraits(prediction=prediction))
    tiling = SimpleNamespace(controls=None, networks=None, main=None, planner=planner)
    with pytest.raises(TiledError, match="Draw tiles on: positions in the canvas") if refused else nullcontext():
        check_served(tiling)
