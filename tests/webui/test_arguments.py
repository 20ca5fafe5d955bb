"""What requests may say to the scripts, under their own names and under the one that no other extension has."""

from types import SimpleNamespace

import pytest
import torch
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient
from modules import scripts
from pydantic import BaseModel

from tests.webui.host_model import Job, field, job, run, written
from tiled_diffusion.errors import SettingsError
from tiled_diffusion.settings.panel import script_arguments
from tiled_diffusion.settings.quoting import quoted
from tiled_diffusion.webui import arguments, register
from tiled_diffusion.webui.arguments import ROOT, UNIQUE
from tiled_diffusion.webui.by_name import UniqueNameScript
from tiled_diffusion.webui.hosts import host
from tiled_diffusion.webui.hosts.failure import JobError

TILES = {"tile_width_lp": 16, "tile_height_lp": 16, "overlap_lp": 6}
PEER = "/data/extensions/multidiffusion-upscaler-for-automatic1111/scripts/tilediffusion.py"

SAID = [
    ((True, TILES), (True, TILES)),
    ((False, TILES), (False, {})),
    ((False, ""), (False, {})),
    (('{"method": "spot"}', None), (True, {"method": "spot"})),
    ((TILES, None), (True, TILES)),
    ((TILES, ""), (True, TILES)),
    (({}, None), (True, {})),
]
WRONG = ["false", "true", "", 0, 1, 5, 0.5, [], [TILES], [True]]


@pytest.mark.parametrize(("said", "meant"), SAID)
def test_what_the_first_two_arguments_mean(said, meant):
    assert script_arguments(*said) == meant


@pytest.mark.parametrize("first", WRONG, ids=repr)
def test_anything_else_is_named(first):
    with pytest.raises(SettingsError, match="the first argument: got .*, allowed is true, false, or the settings"):
        script_arguments(first, TILES)


@pytest.mark.parametrize("said", [(TILES, TILES), (None, TILES)])
def test_settings_belong_in_one_place(said):
    with pytest.raises(SettingsError, match="^the (first|second) argument: got"):
        script_arguments(*said)


def test_an_error_shows_only_the_beginning_of_what_it_got():
    with pytest.raises(SettingsError) as e:
        script_arguments("x" * 10000, None)
    assert len(str(e.value)) < 250


def test_settings_without_a_switch_are_drawn():
    assert torch.equal(job(TILES), run(Job(args=(TILES,))))
    for first in ("false", 1):
        with pytest.raises(JobError, match="allowed is true, false"):
            run(Job(args=(first, TILES)))


def named(*values):
    """A job to which something was said under the unique name."""
    p = Job(args=(False, ""))
    carrier = SimpleNamespace(title=lambda: UNIQUE, filename="", args_from=3, args_to=3 + len(values))
    p.scripts.alwayson_scripts, p.script_args = [carrier], (0, False, "", *values)
    return p


@pytest.mark.parametrize("values", [(TILES, ""), (TILES,), ({**TILES}, {"mode": "exact"})])
def test_the_unique_name_switches_on(values):
    p = named(*values)
    assert torch.equal(run(p), job(TILES))
    assert field(p.infotexts[0]) == written(TILES)


@pytest.mark.parametrize("values", [(), ("", ""), (None, {"mode": "exact"}), (False,)])
def test_nothing_under_the_unique_name_changes_nothing(values):
    p = named(*values)
    assert torch.equal(run(p), job())
    assert field(p.infotexts[0]) is None


@pytest.mark.parametrize(
    ("values", "text"), [((7,), "got 7"), (("on",), "got 'on'"), (({"tile": 1},), "unknown field 'tile'")]
)
def test_the_unique_name_takes_settings_only(values, text):
    with pytest.raises(JobError, match=text):
        run(named(*values))


def test_settings_under_both_names_are_refused():
    p = named(TILES)
    p.args = (True, TILES)
    with pytest.raises(JobError, match="under two names"):
        run(p)


def test_the_unique_name_s_carriers_are_no_part_of_the_page():
    import gradio as gr

    script = UniqueNameScript()
    with gr.Blocks():
        carriers = script.ui(False)
    assert [c.label for c in carriers] == ["Settings of Tiled Diffusion", "Settings of Tiled VAE"]
    assert not any(c.visible for c in carriers)
    assert script.title() == "Tiled Diffusion & VAE"


class Request(BaseModel):
    """As the API's: what it says to scripts is not looked at."""

    alwayson_scripts: dict = {}


@pytest.fixture
def client(monkeypatch, request):
    """An API as the host's, with our checks, in which the script of each title comes from a file."""
    app = FastAPI()

    @app.exception_handler(HTTPException)
    def answered(_request, e):
        from fastapi.responses import JSONResponse

        return JSONResponse({"error": type(e).__name__, "detail": e.detail}, e.status_code)

    def text2imgapi(req: Request):
        return {
            "seen": {name: len(said["args"]) if "args" in said else 0 for name, said in req.alwayson_scripts.items()}
        }

    app.add_api_route("/sdapi/v1/txt2img", text2imgapi, methods=["POST"])
    files = getattr(request, "param", {}) or {}
    every = [SimpleNamespace(title=lambda t=t: t, filename=f) for t, f in files.get("first", [])] + [
        SimpleNamespace(title=lambda t=t: t, filename=str(ROOT / "scripts/x.py"))
        for t in ("Tiled Diffusion", "Tiled VAE", UNIQUE)
    ]
    monkeypatch.setattr(scripts, "scripts_txt2img", SimpleNamespace(scripts=every))
    host.page.check_requests(app, register._check)
    return TestClient(app, raise_server_exceptions=False)


def said(client, name, value):
    return client.post("/sdapi/v1/txt2img", json={"alwayson_scripts": {name: value}})


SHAPES = [{"args": None}, {"args": 5}, {"args": "true"}, {"args": {}}, {"args": TILES}, None, 5, [True, TILES], TILES]


@pytest.mark.parametrize("name", ["tiled diffusion", "Tiled VAE", "tiled diffusion & vae"])
@pytest.mark.parametrize("value", SHAPES, ids=repr)
def test_arguments_of_another_shape_are_named(client, name, value):
    answer = said(client, name, value)
    assert answer.status_code == 422
    assert f'alwayson_scripts.{name}: got {quoted(value)}, allowed is {{"args": [...]}}' in answer.json()["detail"]


def test_arguments_of_the_right_shape_and_other_scripts_are_left_alone(client):
    assert said(client, "tiled diffusion", {"args": [True, TILES]}).json() == {"seen": {"tiled diffusion": 2}}
    assert said(client, "tiled diffusion", {}).json() == {"seen": {"tiled diffusion": 0}}
    assert said(client, "controlnet", {"args": None}).status_code == 500


@pytest.mark.parametrize("client", [{"first": [("Tiled Diffusion", PEER)]}], indirect=True)
def test_what_belongs_to_another_extension_is_left_alone_and_told(client, caplog):
    assert said(client, "tiled diffusion", {"args": None}).status_code == 500
    assert said(client, "tiled diffusion & vae", {"args": None}).status_code == 422
    assert arguments.rivals() == {"Tiled Diffusion": PEER}
    register._api(None, FastAPI())
    (line,) = [r.getMessage() for r in caplog.records if "in the API" in r.getMessage()]
    assert (
        line
        == f'Tiled Diffusion: in the API, "Tiled Diffusion" means {PEER}; this extension is "Tiled Diffusion & VAE"'
    )
