"""What a job leaves behind: nothing; and how wrong settings are told."""

import json
from types import SimpleNamespace

import pytest
import torch
from modules import script_callbacks, sd_samplers_common, shared
from PIL import Image

from tests.webui.host_model import Job, Model, copied, job, run, written
from tiled_diffusion.errors import TiledError
from tiled_diffusion.webui import timing
from tiled_diffusion.webui.hosts import host
from tiled_diffusion.webui.hosts.failure import JobError
from tiled_diffusion.webui.timing import LAST_JOBS

TILES = {"tile_width_lp": 16, "tile_height_lp": 16, "overlap_lp": 6}
REGION = {**TILES, "regions": [{"prompt": "a tree", "w": 0.5}]}


def traces(p):
    """What of ours hangs on the host's objects."""
    found = {}
    for name, thing in (("job", p), ("sampler", p.sampler), ("model", shared.sd_model)):
        if thing is not None:
            found[name] = sorted(k for k in vars(thing) if k in ("forward", "sample_img2img"))
    if p.sampler is not None:
        wrapper = p.sampler.model_wrap_cfg.model_wrap
        found["wrapper"] = "forward" in vars(wrapper) if wrapper is not None else False
    return found


CLEAN = {"job": [], "sampler": [], "model": [], "wrapper": False}


@pytest.mark.parametrize("settings", [{}, TILES, REGION])
def test_after_a_job_the_host_is_as_before(settings):
    p = Job(args=(True, settings))
    run(p)
    assert traces(p) == CLEAN


def test_a_job_that_is_done_is_remembered_with_the_time_of_a_picture():
    LAST_JOBS.jobs.clear()
    run(Job(args=(True, TILES)))
    (job,) = LAST_JOBS.jobs
    assert (job.kind.tile, job.steps) == ((128, 128), Job().steps)
    assert job.seconds > 0
    run(Job())
    shared.state.interrupted = True
    run(Job(args=(True, TILES)))
    assert list(LAST_JOBS.jobs) == [job]


@pytest.mark.parametrize(("resize", "size"), [((0, 0), (512, 384)), ((512, 0), (512, 384)), ((480, 384), (480, 384))])
def test_a_job_with_hires_fix_is_remembered_as_one_of_its_last_size(resize, size):
    LAST_JOBS.jobs.clear()
    p = Job(args=(True, {**TILES, "passes": "first"}), hr_upscale_to_x=512, hr_upscale_to_y=384)
    p.enable_hr, (p.hr_resize_x, p.hr_resize_y) = True, resize
    run(p)
    (job,) = LAST_JOBS.jobs
    assert job.kind.size == size
    assert job.kind.ways == ("hires fix, first pass in tiles",)


def test_the_memory_of_a_job_is_not_that_of_the_one_before(monkeypatch):
    """The card's own count of the most that was held goes on until somebody sets it back."""
    card = torch.device("cuda", 1)
    held = {card: 9 * 2**30}
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: held.update({device: 2**30}))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: held[device])
    monkeypatch.setattr(timing, "_card", lambda: card)
    LAST_JOBS.jobs.clear()
    run(Job(args=(True, TILES)))
    assert LAST_JOBS.jobs[0].peak == 2**30


@pytest.mark.parametrize("at", [0, 2])
def test_after_an_exception_the_host_is_as_before(at):
    before = job()
    p = Job(args=(True, REGION), fail_at=at)
    with pytest.raises(RuntimeError, match="on purpose"):
        run(p)
    assert traces(p) == CLEAN
    assert torch.equal(job(), before)


def test_an_exception_in_init():
    p = Job(args=(True, REGION), fail_in_init=True)
    with pytest.raises(RuntimeError, match="on purpose"):
        run(p)
    assert p.sampler is None
    assert torch.equal(job(), job())


