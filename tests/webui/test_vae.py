"""The tiled VAE's part in a job: what it swaps, when it lets go, and what the user is told."""

import json
import threading
from copy import copy
from types import SimpleNamespace

import pytest
import torch
from modules import processing, sd_models, shared
from torch import nn

from tests.tiled_vae.models import Vae, noise, tiny
from tiled_diffusion.settings.vae import VaePanelSettings, vae_settings_from
from tiled_diffusion.webui import infotext
from tiled_diffusion.webui.hosts import host
from tiled_diffusion.webui.hosts.failure import JobError
from tiled_diffusion.webui.vae import plan_line
from tiled_diffusion.webui.vae.script import TiledVaeScript, before_call
from tiled_vae import vae as vae_module

EXACT = {"mode": "exact", "decoder_tile_lp": 8, "encoder_tile_px": 64}


class Model(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.first_stage_model = tiny(torch.float32, **options)

    def decode_first_stage(self, z):
        return self.first_stage_model.decode(z)


class Job:
    """A job as the host's: each step uses the VAE, and may do something else before."""

    def __init__(self, settings=None, enabled=True, with_hires=False, **before):
        self.args, self.before, self.hires = (enabled, settings), before, with_hires
        self.extra_generation_params, self.comments, self.seen = {}, [], {}
        self.scripts, self.script_args = SimpleNamespace(alwayson_scripts=[]), ()
        self.sd_model = shared.sd_model
        self.z = noise(1, 4, 12, 20, dtype=torch.float32)
        self.x = noise(1, 3, 48, 80, dtype=torch.float32)

    def comment(self, text):
        self.comments.append(text)

    def at(self, name, run):
        self.before.get(name, lambda p: None)(self)
        self.seen[name] = run()

    def init(self):
        self.at("init", lambda: shared.sd_model.first_stage_model.encode(self.x))

    def sample(self):
        self.at("sample", lambda: shared.sd_model.decode_first_stage(self.z))
        return self.sample_hr_pass(self.z, None) if self.hires else self.z

    def sample_hr_pass(self, samples, decoded_samples):
        self.at("hires", lambda: shared.sd_model.first_stage_model.encode(self.x))
        return processing.DecodedSamples(shared.sd_model.decode_first_stage(samples))


def panel_script(tab="txt2img"):
    import gradio as gr

    made = TiledVaeScript()
    made.is_img2img = tab == "img2img"
    with gr.Blocks():
        made.components = made.ui(made.is_img2img)
    return made


@pytest.fixture(scope="module")
def ours():
    return panel_script()


@pytest.fixture(autouse=True)
def model(monkeypatch):
    monkeypatch.setattr(shared, "sd_model", Model())
    monkeypatch.setattr(shared.state, "textinfo", None)
    monkeypatch.setattr(processing, "decode_latent_batch", decode_latent_batch)
    return shared.sd_model


def decode_latent_batch(model, batch, target_device=None, check_for_nans=False):
    return processing.DecodedSamples(
        shared.sd_model.decode_first_stage(batch[i : i + 1])[0] for i in range(batch.shape[0])
    )


def run(ours, p):
    """As process_images does; returns the pictures."""
    ours.before_process(p, *p.args)
    ours.process(p, *p.args)
    p.init()
    ps = SimpleNamespace(samples=p.sample())
    ours.post_sample(p, ps, *p.args)
    done = ps.samples if getattr(ps.samples, "already_decoded", False) else decode_latent_batch(None, ps.samples)
    p.processed = SimpleNamespace()
    ours.postprocess(p, p.processed, *p.args)
    return torch.stack(list(done))


def traces(p):
    found = shared.sd_model.first_stage_model
    things = (p, shared.sd_model, found, found.encoder, found.decoder)
    return [
        k
        for thing in things
        for k in vars(thing)
        if k in ("init", "sample", "sample_hr_pass", "forward", "decode_first_stage")
    ]


def tiles_run(p):
    return any("exact" in note for note in p.comments)


@pytest.mark.parametrize("hires", [False, True])
@pytest.mark.parametrize("settings", [EXACT, json.dumps(EXACT), {"mode": "untiled"}, {}, None])
def test_a_job_gives_what_the_untiled_one_gives_and_leaves_nothing(ours, settings, hires):
    plain, p = Job(with_hires=hires, enabled=False), Job(settings, with_hires=hires)
    want, got = run(ours, plain), run(ours, p)
    assert (got - want).abs().max() < 1e-4
    assert all((p.seen[k] - plain.seen[k]).abs().max() < 1e-4 for k in plain.seen)
    assert traces(p) == []
    assert tiles_run(p) == (settings in (EXACT, json.dumps(EXACT)))
    assert not tiles_run(plain)


@pytest.mark.parametrize("stage", ["init", "sample", "hires"])
def test_an_exception_at_any_stage_leaves_the_vae_as_it_was(ours, stage):
    def fail(p):
        raise KeyError(stage)

    p = Job(EXACT, with_hires=True, **{stage: fail})
    with pytest.raises(KeyError, match=stage):
        run(ours, p)
    ours.before_process(p)
    assert traces(p) == []


def test_the_model_that_is_loaded_on_the_way_is_tiled_too(ours):
    first = shared.sd_model

    def change(p):
        shared.sd_model = Model(channels=(4, 4, 8))
        before_call(p)
        assert "forward" in vars(shared.sd_model.first_stage_model.decoder)
        assert "forward" not in vars(first.first_stage_model.decoder)

    for stage in ("sample", "hires"):
        p = Job(EXACT, with_hires=True, **{stage: change})
        run(ours, p)
        assert traces(p) == []


def test_a_callback_outside_of_a_job_does_nothing(ours):
    p = Job(EXACT)
    ours.process(p, *p.args)
    before_call(p)
    assert "forward" not in vars(shared.sd_model.first_stage_model.decoder)


def stop_at(monkeypatch, count):
    """Presses Interrupt when so many tiles are done."""

    def show(line):
        if line is not None and int(line.split()[2]) >= count:
            shared.state.interrupted = True

    monkeypatch.setattr(host.vae, "show", show)


def test_interrupt_gives_the_cheap_picture_from_then_on(ours, monkeypatch):
    p = Job(EXACT, init=lambda p: stop_at(monkeypatch, 10**6), sample=lambda p: stop_at(monkeypatch, 2))
    got = run(ours, p)
    assert got.shape == (1, 3, 96, 160)
    cheap = nn.functional.interpolate(p.z[:, :3], scale_factor=8, mode="bilinear")
    assert torch.equal(got, cheap)
    assert torch.equal(p.seen["sample"], cheap)
    assert traces(p) == []


def test_interrupt_while_reading_pictures(ours, monkeypatch):
    p = Job(EXACT, init=lambda p: stop_at(monkeypatch, 2))
    run(ours, p)
    assert "init" not in p.seen
    shared.state.interrupted = False
    p = Job(EXACT, with_hires=True, init=lambda p: stop_at(monkeypatch, 10**6))
    p.before["hires"] = lambda p: stop_at(monkeypatch, 2)
    got = run(ours, p)
    assert "hires" not in p.seen
    assert got.shape[-2:] == (96, 160)


def test_interrupt_before_the_vae_begins_leaves_it_its_time(ours):
    p = Job(EXACT, sample=lambda p: setattr(shared.state, "interrupted", True))
    got, shared.state.interrupted = run(ours, p), False
    assert (got - run(ours, Job(enabled=False))).abs().max() < 1e-4


def test_another_thread_gets_the_host_s_own_pass(ours):
    found = {}

    def preview(p):
        model = shared.sd_model
        thread = threading.Thread(target=lambda: found.update(seen=model.decode_first_stage(p.z)))
        thread.start()
        thread.join()

    p = Job(EXACT, sample=preview)
    run(ours, p)
    assert torch.equal(found["seen"], Vae.decode(shared.sd_model.first_stage_model, p.z))


def test_a_nan_stays_for_the_host_to_see(ours):
    with torch.no_grad():
        shared.sd_model.first_stage_model.decoder.conv_in.weight.fill_(float("nan"))
    assert run(ours, Job(EXACT)).view(-1)[0].isnan()


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"mode": "best"}, "mode: got 'best', allowed is one of auto"),
        ({"tile": 3}, "unknown field 'tile'; known are mode"),
        ({"decoder_tile_lp": 3}, "decoder_tile_lp: got 3"),
        ({"encoder_tile_px": "x"}, "encoder_tile_px: got 'x'"),
        ({"offload": "disk"}, "offload: got 'disk'"),
        ({"wrap_x": 1}, "wrap_x: got 1"),
        ({"move_to_gpu": "no"}, "move_to_gpu: got 'no'"),
        ({"mode": "untiled", "wrap_y": True}, "wrap_y"),
        ({"version": 3}, "reads up to 2"),
        ("{", "no valid JSON"),
        ("[1]", "a JSON object"),
        (7, "got 7"),
    ],
)
def test_wrong_settings_stop_the_job_with_their_name(ours, settings, match):
    p = Job(settings)
    with pytest.raises(JobError, match=match) as error:
        run(ours, p)
    assert vars(error.value)["status_code"] == 422
    assert vars(error.value)["detail"] == str(error.value)
    assert traces(p) == []


