"""The HTTP routes: figures of a plan, and presets."""

from dataclasses import replace

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tiled_diffusion.engine.describe import describe
from tiled_diffusion.engine.model import ModelTraits
from tiled_diffusion.settings.presets import Presets
from tiled_diffusion.settings.values import Settings
from tiled_diffusion.ui.last_jobs import FinishedJob, LastJobs
from tiled_diffusion.ui.routes import add_routes, kind_of

DOCUMENT = {"version": 2, "regions": [{"prompt": "a <b>tree</b>", "w": 0.5}]}


@pytest.fixture
def client(tmp_path):
    app = FastAPI()
    add_routes(app, Presets(tmp_path / "presets"), lambda: ModelTraits(64, 8), lambda text: (len(text.split()), 75))
    with TestClient(app) as found:
        yield found


def test_a_plan(client):
    answer = client.post("/tiled-diffusion/plan", json={"settings": {}, "width": 2048, "height": 1024}).json()
    assert answer["tiles"] == len(answer["boxes"]) > 4
    assert answer["rows"] == 2 * answer["tiles"]
    assert f"{answer['tiles']} tiles" in answer["text"]
    whole = client.post("/tiled-diffusion/plan", json={"settings": "", "width": 512, "height": 512}).json()
    assert whole["tiles"] == 1
    assert "one piece" in whole["text"]
    odd = client.post("/tiled-diffusion/plan", json={"width": 520, "height": 512}).json()
    assert "multiples of 64 px" in odd["problems"][0]


def plan(client, **more):
    return client.post("/tiled-diffusion/plan", json={"width": 2048, "height": 1024, **more}).json()


def test_a_plan_tells_of_the_last_job_like_it(tmp_path):
    app, jobs = FastAPI(), LastJobs()
    add_routes(app, Presets(tmp_path), lambda: ModelTraits(64, 8), lambda text: (0, 75), jobs=jobs)
    with TestClient(app) as client:
        figures = plan(client)
        assert figures["more"] == []
        kind = kind_of(describe(Settings(), 2048, 1024, ModelTraits(64, 8)), (2048, 1024))
        jobs.add(FinishedJob(kind, 20, 33.4, 3 * 2**30))
        jobs.add(FinishedJob(replace(kind, tile=(8, 8)), 20, 1.0))
        jobs.add(FinishedJob(replace(kind, rows=kind.rows * 3), 20, 2.0))
        assert plan(client)["more"] == ["the last job like it (2048 x 1024 px, 20 steps) took 33 s and 3.0 GiB"]
        jobs.add(FinishedJob(kind, 25, 30.0))
        assert plan(client)["more"] == ["the last job like it (2048 x 1024 px, 25 steps) took 30 s"]
        assert "33 s" in plan(client, steps=20)["more"][0]
        assert "30 s" in plan(client, steps=40)["more"][0]


WAYS = {
    "plain": ({}, ()),
    "img2img": ({"way": "img2img"}, ("img2img",)),
    "hires": ({"way": "hires fix"}, ("hires fix",)),
    "one pass": (
        {"way": "hires fix", "controls": {"passes": "Hires pass"}}, ("hires fix, hires pass in tiles",),
    ),
    "grown": ({"controls": {"grow": True}}, ("grown in stages at 0.5",)),
    "in three": ({"controls": {"grow": True, "growth_stages": 3, "growth_stage_strength": 0.3}}, ("grown in 3 stages at 0.3",)),
    "inverted": (
        {"way": "img2img", "controls": {"keep_picture": True, "inversion_steps": 12}}, ("img2img", "inversion of 12 steps"),
    ),
    "nothing to invert": ({"controls": {"keep_picture": True}}, ()),
}  # fmt: skip


@pytest.mark.parametrize("name", WAYS)
def test_jobs_of_other_kinds_are_not_like_it(name, tmp_path):
    app, jobs = FastAPI(), LastJobs()
    add_routes(app, Presets(tmp_path), lambda: ModelTraits(64, 8), lambda text: (0, 75), jobs=jobs)
    kind = kind_of(describe(Settings(), 2048, 1024, ModelTraits(64, 8)), (2048, 1024))
    for seconds, (_, ways) in enumerate(WAYS.values()):
        jobs.add(FinishedJob(replace(kind, ways=ways), 20, seconds))
    body, ways = WAYS[name]
    with TestClient(app) as client:
        (line,) = [line for line in plan(client, **body)["more"] if line.startswith("the last job")]
        wrong = client.post("/tiled-diffusion/plan", json={"width": 64, "height": 64, "way": "video"})
    last = max(seconds for seconds, (_, others) in enumerate(WAYS.values()) if others == ways)
    what = ", ".join(("2048 x 1024 px", "20 steps", *ways))
    assert line == f"the last job like it ({what}) took {last} s"
    assert wrong.json()["detail"] == "way: got 'video', allowed is one of '', 'img2img', 'hires fix'"


