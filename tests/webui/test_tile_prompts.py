"""Prompts of tiles in jobs of the WebUI: by list, by content and by a captioner, in img2img and the hires pass."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from modules import shared

from tests.webui.host_model import FAMILIES, Job, Model, field, job, run
from tiled_diffusion.webui.hosts import host

GRID = {"tile_width": 128, "tile_height": 128, "overlap": 32, "version": 2}
LEFT = {**GRID, "tile_prompts": "list", "tile_texts": [{"prompt": "a tree", "row": 1, "column": 1},
                                                       {"prompt": "a tree", "row": 2, "column": 1}]}  # fmt: skip


@dataclass
class Img2img(Job):
    """Begins with pictures."""

    clean: torch.Tensor | None = None
    enable_hr: bool = False
    is_hr_pass: bool = False

    def sample(self):
        if self.clean is None:
            return super().sample()
        from tests.webui.host_model import Sampler

        self.sampler = Sampler(self)
        noise = torch.randn(self.clean.shape, generator=torch.Generator().manual_seed(self.seed))
        self.hr_prompts, self.hr_negative_prompts = self.prompts, self.negative_prompts
        self.script.process_before_every_sampling(self, *self.args, x=self.clean, noise=noise, c=self.c, uc=self.uc)
        return self.sampler.sample(self, self.clean + noise, self.c, self.uc)


class Painter(Model):
    """A text of a tree, alone or with a house, changes what is dark in a picture, and nothing else does."""

    def predict(self, x, sigma, cond):
        texts = [self.encoded("a tree"), self.encoded("a tree, a house")]
        tree = torch.tensor([float(any(torch.equal(row, t) for t in texts)) for row in cond["c_crossattn"][0]])
        return x * 0.5 + tree[:, None, None, None] * (x < -2.5)


def pictures(batch=1):
    """Dark on the left third."""
    clean = torch.zeros(batch, 4, 20, 40)
    clean[..., :13] = -6.0
    return clean


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("more", [{}, {"batch_size": 2}, {"prompt": "a house AND snow :0.5"}, {"tile_batch": 1}])
def test_a_list_acts_in_its_tiles_alone(family, more):
    tile_batch = {k: v for k, v in more.items() if k == "tile_batch"}
    more = {k: v for k, v in more.items() if k != "tile_batch"}
    listed, plain = (job({**settings, **tile_batch}, sampler_name=family, **more) for settings in (LEFT, GRID))
    assert torch.equal(listed[..., 16:], plain[..., 16:])
    assert not torch.equal(listed[..., :8], plain[..., :8])


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_text_everywhere_is_that_prompt(family):
    everywhere = {**GRID, "tile_prompts": "list", "tile_texts": [{"prompt": "a tree"}]}
    torch.testing.assert_close(
        job(everywhere, sampler_name=family), job(GRID, sampler_name=family, prompt="a tree"), atol=2e-6, rtol=0
    )


def test_calls_split_in_prompts_and_negatives():
    shared.opts.batch_cond_uncond = False
    apart = job(LEFT, negative_prompt="rain " * 90)
    shared.opts.batch_cond_uncond = True
    torch.testing.assert_close(apart, job(LEFT, negative_prompt="rain " * 90), atol=2e-6, rtol=0)


def test_regions_beside_tiles():
    regions = [{"prompt": "a dog", "x": 0.5, "w": 0.5, "feather": 0}]
    both, alone = job({**LEFT, "regions": regions}), job({**GRID, "regions": regions})
    assert torch.equal(both[..., 22:], alone[..., 22:])
    assert not torch.equal(both[..., :8], alone[..., :8])


def test_by_content_a_phrase_is_drawn_where_the_picture_has_it():
    shared.sd_model = Painter()
    house = [{"prompt": "a house", "row": row, "column": column} for row in (1, 2) for column in (2, 3)]
    by_list = {**GRID, "tile_prompts": "list", "tile_texts": house}
    by_content, listed, same = (
        run(Img2img(args=(True, settings), prompt="a tree, a house", clean=pictures()))
        for settings in ({**GRID, "tile_prompts": "content"}, by_list, GRID)
    )
    assert torch.equal(by_content, listed)
    assert not torch.equal(by_content, same)


def test_equal_pictures_of_a_batch_are_looked_at_once():
    counts = []
    for batch in (1, 2):
        shared.sd_model = Model()
        run(Img2img(args=(True, {**GRID, "tile_prompts": "content"}), prompt="a, b", batch_size=batch, clean=pictures(batch)))
        counts.append(sum(shape[0] == 4 and shape[-1] < 40 for shape, _ in shared.sd_model.calls[:3]))
    assert counts == [3, 3]


@pytest.mark.parametrize("source", ["content", "captions"])
def test_noise_alone_has_no_content(source):
    settings = {**GRID, "tile_prompts": source, "captioner": "clip"}
    with pytest.raises(Exception, match="allowed only with a start picture"):
        job(settings)
    first = run(Img2img(args=(True, settings), enable_hr=True))
    assert torch.equal(first, job(GRID))


def test_content_and_a_controlnet_are_refused(monkeypatch):
    hints = SimpleNamespace(one_tile=True, whole=[], begin=lambda *a: None, restore=lambda: None)
    monkeypatch.setattr(host.sampling, "controls", lambda p, on_cpu: hints)
    with pytest.raises(Exception, match="does not go with ControlNet"):
        run(Img2img(args=(True, {**GRID, "tile_prompts": "content"}), clean=pictures()))


@pytest.fixture
def captions(monkeypatch):
    """What a captioner was asked."""
    asked = []

    def caption(picture):
        asked.append(picture.size)
        return f"caption {len(asked)}"

    known = SimpleNamespace(load=lambda: None, generate_caption=caption, send_blip_to_ram=lambda: None)
    monkeypatch.setattr(shared, "interrogator", known, raising=False)
    monkeypatch.setattr(host.vae, "decode", lambda p, x: [torch.zeros(3, 160, 320) for _ in x])
    return asked


def test_captions_are_asked_once_a_tile_and_stand_in_the_record_as_a_list(captions):
    settings = {**GRID, "tile_prompts": "captions", "captioner": "clip"}
    p = Img2img(args=(True, settings), clean=pictures(2), batch_size=2)
    out = run(p)
    assert captions == [(128, 128)] * 12
    records = [field(text) for text in p.infotexts]
    assert [r["tile_texts"][0]["prompt"] for r in records] == ["caption 1", "caption 7"]
    assert {r["tile_prompts"] for r in records} == {"list"}
    again = run(Img2img(args=(True, records[0]), clean=pictures(1)))
    assert len(captions) == 12
    torch.testing.assert_close(again, run(Img2img(args=(True, records[0]), clean=pictures(1))))
    assert not torch.equal(again, out[1:])


def test_a_captioner_that_is_not_there_or_fails_is_named(captions, monkeypatch):
    settings = {**GRID, "tile_prompts": "captions", "captioner": "florence"}
    with pytest.raises(Exception, match="captioner: got 'florence', allowed here are clip, deepbooru"):
        run(Img2img(args=(True, settings), clean=pictures()))
    monkeypatch.setattr(shared.interrogator, "load", lambda: (_ for _ in ()).throw(OSError("no model")))
    with pytest.raises(Exception, match="captioner: clip failed: OSError: no model"):
        run(Img2img(args=(True, {**settings, "captioner": "clip"}), clean=pictures()))