@pytest.mark.parametrize(
    ("args", "match"),
    [(("false", EXACT), "got 'false'"), ((1,), "got 1"), ((None, EXACT), "got None"),
     ((EXACT, EXACT), "the first one is the settings")],
)  # fmt: skip
def test_wrong_arguments_stop_the_job_with_their_name(ours, args, match):
    p = Job()
    p.args = args
    with pytest.raises(JobError, match=f"Tiled VAE: the (first|second) argument: .*{match}"):
        run(ours, p)
    assert traces(p) == []


def test_settings_in_the_switch_s_place_switch_on(ours):
    p = Job()
    p.args = (EXACT,)
    run(ours, p)
    assert tiles_run(p)


@pytest.mark.parametrize("enabled", [True, False])
def test_a_mode_on_an_axis_of_the_plot_switches_the_vae(ours, enabled):
    for mode, tiled in (("exact", True), ("off", False), (None, enabled)):
        p = Job({"mode": "exact"}, enabled=enabled)
        p.__dict__["_Tiled VAE_xyz"] = {**({"mode": mode} if mode else {}), "decoder_tile": "128"}
        run(ours, p)
        assert tiles_run(p) == tiled
        assert any("axes of the plot change nothing" in c for c in p.comments) == (mode is None and not enabled)
        expected = {"version": 2, "mode": "exact", "decoder_tile": 128} if tiled else None
        record = p.extra_generation_params.get("Tiled VAE")
        assert (None if record is None else json.loads(record)) == expected
    p = Job()
    p.__dict__["_Tiled VAE_xyz"] = {"encoder_tile": "wide"}
    with pytest.raises(JobError, match="whole number"):
        run(ours, p)