@pytest.mark.parametrize("flag", ["interrupted", "skipped"])
def test_interrupt_stops_between_two_batches_of_tiles(flag):
    calls = shared.sd_model.calls
    original = shared.sd_model.predict

    def predict(*args):
        if len(calls) == 9:
            setattr(shared.state, flag, True)
        return original(*args)

    shared.sd_model.predict = predict
    p = Job(args=(True, {**TILES, "tile_batch": 2}))
    out = run(p)
    assert out is not None
    assert len(calls) == 10
    assert traces(p) == CLEAN | {"model": []}


def test_a_copy_of_a_job_is_a_job_of_its_own():
    p = Job(args=(True, REGION))
    first = run(p)
    other = copied(p)
    assert torch.equal(run(other), first)
    other.args = ()
    other.script.before_process(other)
    assert "sample" not in vars(other)
    assert torch.equal(run(other), job())
    assert torch.equal(run(p), first)


def test_a_wrapper_of_another_extension_stays():
    p = Job(args=(True, TILES))
    below = p.sample
    heard = []

    def theirs():
        heard.append("theirs")
        return below()

    p.sample = theirs
    plain = run(p)
    assert heard == ["theirs"]
    assert torch.equal(plain, job(TILES))
    p.script.before_process(p)
    assert p.sample is theirs


def test_a_nested_job_is_not_touched():
    results = []
    p = Job(args=(True, REGION))
    original = shared.sd_model.predict

    def predict(*args):
        if not results:
            results.append(None)
            results[0] = run(Job())
        return original(*args)

    shared.sd_model.predict = predict
    run(p)
    shared.sd_model.predict = original
    assert torch.equal(results[0], job())


WRONG = [
    ({"tile": 3}, "unknown field 'tile'"),
    ({"method": "x"}, "settings.method: got 'x'"),
    ({"tile_width_lp": 16, "overlap_lp": 16}, "overlap"),
    ({"regions": [{"prompt": "a", "w": 0.5, "feather": 0}], "fill": "none"}, "x 0.50 to 1.00"),
    ("{", "no valid JSON"),
    (3, "allowed is a JSON object"),
    ({"width": 100}, "width"),
]


@pytest.mark.parametrize(("settings", "text"), WRONG)
def test_wrong_settings_stop_the_job_with_their_name(settings, text):
    p = Job(args=(True, settings))
    with pytest.raises(JobError) as e:
        run(p)
    assert text in str(e.value)
    assert e.value.status_code == 422
    assert e.value.detail == str(e.value)
    assert not vars(p).keys() & {"init", "sample"} or torch.equal(job(), job())


def test_an_edit_model_refuses_regions():
    shared.sd_model.cond_stage_key = "edit"
    with pytest.raises(JobError, match="instruct-pix2pix"):
        job(REGION)


def test_a_lora_in_a_region_is_loaded_for_the_picture_and_told_where_it_acts_everywhere():
    p = Job(args=(True, {**TILES, "regions": [{"prompt": "a tree <lora:leaves:0.5>", "w": 0.5}]}))
    run(p)
    assert p.tagged[0].endswith("<lora:leaves:0.5>")
    assert "whole picture" in p.comments[0]
    assert "leaves" in p.comments[0]


def test_the_record_holds_the_settings():
    p = Job(args=(True, REGION))
    run(p)
    assert json.loads(p.extra_generation_params["Tiled Diffusion"]) == written(REGION)


def test_networks_are_loaded_once():
    found = [{"prompt": f"a <lora:{name}:0.5>", "w": 0.5} for name in ("leaves", "leaves", "main")]
    p = Job(prompt="a house <lora:main:1>", args=(True, {**TILES, "regions": found}))
    run(p)
    assert p.tagged[0] == "a house <lora:main:1> <lora:leaves:0.5>"


def broken(*args, **kwargs):
    raise RuntimeError("no such thing")


