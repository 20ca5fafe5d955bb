"""--workers and `cluster` without any process of Ray: what is allowed, what is missing, what is compared."""

import json
import math
import os
import subprocess
import sys
from concurrent.futures import TimeoutError as LateError
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from tests.standalone.cluster.places import places
from tests.standalone.tiny import tiny_model
from tiled_diffusion.engine.runner import Local
from tiled_diffusion.errors import TiledError
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Settings
from tiled_diffusion.standalone.cli import cluster as doors
from tiled_diffusion.standalone.cli.commands import main
from tiled_diffusion.standalone.cluster import where
from tiled_diffusion.standalone.cluster import workers as module
from tiled_diffusion.standalone.cluster.cost import Cost, cost_of
from tiled_diffusion.standalone.cluster.replica import Card, model_digest
from tiled_diffusion.standalone.cluster.where import Cluster, checked, known_cluster, noted, state_path
from tiled_diffusion.standalone.cluster.wire import Parcel
from tiled_diffusion.standalone.cluster.workers import LOAD_SECONDS, workers
from tiled_diffusion.standalone.metadata import read_png
from tiled_diffusion.standalone.model import load_model

WRONG = ["0", "65", "-1", "1.5", "many", "", "host:", ":6379", "host:99999", 0, 65]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def needs_ray():
    if find_spec("ray") is None:
        pytest.skip("Ray is an extra")


@pytest.fixture
def without_ray(monkeypatch):
    monkeypatch.setattr(where, "find_spec", lambda name: None)


@pytest.mark.parametrize("value", WRONG)
def test_what_is_wrong_is_told_with_what_is_allowed(value, capsys):
    with pytest.raises(TiledError, match="workers: got .*, allowed is auto, a number of workers from 1 to 64"):
        checked(value)
    if isinstance(value, str) and not value.startswith("-"):
        assert main(["generate", "a", "--workers", value]) == 2
        assert "argument --workers: got" in capsys.readouterr().err


@pytest.mark.parametrize(("value", "meant"), [("auto", "auto"), ("2", 2), (64, 64), ("a.b:6379", "a.b:6379")])
def test_what_is_right_is_understood(value, meant, monkeypatch):
    monkeypatch.setattr(where, "find_spec", lambda name: object())
    assert checked(value) == meant


@pytest.mark.parametrize("words", [["generate", "a", "--workers", "2"], ["mosaic", "a", "--workers", "h:1"], ["cluster", "start"], ["cluster", "status"]])
def test_without_ray_one_line_names_the_extra(words, without_ray, capsys):
    assert main(words) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 1
    assert 'pip install -e ".[cluster]"' in errors[0]


def test_without_ray_auto_on_one_device_draws_here(without_ray, caplog):
    with workers("auto", tiny_model("sd1")) as runner:
        assert isinstance(runner, Local)
    assert "drawing in this process alone" in caplog.text


def test_nothing_else_loads_ray(tmp_path):
    """Start-up is what it was: neither the command line nor drawing imports it."""
    code = (
        "import sys; from tiled_diffusion.standalone.cli.commands import main; "
        "assert main(['generate', 'a', '--size', '128x128', '--steps', '1', '--device', 'cpu', '--quiet']) == 0; "
        "import tiled_diffusion.standalone.cluster.workers; sys.exit('ray' in sys.modules)"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, check=False).returncode == 0


def test_a_model_of_no_file_cannot_be_given_to_others():
    with pytest.raises(TiledError, match="this model was not loaded from a file"), workers(2, tiny_model("sd1")):
        pass


def test_a_loaded_model_knows_its_file(tmp_path):
    assert (load_model(device="cpu").path / "model_index.json").is_file()


CARD = Card("0.1.0", "abc", "float16", "1234", "cuda:0")


@pytest.mark.parametrize(
    ("there", "told"),
    [
        ({"version": "0.2.0"}, "version of the program: 0.1.0 here, 0.2.0 there"),
        ({"code": "abd"}, "files of the program (their digest): abc here, abd there"),
        ({"dtype": "float32", "digest": "9"}, "dtype of the model: float16 here, float32 there"),
        ({"digest": "9876"}, "model (digest of its weights): 1234 here, 9876 there"),
        ({"device": "cpu"}, None),
    ],
)
def test_what_is_not_alike_is_refused_with_both_values(there, told):
    assert CARD.refusal(replace(CARD, **there)) == told