def test_an_unknown_layout_stops_the_job_before_it_draws(ours):
    del shared.sd_model.first_stage_model.decoder.mid.attn_1
    with pytest.raises(JobError, match="no 'attn_1'"):
        run(ours, Job(EXACT))


@pytest.mark.parametrize("error", [RuntimeError("broken"), RuntimeError("out of memory")])
def test_the_final_decoding_fails_aloud(ours, monkeypatch, error):
    def failing(*args):
        raise error

    p = Job(EXACT)
    p.sample = lambda: p.z
    monkeypatch.setattr(vae_module, "_run", failing)
    p.init = lambda: None
    with pytest.raises((RuntimeError, JobError), match=r"broken|out of memory: 80x48 px"):
        run(ours, p)


def test_an_approximation_is_left_alone(ours):
    shared.opts.sd_vae_decode_method = "TAESD"
    p = Job(EXACT)
    p.init, p.sample = lambda: None, lambda: p.z
    run(ours, p)
    assert p.comments == []


def test_a_foreign_hook_is_left_in_place(ours):
    class VAEHook:
        calls = 0

        def __call__(self, z):
            self.calls += 1
            return type(net).forward(net, z)

    net = shared.sd_model.first_stage_model.decoder
    hook = net.forward = VAEHook()
    p = Job(EXACT)
    run(ours, p)
    assert hook.calls == 2
    assert net.forward is hook
    assert "steps aside" in p.comments[0]


def test_a_copy_of_a_job_works_for_itself(ours):
    p = Job(EXACT)
    ours.before_process(p)
    ours.process(p, *p.args)
    other = copy(p)
    other.args, other.z, other.seen = (False, None), p.z + 1, {}
    run(ours, other)
    assert "sample" in other.seen
    assert p.seen == {}
    again = copy(p)
    again.seen = {}
    run(ours, again)
    run(ours, p)
    assert p.seen.keys() == again.seen.keys() == {"init", "sample"}