@pytest.mark.parametrize("at", ["randn_local", "get_learned_conditioning", "find_sampler_config"])
def test_what_goes_wrong_before_the_sampling_stops_the_job(at, monkeypatch):
    from modules import prompt_parser, rng, sd_samplers

    before = job()
    regions = {**TILES, "regions": [{"prompt": "a", "w": 0.5, "seed": 3}]}
    with monkeypatch.context() as m:
        p = Job(args=(True, regions))
        if at == "get_learned_conditioning":
            p.setup_conds = lambda: Job.setup_conds(p)
            original, calls = prompt_parser.get_learned_conditioning, []

            def second(*args, **kwargs):
                calls.append(1)
                return broken() if len(calls) > 2 else original(*args, **kwargs)

            m.setattr(prompt_parser, at, second)
        else:
            m.setattr({"randn_local": rng, "find_sampler_config": sd_samplers}[at], at, broken)
        with pytest.raises(RuntimeError, match="no such thing"):
            run(p)
    assert traces(p)["sampler"] == []
    assert traces(p)["wrapper"] is False
    assert torch.equal(job(), before)


def test_a_text_encoder_that_fails_after_the_refiner_stops_the_job():
    other = Model("two")
    p = Job(args=(True, {"regions": [{"prompt": "a", "w": 0.5}]}))
    p.refine_at, p.refiner = 2, other
    main = other.encoded
    other.encoded = lambda text: broken() if text == "a" else main(text)
    with pytest.raises(RuntimeError, match="no such thing"):
        run(p)
    assert traces(p)["wrapper"] is False


def test_a_wrong_job_is_refused_whatever_is_wrong():
    p = Job(args=(True, {}))
    p.script.is_img2img, p.init_images = True, [None]
    with pytest.raises(AttributeError):
        run(p)
    p.args = ()
    assert torch.equal(run(p), job())


def test_latents_with_more_axes_are_refused():
    from tiled_diffusion.settings.panel import PanelSettings
    from tiled_diffusion.webui.region_texts import RegionTexts
    from tiled_diffusion.webui.run import Run
    from tiled_diffusion.webui.sampling import attach

    video = torch.zeros(1, 16, 3, 8, 8)
    with pytest.raises(TiledError, match="5 axes"):
        attach(Job(), Run(PanelSettings(), RegionTexts(PanelSettings().tiling)), video, video)


def picture(width=64, height=48):
    return Image.new("RGB", (width, height))


SIZES = [
    ({"keep_size": False}, (320, 160), (64, 48)),
    ({"keep_size": True}, (64, 48), (64, 48)),
    ({"upscaler": "Lanczos", "upscale_factor": 3}, (192, 144), (192, 144)),
    ({"upscaler": "Lanczos", "upscale_factor": 2, "keep_size": False}, (640, 320), (128, 96)),
    ({"print_size": "20x15mm", "print_dpi": 254}, (200, 152), (200, 150)),  # beside the scale factor, which does not count
    ({"print_size": "20x15mm", "print_dpi": 254, "upscaler": "Lanczos", "upscale_factor": 8}, (200, 152), (200, 150)),
    ({"print_size": "20x15mm", "print_dpi": 30}, (64, 48), (64, 48)),  # large enough
]


@pytest.mark.parametrize(("settings", "canvas", "size"), SIZES)
def test_an_enlarged_input_stays_right_when_the_job_is_run_again(settings, canvas, size, monkeypatch):
    monkeypatch.setattr(shared, "sd_upscalers", [SimpleNamespace(name=n) for n in ("None", "Lanczos")])
    p = Job(args=(True, {**({"version": 2} if "print_size" in settings else TILES), **settings}))
    p.script.is_img2img = True
    for _ in range(3):  # a folder of pictures
        p.init_images = [picture()]
        run(p)
        assert (p.width, p.height) == canvas
        assert p.init_images[0].size == size
    run(p)  # the very same once more
    assert (p.width, p.height) == canvas
    p.args = ()
    run(p)
    assert (p.width, p.height) == (320, 160)
    assert p.init_images[0].size == (64, 48)