class Late:
    """The future of a worker that is ready at a moment of a clock that is no real one, or never."""

    def __init__(self, clock, at, card):
        self.clock, self.at, self.card = clock, at, card

    def result(self, timeout):
        self.clock[0] = min(self.clock[0] + timeout, max(self.at, self.clock[0]))
        if self.clock[0] < self.at:
            raise LateError
        if isinstance(self.card, Exception):
            raise self.card
        return self.card


class Lent(SimpleNamespace):
    """A worker of no process."""

    def ready(self):
        return self.future

    def stop(self):
        self.stopped = True


@pytest.fixture
def clock(monkeypatch):
    now = [50.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def session_of(clock, *answers):
    """A session with a place for each worker that answers (seconds from now, card), and the workers."""
    lent = [Lent(name=f"w{k}", future=Late(clock, clock[0] + s, card), stopped=False) for k, (s, card) in enumerate(answers)]
    waiting, place = iter(lent), SimpleNamespace(seats=len(lent), processors=4)
    return SimpleNamespace(places=lambda: [place], start=lambda *asked: next(waiting)), lent


def test_all_workers_have_one_deadline_together_and_a_taken_place_is_told(clock, caplog):
    model = tiny_model("sd1")
    card, never = replace(Card.of(model), device="cuda:1"), (math.inf, None)
    session, lent = session_of(clock, (3, card), never, (5, card), never, (7, RuntimeError("no such file")))
    assert [worker.name for worker in module._joined(session, model, here=True)] == ["w0 (cuda:1)", "w2 (cuda:1)"]
    assert clock[0] - 50 == LOAD_SECONDS == 900
    assert [worker.stopped for worker in lent] == [False, True, False, True, True]
    late = "is refused: not ready within 15 minutes: another program draws there, or its model is slow to load"
    assert [r.message for r in caplog.records] == [f"w1 {late}", f"w3 {late}", "w4 is refused: no such file"]


def test_where_no_worker_can_draw_all_reasons_are_told(clock):
    model = tiny_model("sd1")
    session, lent = session_of(clock, (1, replace(Card.of(model), digest="9")), (math.inf, None))
    told = r"^workers: none can draw with this model. w0 is refused: .*digest.*; w1 is refused: not ready within 15 minutes"
    with pytest.raises(TiledError, match=told):
        module._joined(session, model, here=True)
    assert all(worker.stopped for worker in lent)


def test_a_models_digest_goes_by_every_tensor():
    model = tiny_model("sd1")
    before = model_digest(model)
    assert model_digest(model) == before
    for part in (model.unet, model.vae, model.text_encoders[0]):
        parameter = list(part.parameters())[-1]
        old = parameter.detach().clone()
        with torch.no_grad():
            parameter.add_(0.01)
        assert model_digest(model) != before
        with torch.no_grad():
            parameter.copy_(old)
    assert model_digest(model) == before


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int64])
@pytest.mark.parametrize("shape", [(2, 4, 8, 8), (3,), (), (0, 2)])
def test_tensors_come_back_as_they_were_and_may_be_written_to(dtype, shape):
    tensor = (torch.rand(shape) * 100).to(dtype)
    parcel = Parcel.of(tensor)
    parcel.data.flags.writeable = False
    back = parcel.tensor()
    assert (back.dtype, back.shape) == (tensor.dtype, tensor.shape)
    assert torch.equal(back, tensor)
    back.add_(1)
    assert torch.equal(parcel.tensor(), tensor)


def test_the_cluster_is_noted_for_this_user_alone_and_forgotten():
    assert known_cluster() is None
    with noted(Cluster("10.0.0.1:6379", "secret")):
        assert known_cluster() == ("10.0.0.1:6379", "secret")
        if sys.platform != "win32":
            assert state_path().stat().st_mode & 0o077 == 0
    assert known_cluster() is None
    state_path().write_text("[]")
    assert known_cluster() is None


class Served:
    """In place of the processes of Ray."""

    def __init__(self, command, env, **more):
        Served.last, self.returncode = (command, env, known_cluster()), Served.code

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return False

    def communicate(self):
        return None, b"first\nno such address"

    def terminate(self):
        Served.ended = True