def test_jobs_may_end_while_they_are_looked_through():
    """deque refuses to be gone through while it changes."""
    jobs, kind = LastJobs(), kind_of(describe(Settings(), 2048, 1024, ModelTraits(64, 8)), (2048, 1024))

    class Slow(int):
        def __eq__(self, other):
            jobs.add(FinishedJob(kind, 1, 1.0))
            return False

        __hash__ = int.__hash__

    for _ in range(3):
        jobs.add(FinishedJob(replace(kind, tile=(Slow(8), 8)), 20, 1.0))
    jobs.like(kind)
    assert len(jobs.jobs) > 3


@pytest.mark.parametrize(("controls", "text"), [
    ({"keep_picture": True}, "the inversion adds as many steps, without the negative prompt"),
    ({"keep_picture": True, "inversion_steps": 12, "inversion_rounds": 2},
     "the inversion adds 12 steps, each 2 times, without the negative prompt"),
])  # fmt: skip
def test_a_plan_counts_the_inversion(client, controls, text):
    assert plan(client, controls=controls)["more"] == [text]


def test_lengths_of_prompts(client):
    answer = client.post("/tiled-diffusion/tokens", json={"texts": ["a red house", ""]})
    assert answer.json() == {"counts": [[3, 75], [0, 75]]}
    for wrong in ("a", [1], ["a"] * 17, ["a" * 20001], None):
        answer = client.post("/tiled-diffusion/tokens", json={"texts": wrong})
        assert answer.status_code == 422
        assert "texts" in answer.json()["detail"]


WRONG = [
    ({"settings": {"method": 1}, "width": 64, "height": 64}, "method"),
    ({"settings": {}, "width": "wide", "height": 64}, "width"),
    ({"settings": {}, "height": 64}, "width"),
    ({"settings": {"tile_width_lp": 64, "overlap_lp": 64}, "width": 2048, "height": 64}, "the largest one that fits is 504 px"),
    ({"settings": {"tile_width": 512, "overlap": 512}, "width": 2048, "height": 64}, "the largest one that fits is 504 px"),
    ({"controls": {"tile_width_px": 64}, "width": 64, "height": 64}, "unknown control 'tile_width_px'; known are method"),
    ({"controls": [], "width": 64, "height": 64}, "controls: got []"),
    ([], "JSON object"),
]


@pytest.mark.parametrize(("body", "text"), WRONG)
def test_wrong_requests_are_told(client, body, text):
    answer = client.post("/tiled-diffusion/plan", json=body)
    assert answer.status_code == 422
    assert text in answer.json()["detail"]


ROUTES = [("post", "/plan"), ("post", "/tokens"), ("post", "/import"), ("put", "/presets/x"), ("post", "/presets/x/rename")]


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(("left", "right"), [("[", "]"), ('{"settings":', "}"), ('{"regions":[', "]}"), ('{"a":', "}")])
def test_nested_bodies_are_refused(client, method, path, left, right):
    for depth in (300, 900, 960, 980, 1000, 20_000, 100_000):
        middle = "" if right.startswith("]") else "1"
        answer = client.request(method, f"/tiled-diffusion{path}", content=left * depth + middle + right * depth)
        assert answer.status_code == 422, depth
        assert 0 < len(answer.json()["detail"]) < 1000
    assert "nested too deeply" in answer.json()["detail"]


def test_bodies_that_are_no_json(client):
    for body in (b"", b"{", b"\xff\xfe", b"1" * 5000, b'"' + b"x" * 10**6):
        answer = client.post("/tiled-diffusion/plan", content=body)
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith("request: ")


def test_a_plan_by_the_panels_words(client):
    said = {"controls": {"method": "SpotDiffusion", "tile_width": 0, "tile_height": 512, "overlap": -1, "tile_batch": 0}}
    answers = [
        client.post("/tiled-diffusion/plan", json={**body, "width": 2048, "height": 1024}).json()
        for body in (said, {"settings": {"method": "spot", "tile_height": 512, "tile_batch": None}})
    ]
    assert answers[0] == answers[1]
    assert answers[0]["tiles"] > 1


def test_presets(client):
    assert client.get("/tiled-diffusion/presets").json() == {"presets": [], "broken": []}
    assert client.put("/tiled-diffusion/presets/one 雪", json=DOCUMENT).status_code == 200
    assert client.get("/tiled-diffusion/presets/one 雪").json() == DOCUMENT
    assert client.post("/tiled-diffusion/presets/one 雪/rename", json={"to": "two"}).status_code == 200
    assert [p["name"] for p in client.get("/tiled-diffusion/presets").json()["presets"]] == ["two"]
    assert client.get("/tiled-diffusion/presets/one 雪").status_code == 404
    assert client.delete("/tiled-diffusion/presets/two").status_code == 200
    assert client.delete("/tiled-diffusion/presets/two").status_code == 404
    wrong = client.put("/tiled-diffusion/presets/x", json={"regions": 3})
    assert wrong.status_code == 422
    assert "regions" in wrong.json()["detail"]
