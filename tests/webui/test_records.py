"""What pictures remember: each its own settings, over all batches; and what the API's answer says besides."""

import json

import pytest
import torch
from modules import processing

from tests.webui.host_model import Job, copied, field, run
from tiled_diffusion import __version__

TILES = {"tile_width_lp": 16, "tile_height_lp": 16, "overlap_lp": 6}
SEEDED = {
    **TILES,
    "regions": [{"prompt": "a __colour__ tree", "w": 0.5, "seed": 7}],
    "rerolls": [{"seed": 3, "x": 0.6, "w": 0.3}],
}


def wildcards(p):
    """As extensions of random prompts do: by the picture's place in the job."""
    colours = ("red", "green", "blue")
    p.all_prompts = [t.replace("__colour__", colours[i % 3]) for i, t in enumerate(p.all_prompts)]


@pytest.mark.parametrize("method", ["mixture", "jittered"])
@pytest.mark.parametrize(("batch_size", "n_iter"), [(2, 3), (1, 3), (3, 1)])
def test_every_picture_repeats_from_its_own_record(batch_size, n_iter, method):
    p = Job(args=(True, {**SEEDED, "method": method}), rewrites=[wildcards], batch_size=batch_size, n_iter=n_iter)
    pictures = run(p)
    records = [field(text) for text in p.infotexts]
    assert [r["regions"][0]["seed"] for r in records] == [7 + i for i in range(batch_size * n_iter)]
    for image, record in enumerate(records):
        alone = run(Job(args=(True, record), seed=p.all_seeds[image]))
        torch.testing.assert_close(alone, pictures[image : image + 1], atol=2e-5, rtol=0)


def test_a_batch_s_prompts_in_a_list_of_the_hosts_own_are_the_batch_s(monkeypatch):
    """As reForge asks for texts, without the comments in the prompts."""
    original = processing.create_infotext

    def with_clean_prompts(p, all_prompts, *args, **kwargs):
        return original(p, [text.strip() for text in all_prompts], *args, **kwargs)

    monkeypatch.setattr(processing, "create_infotext", with_clean_prompts)
    p = Job(args=(True, SEEDED), batch_size=2, n_iter=2)
    run(p)
    assert [field(text)["regions"][0]["seed"] for text in p.infotexts] == [7, 8, 9, 10]


def test_the_grid_of_all_pictures_has_the_first_one_s_record():
    p = Job(args=(True, SEEDED), batch_size=2, n_iter=2)
    run(p)
    assert field(p.grid_infotext) == field(p.infotexts[0])


def test_the_answer_has_all_records_and_all_comments():
    regions = [{"prompt": "a tree <lora:leaves:0.5>", "w": 0.5, "seed": 7}]
    p = Job(args=(True, {**TILES, "regions": regions}), batch_size=2, n_iter=2)
    run(p)
    said = p.processed.extra_generation_params
    assert [json.loads(text) for text in said["Tiled Diffusion"]] == [field(text) for text in p.infotexts]
    assert any("leaves" in comment for comment in said["Comments"])
    assert "Comments" not in p.extra_generation_params


def test_a_copy_of_a_job_that_is_switched_off_has_no_record():
    p = Job(args=(True, TILES))
    run(p)
    assert f'Tiled Diffusion version: "{__version__}"' in p.infotexts[0]
    p.args = (False, TILES)
    run(p)
    assert field(p.infotexts[0]) is None
    assert "Tiled Diffusion" not in p.infotexts[0]


@pytest.mark.parametrize("within", [{"args": (False,)}, {"args": (True, {**TILES, "method": "spot"})}])
def test_a_job_within_a_job_leaves_the_outer_one_its_record(within):
    """A copy has its own arguments, but begins with the dict of the job that it was copied from."""

    class Outer(Job):
        def sample(self):
            out = super().sample()
            inner = copied(self)
            inner.__class__ = Job
            inner.args, inner.infotexts = within["args"], []
            run(inner)
            self.inner = inner
            return out

    p = Outer(args=(True, SEEDED))
    run(p)
    assert field(p.infotexts[0])["regions"][0]["seed"] == 7
    inner = field(p.inner.infotexts[0])
    assert inner is None if within["args"] == (False,) else inner["method"] == "spot"