@pytest.fixture
def served(monkeypatch):
    needs_ray()
    Served.code, Served.ended = 0, False
    fake = SimpleNamespace(**{**vars(subprocess), "Popen": Served})
    monkeypatch.setattr(doors, "subprocess", fake)  # not in the module itself: Ray would take it for good
    return Served


def test_start_prints_the_line_for_the_second_machine_and_whom_to_trust(served, capsys):
    assert main(["cluster", "start", "--host", "10.1.2.3", "--port", "7000", "--workers", "3"]) == 0
    told = capsys.readouterr().err
    command, env, known = served.last
    token = known.token
    assert f"cluster join 10.1.2.3:7000 --token {token}" in told
    assert "runs code on these machines" in told
    assert (env["RAY_AUTH_MODE"], env["RAY_AUTH_TOKEN"], len(token)) == ("token", token, 32)
    assert {"--head", "--port=7000", "--include-dashboard=false", "--node-ip-address=10.1.2.3", "--block"} <= set(command)
    assert json.loads(next(w for w in command if w.startswith("--resources=")).partition("=")[2]) == {"tiled_worker": 3}
    assert known_cluster() is None
    assert served.ended


def test_start_says_why_it_did_not(served, capsys):
    served.code = 1
    assert main(["cluster", "start", "--host", "10.1.2.3"]) == 2
    assert "Ray did not start at 10.1.2.3 (no such address)" in capsys.readouterr().err


def test_join_serves_the_cluster(served, monkeypatch, capsys):
    class Connection:
        def getsockname(self):
            return ("10.1.2.4", 50000)

    @contextmanager
    def connected(address, seconds):
        assert (address, seconds <= 10) == (("10.1.2.3", 7000), True)
        yield Connection()

    monkeypatch.setattr(doors.socket, "create_connection", connected)
    assert main(["cluster", "join", "10.1.2.3:7000", "--token", "t"]) == 0
    command, env, known = served.last
    assert {"--address=10.1.2.3:7000", "--node-ip-address=10.1.2.4"} <= set(command)
    assert (known, env["RAY_AUTH_TOKEN"]) == (("10.1.2.3:7000", "t"), "t")
    assert "10.1.2.4, works for the cluster at 10.1.2.3:7000" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere", "--token", "t"], "got 'nowhere', allowed is HOST:PORT"),
        (["10.1.2.3:7000"], "--token: give the one"),
        (["127.0.0.1:7000", "--token", "t"], "a cluster of one machine alone"),
        (["host.invalid:7000", "--token", "t"], "port 7000 of host.invalid cannot be reached"),
    ],
)
def test_join_says_what_is_wrong(words, told, capsys, monkeypatch):
    needs_ray()
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    assert main(["cluster", "join", *words]) == 2
    assert told in capsys.readouterr().err


def test_status_without_a_cluster(capsys):
    needs_ray()
    assert main(["cluster", "status"]) == 2
    assert "belongs to no cluster" in capsys.readouterr().err


@pytest.fixture
def spread(monkeypatch):
    """--workers 2 with places of this process in place of Ray."""
    made = []

    @contextmanager
    def fake(count, model, token=None):
        assert count == 2
        made.append(places(model, 2, home=object()))
        yield made[-1]

    monkeypatch.setattr(where, "find_spec", lambda name: object())
    monkeypatch.setattr(module, "workers", fake)
    return made


def sent(made):
    return [data for runner in made for seat in runner.seats for data in seat.worker.sent]


SMALL = ["--steps", "2", "--device", "cpu", "--quiet"]


def test_generate_draws_at_workers_and_records_nothing_of_it(spread, tmp_path):
    for name, more in (("here", []), ("there", ["--workers", "2"])):
        words = ["generate", "a house", "--size", "256x128", "--tile", "128", "--tile-batch", "1", "--out", str(tmp_path / f"{name}.png")]
        assert main([*words, *SMALL, *more]) == 0
    assert sent(spread)
    here, there = (tmp_path / f"{name}.png" for name in ("here", "there"))
    assert np.array_equal(np.asarray(Image.open(here)), np.asarray(Image.open(there)))
    assert read_png(here) == read_png(there)


def photos(folder, names=("a.png", "b.jpg")):
    folder.mkdir()
    for k, name in enumerate(names):
        Image.effect_mandelbrot((64, 64), (-2, -1, 1 + k, 1), 40).convert("RGB").save(folder / name)
    return folder