def test_a_vae_in_host_memory_is_moved_and_put_back(ours, monkeypatch):
    moves = []
    monkeypatch.setattr(host.vae, "device", lambda: torch.device("meta"))
    monkeypatch.setattr(Vae, "to", lambda self, where: moves.append(str(where)) or self)
    for settings, count in ((EXACT, 3), ({**EXACT, "move_to_gpu": False}, 0)):
        run(ours, Job(settings))
        assert moves == ["meta", "cpu"] * count
        moves.clear()


def test_the_controls_fill_what_the_json_does_not_say(ours):
    names = [c.elem_id.removeprefix("tvae_txt2img_") for c in ours.components[2:]]
    assert names == ["mode", "encoder_tile", "decoder_tile", "offload", "move_to_gpu"]
    job = vae_settings_from('{"mode": "fast"}', dict(zip(names, ["exact", 512.0, 512, "host", False], strict=True)))
    assert job == VaePanelSettings("fast", 512, 512, "host", move_to_gpu=False)
    assert vae_settings_from(job.to_json()) == job
    assert vae_settings_from(None, dict.fromkeys(names)) == VaePanelSettings()
    assert VaePanelSettings().to_dict() == {"version": 2}


def test_labels_and_ids_are_unique_and_every_control_is_explained():
    every = [c for tab in ("txt2img", "img2img") for c in panel_script(tab).components]
    ids = [c.elem_id for c in every]
    assert len(set(ids)) == len(ids)
    for tab in (every[: len(every) // 2], every[len(every) // 2 :]):
        labels = [c.label for c in tab]
        assert len(set(labels)) == len(labels)
        assert all(c.info.endswith(".") for c in tab[2:])


def test_the_record_is_read_back(ours):
    p = Job({**EXACT, "offload": "host"})
    run(ours, p)
    record = p.extra_generation_params
    assert infotext.VAE.read(record) == VaePanelSettings("exact", 64, 64, "host")
    found = {component.elem_id: read(record) for component, read in ours.infotext_fields}
    assert [u["value"] for u in found.values()] == [True, "exact", 64, 64, "host", True]
    without = [read({}) for _, read in ours.infotext_fields]
    assert without[0]["value"] is False
    assert all("value" not in u for u in without[1:])
    assert infotext.VAE.read({"Tiled VAE": "{broken"}) is None


@pytest.mark.parametrize(
    ("values", "size"),
    [((640, 480), (480, 640)), ((640, 480, False, 2, 0, 0), (480, 640)), ((640, 480, True, 2, 0, 0), (960, 1280)),
     ((640, 480, True, 2, 1024, 0), (768, 1024)), ((640, 480, True, 2, 0, 768), (768, 1024)),
     ((640, 480, True, 2, 1000, 500), (500, 1000))],
)  # fmt: skip
def test_the_size_that_the_plan_is_for(values, size):
    assert plan_line.final_size(*values) == size


def test_the_line_says_the_plan(ours, monkeypatch):
    names = ("mode", "decoder_tile")
    assert plan_line.describe("txt2img", names, ("exact", 64, 640, 480)) == plan_line.NO_MODEL
    monkeypatch.setattr(sd_models.model_data, "sd_model", shared.sd_model)
    line = plan_line.describe("txt2img", names, ("exact", 64, 640, 480))
    assert line.startswith("Tiled VAE: exact")
    assert line.count("Tiled VAE") == 1
    assert plan_line.describe("img2img", names, ("exact", 64, 640, 480)).count("Tiled VAE") == 2
    assert "decoder_tile: got 3" in plan_line.describe("txt2img", names, ("exact", 3, 640, 480))


def test_the_line_is_connected_once_all_sizes_are_there():
    import gradio as gr

    made, asked = TiledVaeScript(), []
    made.is_img2img = False
    with gr.Blocks():
        for name in plan_line.SIZES["txt2img"][:3]:
            made.after_component(gr.Number(), elem_id=f"txt2img_{name}")
        made.ui(False)
        line = made._line()
        line._panel.describe_with = lambda describe, sizes: asked.append(sizes)
        made.after_component(gr.Number(), elem_id="txt2img_steps")
        assert asked == []
        for name in plan_line.SIZES["txt2img"][3:]:
            made.after_component(gr.Number(), elem_id=f"txt2img_{name}")
        made.ui(False)  # the host's own, for its API
    assert [len(sizes) for sizes in asked] == [6]


def test_samples_that_failed_cannot_be_taken_for_pictures():
    with pytest.raises(KeyError):
        _ = host.vae.undecodable(KeyError("x")).already_decoded