@pytest.mark.parametrize(("settings", "source", "dpi"), [
    ({"print_size": "20x15mm", "print_dpi": 254}, 72, 254), ({"upscaler": "Lanczos"}, 150, 150), ({"upscaler": "Lanczos"}, None, None),
])  # fmt: skip
def test_files_have_the_dpi_of_the_print_or_of_the_source(settings, source, dpi, monkeypatch, tmp_path):
    from tiled_diffusion.webui.upscale import keep_dpi

    monkeypatch.setattr(shared, "sd_upscalers", [SimpleNamespace(name=n) for n in ("None", "Lanczos")])
    p = Job(args=(True, {"version": 2, **settings}), init_images=[picture()])
    p.script.is_img2img = True
    if source:
        p.init_images[0].info["dpi"] = (source, source)
    run(p)
    path = tmp_path / "a.png"
    picture().save(path)
    keep_dpi(p, path)
    assert Image.open(path).info.get("dpi", (None,))[0] == (dpi and pytest.approx(dpi, abs=0.1))
    p.args = ()
    run(p)
    picture().save(path)
    keep_dpi(p, path)
    assert "dpi" not in Image.open(path).info


def test_a_print_beyond_what_can_be_enlarged_is_told(monkeypatch):
    from tiled_diffusion.webui.run import RUN

    monkeypatch.setattr(shared, "sd_upscalers", [SimpleNamespace(name=n) for n in ("None", "Lanczos")])
    p = Job(args=(True, {"version": 2, "print_size": "A4"}), init_images=[picture()])
    p.script.is_img2img = True
    with pytest.raises(Exception, match=r"print_size: 29.7 x 21 cm at 300 DPI = 3508 x 2480 px is 54.8 times the picture of 64x48"):
        run(p)
    assert RUN in p.__dict__
    p = Job(args=(True, {"version": 2, "print_size": "20x15mm", "print_dpi": 800}), init_images=[picture()])
    p.script.is_img2img = True
    run(p)
    assert any("beyond 8 times it looks soft" in comment for comment in p.comments)


def test_only_masked_keeps_the_canvas():
    p = Job(args=(True, {**TILES, "upscaler": "None"}), init_images=[picture()])
    p.script.is_img2img, p.inpaint_full_res, p.image_mask = True, True, picture()
    run(p)
    assert (p.width, p.height) == (320, 160)


def test_an_unknown_upscaler_is_named():
    p = Job(args=(True, {"upscaler": "Lanczos 9"}), init_images=[picture()])
    p.script.is_img2img = True
    with pytest.raises(JobError, match="upscaler: got 'Lanczos 9', allowed is one of None"):
        run(p)


def test_hypertile_is_told():
    shared.opts.hypertile_enable_unet = True
    p = Job(args=(True, TILES))
    run(p)
    assert "Hypertile" in p.comments[0]


def test_remarks_of_the_text_encoder_reach_the_job(monkeypatch):
    from modules import sd_hijack

    hijack = SimpleNamespace(extra_generation_params={"TI hashes": "a: 1"}, comments=["too long"])
    monkeypatch.setattr(sd_hijack, "model_hijack", hijack)
    monkeypatch.setattr("tiled_diffusion.webui.hosts.a1111.texts.model_hijack", hijack)
    p = Job(args=(True, REGION))
    run(p)
    assert p.extra_generation_params["TI hashes"] == "a: 1"
    assert "too long" in p.comments


def test_a_disabled_script_leaves_everything_alone():
    p = Job(args=(False, REGION))
    out = run(p)
    assert torch.equal(out, job())
    assert not p.extra_generation_params


def test_the_interrupt_is_the_hosts_own():
    assert host.jobs.INTERRUPT is sd_samplers_common.InterruptedException
    assert script_callbacks.registered is not None