def test_a_folder_is_enlarged_several_at_once_and_gone_on_with(spread, tmp_path, capsys):
    folder, out = photos(tmp_path / "photos"), tmp_path / "large"
    words = ["upscale", str(folder), "--prompt", "a house", "--out", str(out), *SMALL]
    assert main([*words, "--workers", "2"]) == 0
    assert all(b"DrawJob" in data for data in sent(spread))
    assert len(set(sent(spread))) == 2  # one that is late is sent to a free worker as well
    large = {path.name: np.asarray(Image.open(path)) for path in out.iterdir()}
    assert {name: array.shape for name, array in large.items()} == {"a.png": (128, 128, 3), "b.png": (128, 128, 3)}
    assert read_png(out / "b.png").init_image == str(folder / "b.jpg")
    (out / "a.png").unlink()
    assert main([w for w in words if w != "--quiet"]) == 0
    assert "1 were there already" in capsys.readouterr().out
    assert np.array_equal(np.asarray(Image.open(out / "a.png")), large["a.png"])


@pytest.mark.parametrize(
    ("names", "more", "told"),
    [
        ((), [], "there is no picture in this folder"),
        (("a.png", "a.jpg"), [], "several pictures of the name a"),
        (("a.png",), ["--out", "one.png"], "is a folder: --out must be another one"),
        (("a.png",), ["--print", "A4"], "--print takes one picture"),
        (("a.png",), ["--batch-size", "2"], "--batch-size: each picture of a folder is drawn once"),
        (("a.png",), ["--tile-prompts", "captions"], "which prints, frames and folders do not take"),
    ],
)
def test_a_folder_that_cannot_be_is_told(names, more, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    photos(tmp_path / "photos", names)
    assert main(["upscale", "photos", *more, *SMALL]) == 2
    assert told in capsys.readouterr().err


def test_the_tries_of_a_frame_are_drawn_at_once(spread, tmp_path):
    photo = Image.new("RGB", (160, 160), "grey")
    photo.paste("white", (40, 40, 120, 120))
    photo.save(tmp_path / "photo.png")
    words = ["frame", str(tmp_path / "photo.png"), "--corners", "40,40,120,40,120,120,40,120", "--prompt", "a house", "--tries", "4"]
    assert main([*words, "--out", str(tmp_path / "out"), "--workers", "2", *SMALL]) == 0
    assert sum(b"DrawJob" in data for data in sent(spread)) == 4
    assert len(list((tmp_path / "out" / "tries").iterdir())) == 4


def test_a_cost_is_what_the_one_with_most_to_do_takes():
    cost = Cost(calls=10, batches=9, batch_seconds=0.5, here_seconds=0.3, rest_seconds=0.01, sent=1000, received=2000, shared=10**6)
    assert cost.seconds(0) == pytest.approx(10 * (9 * 0.3 + 0.01))
    for workers_, most in ((1, 9), (2, 5), (4, 3), (9, 1), (64, 1)):
        assert cost.seconds(workers_) == pytest.approx(10 * (most * 0.501 + 0.01))
    assert cost.seconds(2, 1e4) == pytest.approx(10 * (5 * (0.501 + 0.3) + 0.01) + 200)
    assert cost.seconds(64, 1e3) == pytest.approx(10 * (9 * 2 + 0.01) + 64000)
    assert math.isclose(cost.seconds(2) * 10, replace(cost, calls=100).seconds(2))


def test_inspect_predicts_with_messages_as_large_as_they_are(tmp_path, capsys):
    words = ["inspect", "a", "--size", "256x128", "--tile", "128", "--overlap", "64", "--tile-batch", "1", "--device", "cpu"]
    assert main([*words, "--workers", "2", "--json", "--out", str(tmp_path / "plan.png")]) == 0
    cost = json.loads(capsys.readouterr().out)["cost"]
    assert cost["workers"] == 2
    assert min(cost["seconds"], cost["seconds_without"]) > 0
    model = load_model(device="cpu")
    numbers = 4 * model.traits.channels * (128 // model.traits.factor) ** 2
    assert numbers < cost["sent"] < numbers + 1500
    assert numbers < cost["received"] < numbers + 1500
    request = Request("a", width=256, height=128, tiling=Settings(tile_width=128, tile_height=128, overlap=64, tile_batch=1))
    assert cost_of(model, request, 3).batches == 3
